"""Augmentation of pairs as FlowNet's (Dosovitskiy et al., arXiv 1504.06852, section 4.3): geometry and colours."""
import cv2
import numpy as np

from lib.flow.pairs import Pair
from dff.errors import DataError

# The paper's ranges: shift in image widths, turn in degrees, zoom; colours are of pixels from 0 to 1.
SHIFT, TURN, ZOOM = 0.2, 17.0, (0.9, 2.0)
# The second image's additional motion: standard deviations of shift (image widths), turn (degrees)
# and log zoom. The paper gives no numbers for it; these are ours.
RELATIVE = (0.01, 0.5, 0.01)
NOISE, CONTRAST, COLOUR, GAMMA, BRIGHTNESS = 0.04, (-0.8, 0.4), (0.5, 2.0), (0.7, 1.5), 0.2
TRIES = 30
# Drawing anew takes longer than all the rest.
_NORMAL = np.random.RandomState(0).standard_normal(1 << 21).astype(np.float32)


class Cut:
    """A source of pairs of `size` (height, width): the middle of those of `source`.

    Raises DataError where a pair is smaller than `size`.
    """

    def __init__(self, source, size):
        self.source, self.size = source, tuple(size)

    def __call__(self, rng):
        return self._fitted(self.source(rng), rng)

    def _fitted(self, pair, rng):
        (height, width), (rows, columns) = self.size, pair.flow.shape[:2]
        if rows < height or columns < width:
            raise DataError('a pair has %d x %d pixels, less than SCALES: %d x '
                            '%d' % (columns, rows, width, height))
        top, left = (rows - height) // 2, (columns - width) // 2
        return Pair(*(array[top:top + height, left:left + width] for array in pair))


class Augmented(Cut):
    """A source of pairs of `size`: those of `source`, moved, turned, zoomed, cut out, in other colours."""

    def _fitted(self, pair, rng):
        super()._fitted(pair, rng)
        return change_colours(move(pair, self.size, rng), rng)


def move(pair, size, rng):
    """Return a pair moved by a random similarity, and its reference by a small one more.

    The cut-out always lies within both images: what does not fit is drawn again, in the end the
    middle is taken.

    Args:
        pair: the Pair.
        size: (height, width) of the result.
        rng: np.random.RandomState.
    """
    height, width = size
    for _ in range(TRIES):
        to_current = _similarity(pair.flow.shape, size, width * rng.uniform(-SHIFT, SHIFT, 2),
                                 np.radians(rng.uniform(-TURN, TURN)), rng.uniform(*ZOOM))
        shift, turn, zoom = RELATIVE
        more = _similarity(size, size, width * shift * rng.normal(size=2),
                           np.radians(turn * rng.normal()), np.exp(zoom * rng.normal()))
        to_reference = to_current @ more
        if all(_inside(matrix, size, pair.flow.shape) for matrix in (to_current, to_reference)):
            break
    else:
        to_current = to_reference = _similarity(pair.flow.shape, size, np.zeros(2), 0.0, 1.0)
    current, reference = (
        cv2.warpAffine(image, matrix[:2], (width, height),
                       flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                       borderMode=cv2.BORDER_REPLICATE)
        for image, matrix in ((pair.current, to_current), (pair.reference, to_reference)))
    return Pair(current, reference, _moved_flow(pair.flow, to_current, to_reference, size))


def _moved_flow(flow, to_current, to_reference, size):
    """What was at p in the old current image went to p + flow(p); now both ends are seen through their similarities."""
    height, width = size
    points = np.empty((height, width, 2), np.float32)
    points[..., 0], points[..., 1] = np.arange(width), np.arange(height)[:, None]
    old = _apply(to_current, points)
    # The nearest old flow: between two motions there is no third.
    ends = old + cv2.remap(flow, old, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return _apply(np.linalg.inv(to_reference), ends) - points


def _apply(matrix, points):
    """Points [H, W, 2] through an affine matrix [3, 3]; float32."""
    x, y = points[..., 0], points[..., 1]
    out = np.empty_like(points)
    for axis, (a, b, c) in enumerate(matrix[:2].astype(np.float32)):
        out[..., axis] = a * x + b * y + c
    return out


def _similarity(source, target, shift, turn, zoom):
    """[3, 3]: pixels of an image of shape `target` to those of `source`, middle to middle, zoomed in `zoom` times."""
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / zoom
    centres = [(np.array(shape[1::-1]) - 1) / 2.0 for shape in (source, target)]
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centres[0] - linear @ (centres[1] + shift)
    return matrix


def _inside(matrix, size, shape):
    """Whether the corners of a cut-out of `size` lie within an image of `shape`."""
    height, width = size
    corners = np.array([[[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]], np.float64)
    mapped = corners @ matrix[:2, :2].T + matrix[:2, 2]
    return mapped.min() >= 0 and (mapped <= np.array([shape[1] - 1, shape[0] - 1])).all()


def change_colours(pair, rng):
    """Contrast, colours, gamma and brightness of both images alike, then noise of their own."""
    contrast, gamma = 1 + rng.uniform(*CONTRAST), rng.uniform(*GAMMA)
    values = np.arange(256)[:, None] / 255.0
    values = np.clip((values - 0.5) * contrast + 0.5 + BRIGHTNESS * rng.normal(), 0, 1) * rng.uniform(*COLOUR, size=3)
    table = (255 * np.clip(values, 0, 1) ** gamma).astype(np.uint8)[None]
    sigma = np.float32(255 * rng.uniform(0, NOISE))

    def changed(image):
        start = rng.randint(_NORMAL.size)
        noise = np.take(_NORMAL, np.arange(start, start + image.size), mode='wrap').reshape(image.shape)
        return np.clip(cv2.LUT(image, table) + sigma * noise, 0, 255).astype(np.uint8)
    return Pair(changed(pair.current), changed(pair.reference), pair.flow)
