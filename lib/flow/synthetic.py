"""Synthetic pairs with exact flow: textured layers, each under an affine motion of its own over a moving background.

After FlyingChairs (Dosovitskiy et al., arXiv 1504.06852, section 4.2), with drawn shapes in the
place of chairs. The motions' spread is ours: shifts of the background around a quarter of that of
the shapes, turns and zooms of a few percent.
"""
import glob
import os

import cv2
import numpy as np

from lib.flow.pairs import Pair
from dff.errors import DataError
from dff.image import read_image

LAYERS = (4, 12)              # shapes in a pair, at least and fewer than
RADIUS = (0.06, 0.25)         # of a shape, in shorter sides of the image
BANK, BANK_SIDE = 40, 512     # noise textures to choose from, pixels
TURN, ZOOM = 0.08, 0.06       # standard deviations of a shape's turn (radians) and zoom
BACKGROUND = 0.25             # the background's motion relative to a shape's


class SyntheticPairs:
    """A source of pairs of `size` (height, width).

    motion: standard deviation of a shape's shift, pixels, in x and in y. textures: a folder of images to cut textures
    from; '' for noise. seed: of the noise. Raises DataError where the folder has no images.
    """

    def __init__(self, size, motion, textures='', seed=0):
        self.size, self.motion = tuple(size), motion
        self._images = []
        if textures:
            self._images = sorted(path for path in glob.glob(
                os.path.join(glob.escape(textures), '**', '*'), recursive=True)
                                  if path.lower().endswith(('.jpg', '.jpeg', '.png', '.ppm')))
            if not self._images:
                raise DataError('%s holds no images to take textures from (.jpg, .jpeg, .png, .ppm)' % textures)
        self._seed, self._bank = seed, {}

    def __call__(self, rng):
        height, width = self.size
        margin = max(self.size) // 8
        ground = _affine((width / 2.0, height / 2.0), BACKGROUND * self.motion, BACKGROUND, rng)
        wide = self._texture((height + 2 * margin, width + 2 * margin), rng)
        current = np.ascontiguousarray(wide[margin:margin + height, margin:margin + width])
        reference = cv2.warpAffine(wide, (ground @ _shift(-margin, -margin))[:2], (width, height),
                                   flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        flow = _flow_of(ground, 0, 0, height, width)
        for _ in range(rng.randint(*LAYERS)):
            alpha = _shape(rng, min(self.size))
            left, top = (int(side * rng.uniform(0, 1) - have / 2.0)
                         for side, have in ((width, alpha.shape[1]), (height, alpha.shape[0])))
            middle = left + alpha.shape[1] / 2.0, top + alpha.shape[0] / 2.0
            # As in the paper, a shape's motion adds to that of the background.
            motion = ground @ _affine(middle, self.motion, 1.0, rng)
            texture = self._texture(alpha.shape, rng)
            _blend(current, texture, alpha, left, top)
            _paste(reference, texture, alpha, motion @ _shift(left, top))
            _set_flow(flow, motion, alpha >= 128, left, top)
        return Pair(current, reference, flow)

    def _texture(self, size, rng):
        """A BGR uint8 texture of `size`, cut from an image or from noise, in colours of its own."""
        if self._images:
            image = read_image(self._images[rng.randint(len(self._images))])
        else:
            image = self._noise(rng.randint(BANK))
        scale = max(rng.uniform(1.0, 1.5) * side / have for side, have in zip(size, image.shape))
        if self._images or scale > 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        y, x = (rng.randint(0, have - side + 1) for have, side in zip(image.shape, size))
        gain, offset = rng.uniform(0.5, 1.2, 3), rng.uniform(-30, 60, 3)
        table = np.clip(np.arange(256)[:, None] * gain + offset, 0, 255).astype(np.uint8)[None]
        return cv2.LUT(np.ascontiguousarray(image[y:y + size[0], x:x + size[1]]), table)


    def _noise(self, number):
        """Noise texture `number`, made when it is first asked for."""
        if number not in self._bank:
            self._bank[number] = _noise(BANK_SIDE, np.random.RandomState(self._seed * BANK + number))
        return self._bank[number]


def _shift(x, y):
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def _paste(canvas, texture, alpha, motion):
    """Draw a texture with its mask, both moved from their own pixels by `motion`, onto `canvas`, in place."""
    height, width = alpha.shape
    corners = motion @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1.0]])
    x1, y1 = (max(0, int(np.floor(value)) - 1) for value in corners[:2].min(axis=1))
    x2, y2 = (min(side, int(np.ceil(value)) + 2) for side, value in zip(canvas.shape[1::-1], corners[:2].max(axis=1)))
    if x1 >= x2 or y1 >= y2:
        return
    matrix, size = (_shift(-x1, -y1) @ motion)[:2], (x2 - x1, y2 - y1)
    layer = cv2.warpAffine(texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    _blend(canvas, layer, cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR), x1, y1)


