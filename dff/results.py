"""What comes out for a frame."""
from typing import NamedTuple, Optional

import numpy as np


class Seconds(NamedTuple):
    """Where the time of a frame went. In a batch, every frame carries its share of the batch's time."""

    reading: float     # waiting for the next prepared frame
    network: float     # input in to output out
    post: float        # boxes, NMS


class Detected(NamedTuple):
    """What was detected in a frame."""

    index: int                 # type: ignore[assignment]  # of the frame, from 0; it hides tuple.index
    image: np.ndarray          # BGR uint8 [H, W, 3]
    # float32 [n, 6]: class (from 1), score, x1, y1, x2, y2 in pixels of `image`, inclusive corners
    detections: np.ndarray
    is_key: bool
    seconds: Seconds
    track_ids: Optional[np.ndarray] = None     # int64 [n], the object of each detection; None: not asked for


class Segmented(NamedTuple):
    """The classes of a frame's pixels."""

    index: int             # type: ignore[assignment]  # of the frame, from 0; it hides tuple.index
    image: np.ndarray      # BGR uint8 [H, W, 3]
    labels: np.ndarray     # uint8 [H, W], class ids
    is_key: bool
    seconds: Seconds
