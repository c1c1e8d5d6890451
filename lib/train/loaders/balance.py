"""Frames with rare classes come more often: repeat factors (Gupta et al., LVIS, arXiv 1908.03195, section 4)."""
import math
from typing import Sequence

import numpy as np


def repeat_factors(classes: Sequence[np.ndarray], threshold: float) -> np.ndarray:
    """Return how often each image is to come in an epoch, on average: float64 [n], at least 1.

    A class in a share f of the images has the factor max(1, sqrt(threshold / f)), and an image the
    largest of those of its classes.

    Args:
        classes: int [boxes] of each image, from 1; at least one.
        threshold: share of the images; classes in fewer than that are repeated. 0: none.
    """
    images = [np.unique(of_image) for of_image in classes]
    counts = np.bincount(np.concatenate(images))
    factors = np.ones(len(counts))
    found = counts > 0
    factors[found] = np.maximum(1, np.sqrt(threshold * len(images) / counts[found]))
    return np.array([factors[of_image].max() for of_image in images])


def entries_per_epoch(factors: np.ndarray) -> int:
    """Return how many entries an epoch has with repeat factors, [n]: their sum, rounded up."""
    return math.ceil(round(float(factors.sum()), 6))


def repeated(factors: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Return the entries of one epoch: int64 [entries_per_epoch], in order.

    Entry i + k * n is copy k of image i. An image comes as often as its factor, rounded down or
    up, so that on average over the epochs it is the factor; the number of entries stays the same.

    Args:
        factors: float64 [n], of repeat_factors.
        rng: draws which are rounded up, by systematic sampling.
    """
    entries = entries_per_epoch(factors)
    ends = np.cumsum(factors) * (entries / factors.sum())
    ends[-1] = entries
    marks = np.floor(ends + rng.uniform()).astype(np.int64)
    copies = np.diff(np.concatenate([[0], marks]))
    images = np.repeat(np.arange(len(factors)), copies)
    before = np.repeat(np.cumsum(copies) - copies, copies)
    return images + len(factors) * (np.arange(len(images)) - before)
