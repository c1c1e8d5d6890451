"""A model without an engine: it finds the bright square of each frame, for tests of what runs around networks."""
import numpy as np

from dff.frames import InputFormat
from dff.networks import Outputs
from dff.runtime.backend import About, Backend, ClipRules
from dff.runtime.model import Model

SIZE = 32
FORM = InputFormat((96, 160), 0, (0, 0, 0))


def frame(t, step=8):
    """Frame t of a clip of a square that moves `step` pixels a frame: BGR uint8 [96, 160, 3]."""
    image = np.zeros((96, 160, 3), np.uint8)
    left = (t * step) % (160 - SIZE)
    image[32:32 + SIZE, left:left + SIZE] = 255
    return image


def clip(length, step=8):
    """`length` frames."""
    return [frame(t, step) for t in range(length)]


class FakeNetworks:
    """Where the square is, and the flow to the key frame."""

    def __init__(self):
        self.calls = []

    def key(self, frame):
        """See dff.networks.Networks."""
        self.calls.append('key')
        left = _left(frame.image)
        return Outputs(left), left

    def current(self, frame, state):
        """See dff.networks.Networks."""
        self.calls.append('current')
        left = _left(frame.image)
        flow = np.zeros((2, 6, 10), np.float32)
        flow[0] = (state - left) / 16
        return Outputs(left, flow=flow)


def _left(image):
    columns = np.flatnonzero(image[48, :, 0] > 127)
    return int(columns[0]) if len(columns) else -1


def _detections(left, frame, thresh):
    found = [] if left < 0 else [[2, 0.9, left, 32, left + SIZE - 1, 32 + SIZE - 1]]
    rows = np.array(found + [[1, 0.2, 100, 0, 110, 10]], np.float32)
    return rows[rows[:, 1] > thresh]


def _before_nms(left, frame, thresh):
    """Two boxes about the square, of a low score in every other frame of a clip."""
    score = 0.9 if left % 16 == 0 else 0.3
    rows = [[2, score, left, 32, left + SIZE - 1, 32 + SIZE - 1],
            [2, score / 2, left + 2, 32, left + SIZE + 1, 32 + SIZE - 1], [1, 1e-4, 0, 0, 9, 9]]
    return np.array([row for row in rows if row[1] > thresh], np.float32)


def _labels(left, frame, thresh):
    return (frame.image[:, :, 0] > 127).astype(np.uint8)


def fake_backend(engine='a fake (CPU)', recognises='detection', **changes):
    """A Backend; changes: of its About."""
    palette = None if recognises == 'detection' else np.array([[0, 0, 0], [255, 0, 0]], np.uint8)
    classes = ['__background__', 'cat', 'square'] if palette is None else ['ground', 'square']
    about = About(recognises, classes, palette, True, 4, 'fixed', None)._replace(**changes)
    if palette is None:
        return Backend(about, FakeNetworks(), FORM, _detections, engine, ClipRules(_before_nms, 'avg', 0.3, 300))
    return Backend(about, FakeNetworks(), FORM, _labels, engine)


def fake_model(recognises='detection', **changes):
    """A Model; changes: of its About."""
    return Model(fake_backend(recognises=recognises, **changes))
