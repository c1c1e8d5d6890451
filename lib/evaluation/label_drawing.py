"""Label maps as pictures: palette PNG files, coloured images, and colours laid over frames."""
import cv2
import numpy as np
from PIL import Image

from dff.errors import DataError
from dff.files import atomic_path

FONT = cv2.FONT_HERSHEY_SIMPLEX


def write_label_png(path, label, palette):
    """Write a label map as a palette PNG: viewers show colours, readers of its numbers get the ids. Ids without a colour are black.

    label: uint8 [H, W]; palette: uint8 [n, 3] RGB, n <= 256. Raises DataError where the disk refuses.
    """
    image = Image.fromarray(np.ascontiguousarray(label, np.uint8))
    image.putpalette(_full(palette).ravel().tolist())
    try:
        with atomic_path(path) as temporary:
            image.save(temporary, format='PNG')
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror or error)) from None


def colour_image(label, palette):
    """A label map, uint8 [H, W], in its colours: BGR uint8 [H, W, 3]. palette: uint8 [n, 3] RGB; ids without a colour are black."""
    return cv2.LUT(cv2.merge([label] * 3), _full(palette)[None, :, ::-1])


def overlay(frame, label, palette, opacity=0.5):
    """A copy of BGR uint8 [H, W, 3] `frame` with the colours of a label map laid over it; pixels of black classes stay as they are.

    label: uint8 [H, W], as large as the frame; palette: uint8 [n, 3] RGB; opacity: share of the colours, 0 to 1.
    """
    blend = cv2.addWeighted(frame, 1 - opacity, colour_image(label, palette), opacity, 0)
    return cv2.copyTo(blend, cv2.LUT(label, _full(palette).any(axis=1).astype(np.uint8)), frame.copy())


def draw_legend(frame, class_names, palette, ids):
    """Write the names of classes `ids` beside their colours into BGR uint8 `frame`, in place, from its top left corner down."""
    scale = max(0.35, min(frame.shape[:2]) / 1000)
    weight = max(1, round(scale * 1.5))
    step = cv2.getTextSize('Ag', FONT, scale, weight)[0][1] + max(6, round(12 * scale))
    for line, index in enumerate(ids):
        top = 2 + line * step
        colour = tuple(int(value) for value in palette[index][::-1])
        cv2.rectangle(frame, (2, top), (2 + step, top + step - 3), colour, cv2.FILLED)
        for ink, width in (((0, 0, 0), weight + 2), ((255, 255, 255), weight)):       # white with a dark rim shows on any ground
            cv2.putText(frame, class_names[index], (step + 6, top + step - 5), FONT, scale, ink, width, cv2.LINE_AA)


def _full(palette):
    """A palette for all 256 values of a byte: uint8 [256, 3]."""
    return np.vstack([palette, np.zeros((256 - len(palette), 3), np.uint8)]).astype(np.uint8)
