"""Augmentation of detection: other colours, a part of the frame, or the frame on a larger canvas.

The choices are those of SSD (Liu et al., arXiv 1512.02325, sections 2.2 and 3.6); the formulas and ranges are ours.
A View is drawn once for a sample and applied to both frames of a pair, so that the flow between
them stays true. The network's input keeps its size, so that no other network has to be bound.
"""
from typing import NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

# Each colour change comes to half of the images. Brightness in grey levels, hue in degrees.
CHANCE = 0.5
BRIGHTNESS, CONTRAST, SATURATION, HUE = 32.0, (0.5, 1.5), (0.5, 1.5), 18.0
# Sides of a crop, and of the canvas of a zoomed-out frame, in sides of the frame; a crop's width to its height
# in that of the frame.
CROP, ASPECT, ZOOM_OUT = (0.5, 1.0), (0.8, 1.25), (1.0, 2.0)
KEEP = 0.5               # a box with a smaller share of its area in view is dropped
MIDDLE = 127.5           # grey level that contrast leaves as it is
_GREY = np.full((3, 3), 1 / 3.0)
# Turns colours about the axis of greys by 90 degrees.
_TURN = np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]) / np.sqrt(3.0)


class View(NamedTuple):
    """What a network sees of a frame.

    Attributes:
        window: x, y, width, height in the frame's pixels; it may reach over the frame's borders.
        size: (height, width) that the window is scaled to, pixels.
        colours: float64 [3, 4], the matrix on (blue, green, red, 1); None: they stay.
        border: blue, green, red of what is outside the frame.
    """

    window: Tuple[int, int, int, int]
    size: Tuple[int, int]
    colours: Optional[np.ndarray]
    border: Sequence[float]

    @property
    def factors(self) -> np.ndarray:
        """Return what x and y are multiplied by, from frame to input: float64 [2]."""
        return np.array([self.size[1] / self.window[2], self.size[0] / self.window[3]])

    def image(self, frame: np.ndarray) -> np.ndarray:
        """Return the view of `frame`, BGR uint8 [H, W, 3]: the same, of `size`."""
        x, y, width, height = self.window
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, frame.shape[1]), min(y + height, frame.shape[0])
        corners = np.array([[left, top], [right, bottom]], np.float64) - (x, y)
        (x1, y1), (x2, y2) = np.round(corners * self.factors).astype(int).tolist()
        part = cv2.resize(frame[top:bottom, left:right], (max(1, x2 - x1), max(1, y2 - y1)))
        if self.colours is not None:
            part = cv2.transform(part, self.colours)
        if part.shape[:2] == self.size:
            return part
        canvas = np.empty(self.size + (3,), np.uint8)
        canvas[:] = np.round(self.border)
        place = canvas[y1:y1 + part.shape[0], x1:x1 + part.shape[1]]
        place[:] = part[:place.shape[0], :place.shape[1]]
        return canvas

    def boxes(self, boxes: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return the boxes in view, float64 [m, 4] in pixels of the input, and their indices, int64 [m].

        They are cut to the window; those with less than KEEP of their area in it are left out.

        Args:
            boxes: [n, 4], x1 y1 x2 y2, inclusive corners in pixels of the frame.
        """
        x, y, width, height = self.window
        moved = np.asarray(boxes, np.float64) - (x, y, x, y)
        limits = np.array([width - 1, height - 1] * 2, np.float64)
        cut = np.clip(moved, 0, limits)
        sides, all_sides = (np.maximum(b[:, 2:] - b[:, :2] + 1, 0) for b in (cut, moved))
        # Boxes outside are cut to a line on the border, one pixel thick.
        outside = (moved[:, 2:] < 0).any(axis=1) | (moved[:, :2] > limits[:2]).any(axis=1)
        kept = np.flatnonzero((sides.prod(axis=1) >= KEEP * all_sides.prod(axis=1)) & ~outside)
        return cut[kept] * np.tile(self.factors, 2), kept


def is_augmented(train) -> bool:
    """Return whether `train`, the settings TRAIN, ask for any of these changes."""
    return bool(train.PHOTOMETRIC or train.RANDOM_CROP or train.ZOOM_OUT)


def draw_view(frame: Tuple[int, int], size: Tuple[int, int], boxes: np.ndarray, cfg,
              rng: np.random.RandomState) -> View:
    """Draw what is seen of a frame.

    Args:
        frame: (height, width) of the frame, pixels.
        size: (height, width) of the network's input before it is padded.
        boxes: float32 [n, 4], n >= 1, of the frame; one at least stays wholly in view.
        cfg: the settings; TRAIN.RANDOM_CROP and TRAIN.ZOOM_OUT are shares of the images, together
            at most 1, and TRAIN.PHOTOMETRIC says whether colours change.
        rng: draws everything.
    """
    train = cfg.TRAIN
    chance = rng.uniform()
    if chance < train.RANDOM_CROP:
        window = _crop(frame, boxes[rng.randint(len(boxes))], rng)
    elif chance < train.RANDOM_CROP + train.ZOOM_OUT:
        window = _canvas(frame, rng)
    else:
        window = 0, 0, frame[1], frame[0]
    colours = draw_colours(rng) if train.PHOTOMETRIC else None
    return View(window, tuple(size), colours, cfg.network.PIXEL_MEANS)


def _crop(frame, box, rng):
    """Draw a window inside a frame of (height, width) that holds `box` wholly."""
    height, width = frame
    side, aspect = rng.uniform(*CROP), np.sqrt(np.exp(rng.uniform(*np.log(ASPECT))))
    starts, sides = [], []
    for length, factor, low, high in ((width, side * aspect, box[0], box[2]), (height, side / aspect, box[1], box[3])):
        low, high = int(np.floor(low)), int(np.ceil(high)) + 1
        part = min(length, max(int(round(length * factor)), high - low))
        starts.append(rng.randint(max(0, high - part), min(low, length - part) + 1))
        sides.append(part)
    return tuple(starts + sides)


def _canvas(frame, rng):
    """Draw a window of the shape of a frame of (height, width) that holds the frame wholly."""
    factor = rng.uniform(*ZOOM_OUT)
    height, width = (int(round(side * factor)) for side in frame)
    return -rng.randint(width - frame[1] + 1), -rng.randint(height - frame[0] + 1), width, height


def draw_colours(rng: np.random.RandomState) -> np.ndarray:
    """Draw a change of brightness, contrast, saturation and hue, each with CHANCE: float64 [3, 4].

    A colour is a grey and its difference from that. Saturation multiplies the difference, hue turns
    it about the axis of greys; contrast multiplies what differs from MIDDLE, and brightness is
    added. Together they are one matrix.
    """
    # Always as many draws, whatever they say.
    brightness, contrast, saturation, hue = (
        value if chance < CHANCE else neutral for chance, value, neutral in zip(
            rng.uniform(size=4),
            (rng.uniform(-BRIGHTNESS, BRIGHTNESS), rng.uniform(*CONTRAST), rng.uniform(*SATURATION),
             np.radians(rng.uniform(-HUE, HUE))),
            (0.0, 1.0, 1.0, 0.0)))
    difference = np.eye(3) - _GREY
    linear = contrast * (_GREY + saturation * (np.cos(hue) * difference + np.sin(hue) * _TURN))
    return np.hstack([linear, np.full((3, 1), MIDDLE * (1 - contrast) + brightness)])
