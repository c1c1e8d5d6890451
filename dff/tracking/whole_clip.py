"""Detections that take the whole clip (Seq-NMS), from the boxes of its frames before NMS."""
import itertools
import time
from typing import Any, Callable, Iterable, Iterator, Optional

import numpy as np

from dff.results import Detected
from dff.tracking.clip_boxes import ClipBoxes, Selection, select
from dff.tracking.seq_nms import MIN_SCORE


class WholeClip:
    """What comes of a clip after its end.

    Args:
        selection: a Selection.
        folder: as of ClipBoxes.
        select: as dff.tracking.clip_boxes.select, of two arguments.
    """

    def __init__(self, selection: Selection, folder: Optional[str] = None, select: Callable = select):
        # Boxes below the threshold of detections take part in Seq-NMS: a path may lift them.
        self.min_score = MIN_SCORE
        if selection.rescore is None:
            self.min_score = min(selection.thresh, MIN_SCORE)
        self._selection, self._folder, self._select = selection, folder, select

    def finish(self, results: Iterable[Detected], images: Optional[Iterable[np.ndarray]] = None,
               save: Optional[str] = None) -> Iterator[Detected]:
        """Yield a Detected for each frame, after all of `results` have come.

        The time that it took is shared among the frames, as a part of their post-processing.

        Args:
            results: iterable of Detected with the boxes before NMS above `min_score`.
            images: iterable of the frames' images; None: what is yielded has black ones, which take
                no memory.
            save: file for the boxes before NMS; None: do not.

        Raises DataError where a file cannot be written.
        """
        boxes, frames = ClipBoxes(self._folder), []
        try:
            for result in results:
                boxes.add(result.detections)
                frames.append((result.index, result.image.shape, result.is_key, result.seconds))
            if save is not None:
                boxes.save(save)
            start = time.perf_counter()
            chosen = list(self._select(boxes, self._selection))
            share = (time.perf_counter() - start) / max(1, len(frames))
        finally:
            boxes.close()
        pictures: Iterable[Any] = itertools.repeat(None) if images is None else images
        for (index, shape, is_key, seconds), found, image in zip(frames, chosen, pictures):
            image = np.broadcast_to(np.uint8(0), shape) if image is None else image
            yield Detected(index, image, found, is_key, seconds._replace(post=seconds.post + share))