def _blend(canvas, layer, alpha, left, top):
    """Draw `layer` with its mask, its upper left pixel at (left, top), onto `canvas`, in place."""
    part, own = _overlap(canvas, alpha, left, top)
    weight = alpha[own][..., None] / np.float32(255)
    canvas[part] = (canvas[part] + weight * (layer[own].astype(np.float32) - canvas[part]) + 0.5).astype(np.uint8)


def _set_flow(flow, motion, inside, left, top):
    """Write the flow of `motion` where the mask `inside`, with its upper left pixel at (left, top), is true."""
    part, own = _overlap(flow, inside, left, top)
    values = _flow_of(motion, part[0].start, part[1].start, *inside[own].shape)
    flow[part][inside[own]] = values[inside[own]]


def _overlap(canvas, layer, left, top):
    """(rows and columns of `canvas`, those of `layer`), as slices, where the two overlap; they may be empty."""
    spans = [(max(0, start), max(0, start, min(side, start + have)), start)
             for start, side, have in zip((top, left), canvas.shape, layer.shape)]
    return tuple(slice(a, b) for a, b, _ in spans), tuple(slice(a - start, b - start) for a, b, start in spans)


def _affine(centre, shift, spread, rng):
    """Return a random affine motion [3, 3] about `centre`.

    `shift` is the standard deviation of its shift; those of turn and zoom are times `spread`.
    """
    turn, zoom = spread * TURN * rng.normal(), np.exp(spread * ZOOM * rng.normal())
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    motion = np.eye(3)
    motion[:2, :2] = linear
    motion[:2, 2] = np.array(centre) - linear @ centre + shift * rng.normal(size=2)
    return motion


def _flow_of(motion, top, left, height, width):
    """float32 [height, width, 2]: where the affine motion takes each pixel from (left, top) on, minus the pixel."""
    x, y = np.arange(left, left + width, dtype=np.float32), np.arange(top, top + height, dtype=np.float32)[:, None]
    flow = np.empty((height, width, 2), np.float32)
    for axis, (a, b, c) in enumerate((motion[:2] - np.eye(3)[:2]).astype(np.float32)):
        flow[..., axis] = a * x + (b * y + c)
    return flow


def _shape(rng, side):
    """A mask, uint8 [h, w] with a soft edge, of a random star-shaped polygon or ellipse, for an
    image of that shorter side.
    """
    radius = side * np.exp(rng.uniform(*np.log(RADIUS)))
    if rng.rand() < 0.7:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.randint(4, 12)))
        reach = radius * rng.uniform(0.5, 1.4, len(angles))
    else:
        angles, reach = np.linspace(0, 2 * np.pi, 40), radius
    stretch = np.exp(rng.normal(0, 0.3))
    points = np.stack([np.cos(angles) * reach * stretch, np.sin(angles) * reach / stretch], axis=1)
    points -= points.min(axis=0) - 2
    mask = np.zeros(tuple(int(value) + 3 for value in points.max(axis=0)[::-1]), np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return mask


def _noise(side, rng):
    """A BGR uint8 texture of side x side pixels: noise of several scales in two mixed colours."""
    value = np.zeros((side, side), np.float32)
    for cell in (4, 9, 20, 48, 100):
        grid = rng.normal(size=(side // cell, side // cell)).astype(np.float32)
        value += rng.uniform(0.2, 1) * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
    value = 1 / (1 + np.exp(-rng.uniform(1.5, 5) * value))[..., None]
    colours = rng.uniform(0, 255, (2, 3)).astype(np.float32)
    return (colours[0] * value + colours[1] * (1 - value)).astype(np.uint8)
