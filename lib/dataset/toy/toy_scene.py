"""Toy scenes: textured objects that move over a panning background, drawn frame by frame.

A frame comes with its boxes and an id mask, so that detection and segmentation labels show the
same scene.
"""
import functools
from dataclasses import dataclass
from typing import List, Tuple

import cv2
import numpy as np

from lib.dataset.toy.toy_shapes import CLASSES, PATCH, make_background, make_distractor, make_object

HEIGHT, WIDTH = 192, 320
SPEEDS = {'slow': (0.1, 0.5), 'medium': (0.5, 1.1), 'fast': (1.1, 2.0)}   # pixels a frame
SIZES = (36, 105)              # pixels: an object's first size lies between
SMALLEST, LARGEST = 28, 110    # ... and stays between these, while it swells and shrinks
MARGIN = 14                    # a centre stays this far inside the picture, pixels
OCCLUDED_BELOW = 0.7           # visible share under which an object counts as occluded
HIDDEN_BELOW = 0.35            # ... and under which it is not annotated
SMALLEST_SIDE = 6              # a visible part with a shorter side is not annotated, pixels


@dataclass
class Thing:
    """An annotated object of one frame."""

    track: int            # the same in all frames of a clip; its value in the id mask minus 1
    class_index: int      # from 0, into CLASSES
    box: Tuple[int, int, int, int]    # x1 y1 x2 y2 of the visible part, inclusive pixels
    occluded: bool


@dataclass
class Frame:
    """A drawn frame and its labels."""

    image: np.ndarray     # uint8 BGR [HEIGHT, WIDTH, 3]
    ids: np.ndarray       # uint8 [HEIGHT, WIDTH]: track + 1, 0 for the background
    things: List[Thing]   # annotated objects, by track


