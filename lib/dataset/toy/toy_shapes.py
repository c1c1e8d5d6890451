"""What toy scenes are made of: textured objects of five classes, distractors of none, cluttered
backgrounds.

Objects differ by shape and texture. Their colours are drawn anew for every instance; each class
prefers a range of hues, which distractors and backgrounds use, too: a hint, not an answer.
All randomness comes from the numpy RandomState `rng` that callers pass.
"""
import colorsys

import cv2
import numpy as np

CLASSES = ('ball', 'crate', 'cone', 'star', 'bus')
PATCH = 128                # pixels of the square patch that holds an object
SIDE = 2 * PATCH           # ... and of the one it is drawn in, before edges are smoothed by halving it
_CENTRE = SIDE / 2.0
HUE_RANGE = 0.08           # of a class to either side, of a full turn; the classes are 0.2 apart


def make_object(rng: np.random.RandomState, class_index: int) -> np.ndarray:
    """Draw an instance of CLASSES[class_index]: float32 BGRA [PATCH, PATCH, 4], colours 0-255,
    alpha 0-1.
    """
    first, second = _colour_pair(rng, class_index / len(CLASSES))
    mask, texture = (_ball, _crate, _cone, _star, _bus)[class_index](rng, first, second)
    return _finish(rng, mask, texture)


