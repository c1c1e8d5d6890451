"""Detections drawn into frames."""
import colorsys
import functools
from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX


@functools.lru_cache(maxsize=None)
def class_colour(index: int) -> Tuple[int, int, int]:
    """Return the BGR colour of class `index`; consecutive classes get hues far apart (steps of the golden ratio)."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.85 if index % 2 else 0.6, 1.0)
    return int(255 * blue), int(255 * green), int(255 * red)


def draw_detections(image: np.ndarray, detections: np.ndarray, class_names: Sequence[str],
                    thresh: float = 0.0, ids: Optional[np.ndarray] = None) -> np.ndarray:
    """Return a copy of BGR uint8 `image` with a box, class name and score for each detection of at least `thresh`.

    detections: [n, 6], class (from 1), score, x1, y1, x2, y2. class_names: by class index, background first.
    ids: int [n], of the tracks; they are written too, and each has a colour of its own. 0, None: none.
    The best are drawn last, on top. Lines and letters grow with the image.
    """
    canvas = image.copy()
    thickness = max(1, round(min(image.shape[:2]) / 300))
    for place in np.argsort(detections[:, 1], kind='stable'):
        row, track = detections[place], 0 if ids is None else int(ids[place])
        label, score = int(row[0]), float(row[1])
        if score < thresh:
            continue
        x1, y1, x2, y2 = (int(round(float(value))) for value in row[2:6])
        colour = class_colour(track or label)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, thickness)
        text = '%s %.2f' % (class_names[label], score)
        _draw_label(canvas, '%s #%d' % (text, track) if track else text, (x1, y1), colour)
    return canvas


def _draw_label(canvas, text, corner, colour):
    """`text` on a filled strip above the box's top left corner, or below that corner at the image's top."""
    height, width = canvas.shape[:2]
    scale = max(0.35, min(height, width) / 1000)
    weight = max(1, round(scale * 1.5))
    (text_width, text_height), baseline = cv2.getTextSize(text, FONT, scale, weight)
    strip = text_height + baseline + 2
    left = max(0, min(corner[0], width - text_width))
    top = corner[1] - strip if corner[1] >= strip else corner[1]
    cv2.rectangle(canvas, (left, top), (left + text_width, top + strip), colour, cv2.FILLED)
    brightness = np.dot(colour, (0.114, 0.587, 0.299))
    cv2.putText(canvas, text, (left, top + text_height + 1), FONT, scale,
                (0, 0, 0) if brightness > 110 else (255, 255, 255), weight, cv2.LINE_AA)