class Sprite:
    """Something that moves through the picture: its drawing and its path."""

    def __init__(self, rng: np.random.RandomState, patch: np.ndarray, track: int, speed: str,
                 size: float, scale: float = 1.0) -> None:
        """Draw all random choices of the path.

        Args:
            rng: where they come from.
            patch: the drawing, float32 BGRA of toy_shapes.
            track: number of the object; -1 for a distractor.
            speed: key of SPEEDS.
            size: mean size at scale 1, pixels.
            scale: factor on all sizes.
        """
        self.track, self.scale = track, scale
        self.levels = [patch]                 # ever smaller, so that a small object is not aliased
        while self.levels[-1].shape[0] > 32:
            self.levels.append(cv2.resize(self.levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        heading, pace = rng.uniform(0, 2 * np.pi), rng.uniform(*SPEEDS[speed])
        self.start = np.array([rng.uniform(MARGIN, WIDTH - MARGIN), rng.uniform(MARGIN, HEIGHT - MARGIN)])
        self.velocity = pace * np.array([np.cos(heading), np.sin(heading)])
        self.size, self.aspect = size, rng.uniform(0.85, 1.18)
        self.swell, self.period, self.phase = rng.uniform(0.0, 0.22), rng.uniform(30, 70), rng.uniform(0, 2 * np.pi)
        self.angle, self.turn = rng.uniform(-0.3, 0.3), rng.uniform(-0.012, 0.012)

    def pose(self, t: float) -> Tuple[np.ndarray, float]:
        """Return (2x3 matrix from patch pixels, of full size, to the picture, its scale) at time
        t, frames.
        """
        swell = 1 + self.swell * np.sin(2 * np.pi * t / self.period + self.phase)
        size = np.clip(self.size * swell, SMALLEST, LARGEST)
        scale = size * self.scale / PATCH
        centre = _bounce(self.start + self.velocity * t, (WIDTH, HEIGHT))
        angle = self.angle + self.turn * t
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = turn * scale @ np.diag([self.aspect, 1 / self.aspect])
        return np.column_stack([linear, centre - linear @ [PATCH / 2.0, PATCH / 2.0]]), scale

    def draw(self, t: float) -> Tuple[np.ndarray, int, int]:
        """Return (premultiplied BGRA float32, x, y) at time t: the rectangle that the object
        touches, its corner.
        """
        matrix, scale = self.pose(t)
        level = 0
        while level + 1 < len(self.levels) and scale * 2 ** (level + 1) <= 1.0:
            level += 1
        patch = self.levels[level]
        step = 2.0 ** level
        matrix = matrix @ np.array([[step, 0, (step - 1) / 2], [0, step, (step - 1) / 2], [0, 0, 1]])
        side = PATCH / step
        corners = matrix @ np.array([[0, side, 0, side], [0, 0, side, side], [1, 1, 1, 1]])
        x1, y1 = np.maximum(np.floor(corners.min(axis=1)).astype(int) - 1, 0)
        x2, y2 = np.minimum(np.ceil(corners.max(axis=1)).astype(int) + 2, (WIDTH, HEIGHT))
        matrix[:, 2] -= (x1, y1)
        out = cv2.warpAffine(patch, matrix, (int(x2 - x1), int(y2 - y1)), flags=cv2.INTER_LINEAR,
                             borderMode=cv2.BORDER_CONSTANT)
        for channel in range(3):     # one at a time, as NumPy is slow at rows of 3
            out[..., channel] *= out[..., 3]
        return out, int(x1), int(y1)


def _bounce(position, limits):
    """Reflect a position at the picture's margins."""
    folded = []
    for value, limit in zip(position, limits):
        span = limit - 2.0 * MARGIN
        value = (value - MARGIN) % (2 * span)
        folded.append(MARGIN + min(value, 2 * span - value))
    return np.array(folded)


@functools.lru_cache(maxsize=1)
def _noise():
    """Normal noise, larger than a frame; a frame takes a random part of it, which is faster than
    drawing anew.
    """
    return np.random.RandomState(0).normal(0, 1, (HEIGHT + 64, WIDTH + 64, 3)).astype(np.float32)


def _smear(layers):
    """The mean of drawings (array, x, y) at several times, as one: motion blur."""
    x1, y1 = (min(layer[axis] for layer in layers) for axis in (1, 2))
    x2 = max(x + drawing.shape[1] for drawing, x, _ in layers)
    y2 = max(y + drawing.shape[0] for drawing, _, y in layers)
    total = np.zeros((y2 - y1, x2 - x1, 4), np.float32)
    for drawing, x, y in layers:
        total[y - y1:y - y1 + drawing.shape[0], x - x1:x - x1 + drawing.shape[1]] += drawing
    return total / len(layers), x1, y1


def _paste(image, drawing, x, y):
    """Lay a premultiplied drawing over `image`, in place."""
    part = image[y:y + drawing.shape[0], x:x + drawing.shape[1]]
    rest = 1 - drawing[..., 3]
    for channel in range(3):
        part[..., channel] *= rest
        part[..., channel] += drawing[..., channel]


class Scene:
    """A background, its light, and sprites from back to front."""

    def __init__(self, rng: np.random.RandomState, speed: str, number: int, scale: float = 1.0,
                 sizes: Tuple[float, float] = SIZES) -> None:
        """Draw all random choices of a clip.

        Args:
            rng: where they come from; `render` goes on drawing from it.
            speed: key of SPEEDS.
            number: of the scene; the classes take turns by it, so that all come equally often.
            scale: how large everything is.
            sizes: of objects at scale 1, smallest and largest, pixels.
        """
        self.rng = rng
        self.canvas = make_background(rng, HEIGHT * 3 // 2, WIDTH * 3 // 2)
        heading, pace = rng.uniform(0, 2 * np.pi), rng.uniform(0, SPEEDS[speed][1])
        self.pan_start = rng.uniform(0, [WIDTH / 2.0, HEIGHT / 2.0])
        self.pan = pace * np.array([np.cos(heading), np.sin(heading)])
        self.classes = [(2 * number + i) % len(CLASSES) for i in range(rng.choice([1, 2, 2, 3, 3, 4]))]
        if len(self.classes) > 2 and rng.rand() < 0.4:
            self.classes[1] = self.classes[0]      # two of a kind in one picture
        self.sprites = [
            Sprite(rng, make_object(rng, class_index), track, speed, np.exp(rng.uniform(*np.log(sizes))), scale)
            for track, class_index in enumerate(self.classes)]
        self.sprites += [Sprite(rng, make_distractor(rng), -1, speed, rng.uniform(28, 75), scale)
                         for _ in range(rng.randint(1, 4))]
        rng.shuffle(self.sprites)      # type: ignore[arg-type]  # NumPy's stubs know arrays only
        self.shutter = {'slow': 0.5, 'medium': 1.0, 'fast': 1.6}[speed]    # exposure, frames
        self.grain = rng.uniform(2, 6)
        self.light = rng.uniform(0.75, 1.15)
        self.flicker, self.flicker_period = rng.uniform(0, 0.18), rng.uniform(15, 60)
        self.defocus, self.defocus_period = rng.uniform(-0.6, 1.1), rng.uniform(20, 60)
        x, y = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
        shade = (1 + rng.uniform(-0.25, 0.25) * x + rng.uniform(-0.25, 0.25) * y).astype(np.float32)
        self.shade = cv2.merge([shade] * 3)       # as large as a picture: NumPy is slow at rows of 3

    def render(self, t: float) -> Frame:
        """Return the Frame at time t, frames. Call with rising t: the noise is drawn as it goes."""
        times = t + self.shutter * np.array([-1 / 3.0, 0, 1 / 3.0])
        image = self._background(times[0])
        for time in times[1:]:
            image += self._background(time)
        image /= len(times)
        ids = np.zeros((HEIGHT, WIDTH), np.uint8)
        areas = np.zeros(len(self.classes), int)
        for sprite in self.sprites:
            drawings = [sprite.draw(time) for time in times]
            _paste(image, *_smear(drawings))
            layer, x, y = drawings[1]
            solid = layer[..., 3] >= 0.5
            ids[y:y + layer.shape[0], x:x + layer.shape[1]][solid] = sprite.track + 1
            if sprite.track >= 0:
                areas[sprite.track] = solid.sum()
        return Frame(self._expose(image, t), ids, self._things(ids, areas))

    def _background(self, t):
        x, y = self.pan_start + self.pan * t
        matrix = np.array([[1, 0, -x], [0, 1, -y]])
        return cv2.warpAffine(self.canvas, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR,
                              borderMode=cv2.BORDER_REFLECT_101)

    def _expose(self, image, t):
        """Light, defocus and noise; uint8. `image` is used up."""
        gain = self.light * (1 + self.flicker * np.sin(2 * np.pi * t / self.flicker_period))
        image *= self.shade
        image *= np.float32(gain)
        blur = self.defocus * np.sin(2 * np.pi * t / self.defocus_period)
        if blur > 0.3:
            image = cv2.GaussianBlur(image, (0, 0), blur)
        dx, dy = self.rng.randint(0, 64, 2)
        image += np.float32(self.grain) * _noise()[dy:dy + HEIGHT, dx:dx + WIDTH]
        return cv2.add(image, 0, dtype=cv2.CV_8U)        # rounded, and held to 0-255

    def _things(self, ids, areas):
        things = []
        for track, class_index in enumerate(self.classes):
            rows, columns = np.nonzero(ids == track + 1)
            if len(rows) == 0 or len(rows) < HIDDEN_BELOW * areas[track]:
                continue
            box = (int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max()))
            if min(box[2] - box[0], box[3] - box[1]) + 1 >= SMALLEST_SIDE:
                things.append(Thing(track, class_index, box, len(rows) < OCCLUDED_BELOW * areas[track]))
        return things