def make_distractor(rng: np.random.RandomState) -> np.ndarray:
    """Draw something that is no class, as make_object: other shapes, flat, striped, chequered or
    blotched.
    """
    first, second = _colour_pair(rng)
    mask = _DISTRACTORS[rng.randint(len(_DISTRACTORS))](rng)
    x = np.arange(SIDE, dtype=np.int16)
    y = x[:, None]
    period = rng.randint(24, 64)
    blotches = _blotches(rng, 6, SIDE)
    pattern = (lambda: np.zeros((SIDE, SIDE), bool), lambda: (x + y) // period % 2,
               lambda: (x // period + y // period) % 2, lambda: blotches > 0.5)[rng.randint(4)]()
    return _finish(rng, mask, _two_coloured(pattern, first, second))


def make_background(rng: np.random.RandomState, height: int, width: int) -> np.ndarray:
    """Draw a cluttered picture with `rng`: float32 BGR [height, width, 3], 0-255."""
    low, high = np.sort(rng.uniform(30, 220, (2, 3)), axis=0).astype(np.float32)
    mixture = 0.6 * _blotches(rng, 5, height, width) + 0.4 * _blotches(rng, 24, height, width)
    canvas = cv2.merge([(first + (last - first) * mixture).astype(np.uint8) for first, last in zip(low, high)])
    layer = canvas.copy()
    for _ in range(rng.randint(25, 60)):
        drawn = _clutter(rng, layer)
        opacity = rng.uniform(0.25, 0.9)
        canvas[drawn] = layer[drawn] = cv2.addWeighted(layer[drawn], opacity, canvas[drawn], 1 - opacity, 0)
    return canvas.astype(np.float32)


def _clutter(rng, canvas):
    """Draw a line, rectangle, polygon or arc on `canvas`, uint8; return the slices of rows and
    columns it is in.
    """
    height, width = canvas.shape[:2]
    colour = tuple(int(v) for v in rng.randint(20, 236, 3))
    x, y = rng.randint(width), rng.randint(height)
    size = rng.randint(8, 90)
    kind = rng.randint(4)
    if kind == 0:
        end = (int(x + rng.randint(-2, 3) * size), int(y + rng.randint(-2, 3) * size))
        cv2.line(canvas, (x, y), end, colour, rng.randint(1, 5), cv2.LINE_AA)
    elif kind == 1:
        cv2.rectangle(canvas, (x, y), (x + size, y + rng.randint(6, 120)), colour, rng.choice([-1, 2, 4]))
    elif kind == 2:
        points = rng.randint(-size, size + 1, (rng.randint(4, 7), 2)) + (x, y)
        cv2.fillPoly(canvas, [points.astype(np.int32)], colour, cv2.LINE_AA)
    else:
        start = int(rng.randint(360))
        cv2.ellipse(canvas, (x, y), (size, int(rng.randint(6, 50))), float(rng.randint(180)), start,
                    start + int(rng.randint(60, 250)), colour, int(rng.randint(1, 6)), cv2.LINE_AA)
    # Of the farthest corner, and half of the thickest line.
    reach = (2 * size, max(size, 120), size, max(size, 50))[kind] + 8
    return slice(max(0, y - reach), y + reach), slice(max(0, x - reach), x + reach)


def _colour_pair(rng, hue=None):
    """Two BGR colours, float [3] each, that differ clearly in brightness; the first near `hue`,
    0-1, where given.
    """
    hue = rng.rand() if hue is None else hue + rng.uniform(-HUE_RANGE, HUE_RANGE)
    first, second = _colour(hue, rng.uniform(0.5, 1.0)), _colour(rng.rand(), rng.uniform(0.0, 0.7))
    bright, dark = rng.uniform(170, 250), rng.uniform(25, 110)
    return (first * bright, second * dark) if rng.randint(2) else (first * dark * 1.4, second * bright)


def _colour(hue, saturation):
    """BGR, float [3] in 0-1, of full brightness."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, 1.0)[::-1])


def _finish(rng, mask, texture):
    """Shade and roughen a texture, [SIDE, SIDE, 3], and join it with its mask, uint8 0/255, to a
    patch.
    """
    size = (PATCH, PATCH)
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.35)
    axis = np.linspace(-1, 1, PATCH, dtype=np.float32)
    light = 1 + strength * (np.cos(angle) * axis + np.sin(angle) * axis[:, None])
    light += rng.uniform(0.1, 0.3) * (_blotches(rng, 12, PATCH) - 0.5)
    colours = cv2.resize(texture, size, interpolation=cv2.INTER_AREA) * light[..., None]
    alpha = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) / np.float32(255)
    return cv2.merge([*cv2.split(np.clip(colours, 0, 255)), alpha])


def _blotches(rng, cells, height, width=None):
    """Smooth noise in 0-1, float32 [height, width], with `cells` bumps along its height."""
    width = width or height
    grid = rng.rand(cells, max(2, cells * width // height)).astype(np.float32)
    return np.clip(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def _two_coloured(second_where, first, second):
    """Texture, float32 [SIDE, SIDE, 3]: `second` where the pattern [SIDE, SIDE] says so, else
    `first`.
    """
    texture = np.empty((SIDE, SIDE, 3), np.float32)
    for channel in range(3):     # one at a time, as NumPy is slow at rows of 3
        texture[..., channel] = np.where(second_where, np.float32(second[channel]), np.float32(first[channel]))
    return texture


def _blank():
    return np.zeros((SIDE, SIDE), np.uint8)


def _polygon(points):
    """Mask of a polygon given by points [n, 2] in units of SIDE."""
    mask = _blank()
    cv2.fillPoly(mask, [np.round(np.asarray(points) * SIDE).astype(np.int32)], 255)
    return mask


def _regular(corners, radius, start=0.0):
    angles = start + np.arange(corners) * 2 * np.pi / corners
    return np.stack([0.5 + radius * np.cos(angles), 0.5 + radius * np.sin(angles)], axis=1)


def _ball(rng, first, second):
    """A disc with alternating sectors that meet in its middle."""
    mask = _blank()
    cv2.circle(mask, (SIDE // 2, SIDE // 2), 122, 255, -1)
    x, y = np.meshgrid(np.arange(SIDE) - _CENTRE, np.arange(SIDE) - _CENTRE)
    sectors = 2 * rng.randint(3, 5)
    odd = np.floor((np.arctan2(y, x) / (2 * np.pi) + rng.rand()) * sectors) % 2 == 1
    return mask, _two_coloured(odd, first, second)


def _crate(rng, first, second):
    """A square with a frame and a diagonal cross or bar."""
    mask = _polygon([(0.06, 0.06), (0.94, 0.06), (0.94, 0.94), (0.06, 0.94)])
    drawing, thickness = _blank(), int(rng.randint(22, 32))
    cv2.rectangle(drawing, (26, 26), (230, 230), 1, thickness)
    cv2.line(drawing, (26, 26), (230, 230), 1, thickness)
    if rng.randint(2):
        cv2.line(drawing, (26, 230), (230, 26), 1, thickness)
    return mask, _two_coloured(drawing, first, second)


def _cone(rng, first, second):
    """A triangle with stripes along its base."""
    mask = _polygon([(0.5, 0.03), (0.95, 0.95), (0.05, 0.95)])
    stripes = rng.randint(5, 8)
    odd = np.floor((np.arange(SIDE) / SIDE + rng.rand() / stripes) * stripes) % 2 == 1
    return mask, _two_coloured(odd[:, None], first, second)


def _star(rng, first, second):
    """A five-pointed star with dots."""
    outer, inner = _regular(5, 0.49, -np.pi / 2), _regular(5, 0.24, -np.pi / 2 + np.pi / 5)
    mask = _polygon(np.stack([outer, inner], axis=1).reshape(10, 2))
    drawing, step = _blank(), int(rng.randint(38, 50))
    shift = int(rng.randint(step))
    for row, y in enumerate(range(shift - step, SIDE + step, step)):
        for x in range(shift - step + row % 2 * step // 2, SIDE + step, step):
            cv2.circle(drawing, (x, y), step * 3 // 10, 1, -1)
    return mask, _two_coloured(drawing, first, second)


def _bus(rng, first, second):
    """A long body with a row of windows and two wheels."""
    mask = _blank()
    cv2.rectangle(mask, (6, 56), (250, 184), 255, -1)
    drawing = _blank()
    windows = int(rng.randint(3, 6))
    pitch = 232 // windows
    for i in range(windows):
        cv2.rectangle(drawing, (16 + i * pitch, 74), (16 + i * pitch + pitch * 2 // 3, 118), 1, -1)
    cv2.rectangle(drawing, (6, 138), (250, 148), 1, -1)
    for x in (62, 194):
        cv2.circle(mask, (x, 184), 28, 255, -1)
        cv2.circle(drawing, (x, 184), 26, 1, -1)
    return mask, _two_coloured(drawing, first, second)


def _hexagon(rng):
    return _polygon(_regular(6, 0.46))


def _ring(rng):
    mask = _blank()
    cv2.circle(mask, (SIDE // 2, SIDE // 2), 98, 255, int(rng.randint(24, 44)))
    return mask


def _plus(rng):
    return np.maximum(_polygon([(0.36, 0.04), (0.64, 0.04), (0.64, 0.96), (0.36, 0.96)]),
                      _polygon([(0.04, 0.36), (0.96, 0.36), (0.96, 0.64), (0.04, 0.64)]))


def _bar(rng):
    return _polygon([(0.02, 0.4), (0.98, 0.4), (0.98, 0.6), (0.02, 0.6)])


def _crescent(rng):
    mask = _blank()
    cv2.circle(mask, (128, 128), 118, 255, -1)
    cv2.circle(mask, (178, 110), 104, 0, -1)
    return mask


def _zigzag(rng):
    return _polygon([(0.3, 0.03), (0.75, 0.03), (0.55, 0.38), (0.8, 0.38), (0.3, 0.97), (0.45, 0.55), (0.2, 0.55)])


_DISTRACTORS = (_hexagon, _ring, _plus, _bar, _crescent, _zigzag)
