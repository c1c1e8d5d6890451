"""A picture of six imported frames with their boxes, to see at a glance that they belong
together.
"""
import random
from typing import Any, List, NamedTuple, Sequence

import cv2
import numpy as np

from dff.drawing import class_colour
from dff.errors import DataError
from dff.image import read_image

FRAMES = 6
_ACROSS, _WIDTH, _STRIP = 3, 480, 22        # tiles in a row, pixels of a tile, of the line under it


class Sample(NamedTuple):
    """A frame that was written."""

    caption: str
    path: str              # of the image
    boxes: Sequence[Any]   # Box, or of masks the ids in it


class Samples:
    """A few frames with boxes of every clip, drawn as they pass by."""

    def __init__(self) -> None:
        self._random, self._seen = random.Random(0), 0
        self._clips: List[List[Sample]] = []

    def start(self) -> None:
        """Begin a clip."""
        self._clips.append([])
        self._seen = 0

    def offer(self, sample: Sample) -> None:
        """Keep `sample` or not, so that all frames of the clip with boxes are equally likely."""
        if not sample.boxes:
            return
        kept = self._clips[-1]
        self._seen += 1
        if len(kept) < FRAMES:
            kept.append(sample)
            return
        place = self._random.randrange(self._seen)
        if place < FRAMES:
            kept[place] = sample

    def chosen(self) -> List[Sample]:
        """Return six frames, or as many as there are, of as many clips as can be."""
        clips = [clip for clip in self._clips if clip]
        if len(clips) > FRAMES:
            clips = [clips[i * len(clips) // FRAMES] for i in range(FRAMES)]
        rounds = [clip[i] for i in range(FRAMES) for clip in clips if i < len(clip)]
        return sorted(rounds[:FRAMES], key=lambda sample: sample.caption)


def write_contact_sheet(path: str, samples: Sequence[Sample]) -> None:
    """Write the picture, a PNG file `path`, of `samples`, at least one."""
    names = sorted({box.name for sample in samples for box in sample.boxes})
    write_tiles(path, [_tile(sample, names) for sample in samples])


def write_tiles(path: str, tiles: Sequence[np.ndarray]) -> None:
    """Write tiles, at least one, in rows as the PNG file `path`.

    tiles: of as_tile, with what is drawn into them.
    """
    height = max(tile.shape[0] for tile in tiles)
    rows = []
    for start in range(0, len(tiles), _ACROSS):
        row = np.full((height, _ACROSS * _WIDTH, 3), 255, np.uint8)
        for i, tile in enumerate(tiles[start:start + _ACROSS]):
            row[:tile.shape[0], i * _WIDTH:(i + 1) * _WIDTH] = tile
        rows.append(row)
    cv2.imencode('.png', np.concatenate(rows))[1].tofile(path)


def _tile(sample: Sample, names: List[str]) -> np.ndarray:
    """A frame with its boxes in the colours of their classes `names`, and its caption."""
    image = picture_of(sample)
    tile = as_tile(image)
    scale, down = _WIDTH / image.shape[1], tile.shape[0] / image.shape[0]
    for box in sample.boxes:
        colour = class_colour(names.index(box.name) + 1)
        corner = round(box.x1 * scale), round(box.y1 * down)
        opposite = round((box.x2 + 1) * scale) - 1, round((box.y2 + 1) * down) - 1
        cv2.rectangle(tile, corner, opposite, colour, 2)
        label = box.name if box.track is None else '%s %d' % (box.name, box.track)
        for shade, thickness in (((0, 0, 0), 3), (colour, 1)):         # readable on any ground
            cv2.putText(tile, label, (corner[0], max(10, corner[1] - 4)), cv2.FONT_HERSHEY_SIMPLEX,
                        0.4, shade, thickness, cv2.LINE_AA)
    return with_caption(tile, sample)


def picture_of(sample: Sample) -> np.ndarray:
    """Return the image of a sample, BGR uint8 [H, W, 3]; a black pixel where only its head can be
    read."""
    try:
        return read_image(sample.path)
    except DataError:
        return np.zeros((1, 1, 3), np.uint8)


def as_tile(image: np.ndarray) -> np.ndarray:
    """Return an image, BGR uint8 [H, W, 3], as wide as a tile."""
    height = round(image.shape[0] * _WIDTH / image.shape[1])
    return cv2.resize(image, (_WIDTH, max(1, min(height, 2 * _WIDTH))))


def with_caption(tile: np.ndarray, sample: Sample) -> np.ndarray:
    """Return a tile, BGR uint8 [H, W, 3], with the caption of its sample below."""
    strip = np.full((_STRIP, _WIDTH, 3), 255, np.uint8)
    cv2.putText(strip, sample.caption, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1,
                cv2.LINE_AA)
    return np.concatenate([tile, strip])
