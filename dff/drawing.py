"""Detections drawn into frames, so that what was detected stays to be seen.

Boxes and letters are thin; a label stands outside of its box, and where other boxes or labels leave
no room for it it is shortened, then left out: the box's colour tells the class or the track.
"""
import colorsys
import functools
from typing import Iterator, List, Optional, Sequence, Tuple

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX
COVERED = 0.04     # share of a box that a label may cover, at most
Strip = Tuple[int, int, int, int]     # left, top, right, bottom of a label, pixels; the last two outside


@functools.lru_cache(maxsize=None)
def class_colour(index: int) -> Tuple[int, int, int]:
    """Return the BGR colour of class `index`; consecutive classes get hues far apart (steps of the golden ratio)."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.85 if index % 2 else 0.6, 1.0)
    return int(255 * blue), int(255 * green), int(255 * red)


def text_size(shape: Sequence[int]) -> Tuple[float, int]:
    """Return (scale of FONT, weight of its lines in pixels) for a picture of `shape`, its height first."""
    scale = max(0.35, min(shape[:2]) / 1600)
    return scale, max(1, round(scale * 1.5))


def draw_detections(image: np.ndarray, detections: np.ndarray, class_names: Sequence[str],
                    thresh: float = 0.0, ids: Optional[np.ndarray] = None) -> np.ndarray:
    """Return a copy of BGR uint8 `image` with a box, class name and score for each detection of at least `thresh`.

    detections: [n, 6], class (from 1), score, x1, y1, x2, y2. class_names: by class index, background first.
    ids: int [n], of the tracks; they are written too, and each has a colour of its own. 0, None: none.
    The best are drawn last, on top, and their labels get their places first. Lines and letters grow
    with the image.
    """
    order = [place for place in np.argsort(detections[:, 1], kind='stable') if detections[place, 1] >= thresh]
    colours, texts = [], []
    for place in order:
        label, track = int(detections[place, 0]), 0 if ids is None else int(ids[place])
        colours.append(class_colour(track or label))
        score = '%.2f' % detections[place, 1]
        text = '%s %s' % (class_names[label], score)
        texts.append(['%s #%d' % (text, track), '#%d' % track] if track else [text, score])
    canvas = image.copy()
    draw_boxes(canvas, detections[order, 2:6], texts, colours, max(1, round(min(image.shape[:2]) / 500)))
    return canvas


def draw_boxes(canvas: np.ndarray, boxes: np.ndarray, texts: Sequence[Sequence[str]],
               colours: Sequence[Tuple[int, int, int]], thickness: int = 1) -> None:
    """Draw boxes and labels into BGR uint8 `canvas`; the last are on top, and their labels get their places first.

    Args:
        canvas: BGR uint8 [H, W, 3].
        boxes: float [n, 4], x1 y1 x2 y2.
        texts: the labels that each may have, the first that finds room is taken; [] for none.
        colours: of each, BGR.
        thickness: pixels of a line; those of small boxes are thinner.
    """
    # Numbers that OpenCV takes, wherever a network puts its boxes.
    boxes = np.clip(np.rint(boxes), -32000, 32000).astype(int).reshape(-1, 4)
    for (x1, y1, x2, y2), colour in zip(boxes.tolist(), colours):
        # Lines as thick as a small object would hide it.
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, max(1, min(thickness, min(x2 - x1, y2 - y1) // 12)))
    taken: List[Strip] = []
    for place in reversed(range(len(boxes))):
        others = np.delete(boxes, place, axis=0)
        for text in texts[place]:
            strip = _free_place(text, boxes[place], others, taken, canvas.shape)
            if strip is not None:
                taken.append(strip)
                _draw_label(canvas, text, strip, colours[place])
                break


def _free_place(text: str, box: np.ndarray, others: np.ndarray, taken: List[Strip],
                shape: Sequence[int]) -> Optional[Strip]:
    """Where `text` hides nothing: inside the picture, clear of the strips `taken`, on hardly
    anything of `box` and the `others`, int [n, 4]; None where there is no such place.
    """
    scale, weight = text_size(shape)
    (width, height), baseline = cv2.getTextSize(text, FONT, scale, weight)
    height += baseline + 2
    everything = np.vstack([others, box])
    strips = np.array(taken, int).reshape(-1, 4)
    for left, top in _corners(box, width, height):
        strip = (left, top, left + width, top + height)
        inside = left >= 0 and top >= 0 and strip[2] <= shape[1] and strip[3] <= shape[0]
        if inside and (_shared(strip, everything) <= COVERED * _areas(everything)).all() \
                and not _shared(strip, strips).any():
            return strip
    return None


def _corners(box: np.ndarray, width: int, height: int) -> Iterator[Tuple[int, int]]:
    """Left and top of the places around a box for a label, the usual ones first, one inside of it last."""
    x1, y1, x2, y2 = box.tolist()
    for top in (y1 - height, y2 + 2):
        for left in (x1, x2 + 1 - width):
            yield left, top
    for left in (x2 + 2, x1 - 1 - width):
        for top in (y1, y2 + 1 - height):
            yield left, top
    yield max(x1, 0) + 2, max(y1, 0) + 2


def _areas(boxes):
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def _shared(strip, boxes):
    """Pixels that `strip` and each of the boxes, int [n, 4], have in common."""
    sides = np.minimum(boxes[:, 2:], strip[2:]) - np.maximum(boxes[:, :2], strip[:2])
    return np.prod(np.maximum(sides, 0), axis=1)


def _draw_label(canvas, text, strip, colour):
    """`text` on a filled strip."""
    left, top, right, bottom = strip
    scale, weight = text_size(canvas.shape)
    cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colour, cv2.FILLED)
    brightness = np.dot(colour, (0.114, 0.587, 0.299))
    height = cv2.getTextSize(text, FONT, scale, weight)[0][1]
    cv2.putText(canvas, text, (left, top + height + 1), FONT, scale,
                (0, 0, 0) if brightness > 110 else (255, 255, 255), weight, cv2.LINE_AA)
