"""Where boxes go: to the key frame along the flow inside them, and on along the lines on which they came."""
from typing import NamedTuple

import numpy as np

STRIDE = 16     # pixels of the network's input for a cell of the feature map, where a model does not say
STEADY = 8      # boxes on which a course rests: few follow a turn, many the jitter of boxes less


def box_displacements(boxes: np.ndarray, flow: np.ndarray, scale: float, stride: int = STRIDE) -> np.ndarray:
    """Return how far, right and down, each box moves along the flow: float64 [n, 2], pixels of the frame.

    The median in the middle half of the box, which holds less of the background than its rim does.

    Args:
        boxes: [n, 4] x1 y1 x2 y2 in pixels of the frame.
        flow: float32 [2, h, w], cells, from this frame to its key frame: what lies at cell (x, y)
            here lies at (x + flow[0], y + flow[1]) there.
        scale: from the frame to the network's input.
        stride: pixels of that for a cell.
    """
    boxes = np.asarray(boxes, np.float64)
    quarter = (boxes[:, 2:] - boxes[:, :2]) / 4
    inner = np.hstack([boxes[:, :2] + quarter, boxes[:, 2:] - quarter]) * scale / stride
    height, width = flow.shape[1:]
    last = np.array([width, height, width, height]) - 1
    cells = np.clip(np.floor(inner), 0, last).astype(int)
    found = np.zeros((len(boxes), 2))
    for row, (left, top, right, bottom) in enumerate(cells.tolist()):
        inside = flow[:, top:bottom + 1, left:right + 1].reshape(2, -1)
        if inside.size:
            found[row] = np.median(inside, axis=1)
    return found * stride / scale


class Courses(NamedTuple):
    """Straight lines on which boxes move, a row each; that of a box seen once stands still."""

    places: np.ndarray      # float64 [t, 4]: x1 y1 x2 y2 in the frame where the box was seen last
    speeds: np.ndarray      # float64 [t, 2]: pixels a frame, right and down; sides do not grow by them
    seen: np.ndarray        # int64 [t]: frames in which the box was seen


def predicted(courses: Courses, frames: np.ndarray) -> np.ndarray:
    """Return where the boxes are `frames`, int64 [t], after they were seen last: float64 [t, 4]."""
    return courses.places + np.tile(courses.speeds, 2) * frames[:, None]


def continued(courses: Courses, boxes: np.ndarray, frames: np.ndarray) -> Courses:
    """Return the courses with the boxes that were seen next.

    An alpha-beta filter: its gains make it the line of least squares through the boxes seen so far,
    where these are of frames in a row; from STEADY of them on they stay, so that old boxes fade.

    Args:
        courses: Courses.
        boxes: float64 [t, 4].
        frames: int64 [t], since the ones before.
    """
    seen = courses.seen + 1
    count = np.minimum(seen, STEADY)[:, None]
    expected = predicted(courses, frames)
    errors = boxes - expected
    places = expected + errors * (2 * (2 * count - 1) / (count * (count + 1)))
    moved = (errors[:, :2] + errors[:, 2:]) / 2
    speeds = courses.speeds + moved * (6 / (count * (count + 1))) / frames[:, None]
    return Courses(places, speeds, seen)
