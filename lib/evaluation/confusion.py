"""Streaming evaluation of label maps: a confusion matrix that images are added to."""
from typing import List, Sequence

import numpy as np

from dff.labels import IGNORE_LABEL


class ConfusionMatrix:
    """Counts of pixels by label and prediction; `counts`: int64 [label, predicted]."""

    def __init__(self, num_classes: int) -> None:
        """Start with no image. num_classes: at most 255."""
        self.counts = np.zeros((num_classes, num_classes), np.int64)

    def update(self, label: np.ndarray, predicted: np.ndarray) -> None:
        """Add an image. label, predicted: uint8 [H, W], class ids; pixels labelled 255 do not
        count.

        Raises ValueError where the shapes differ, or a counted pixel holds an id that is no class.
        """
        label, predicted = np.asarray(label, np.uint8), np.asarray(predicted, np.uint8)
        if label.shape != predicted.shape:
            raise ValueError('the label map has shape %s, the prediction %s' % (label.shape, predicted.shape))
        codes = (label.ravel().astype(np.uint16) << 8) | predicted.ravel()
        pairs = np.bincount(codes, minlength=1 << 16).reshape(256, 256)
        pairs[IGNORE_LABEL] = 0
        n = len(self.counts)
        if pairs[n:].any() or pairs[:, n:].any():
            largest = [pairs.any(axis=axis).nonzero()[0].max() for axis in (1, 0)]
            raise ValueError('ids must be 0 to %d (labels also %d); found labels up to %d and predictions up to %d'
                             % (n - 1, IGNORE_LABEL, *largest))
        self.counts += pairs[:n, :n]

    def merge(self, other: 'ConfusionMatrix') -> None:
        """Add the counts of another ConfusionMatrix of as many classes."""
        self.counts += other.counts

    def iou(self) -> np.ndarray:
        """Return the intersection over union of each class, float64 [num_classes].

        It is nan for a class that is in no label and no prediction.
        """
        hits = np.diag(self.counts).astype(np.float64)
        union = self.counts.sum(axis=0) + self.counts.sum(axis=1) - hits
        return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)

    def mean_iou(self) -> float:
        """Return the mean of `iou` over the classes that occur; nan where none does."""
        iou = self.iou()
        return float(np.mean(iou[~np.isnan(iou)])) if not np.isnan(iou).all() else float('nan')

    def lines(self, class_names: Sequence[str]) -> List[str]:
        """Return the result as text: a line a class, then the mean. class_names: by class id."""
        return ['IoU for %s = %s' % (name, 'none: it does not occur' if np.isnan(value) else '%.4f' % value)
                for name, value in zip(class_names, self.iou())] + ['Mean IoU = %.4f' % self.mean_iou()]
