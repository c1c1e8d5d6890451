"""Label maps, class ids by pixel: their colours, and how they are laid over frames."""
from typing import Iterable, Sequence

import cv2
import numpy as np

from dff.drawing import FONT, text_size

IGNORE_LABEL = 255     # a pixel that neither training nor evaluation counts


def default_palette(num_classes: int) -> np.ndarray:
    """Return colours for classes without their own, uint8 [num_classes, 3] RGB: those of PASCAL VOC, where
    class 0 is black.

    The bits of a class's number, three at a time from the lowest, are the bits of red, green and blue from the highest.
    """
    palette = np.zeros((num_classes, 3), np.uint8)
    for index in range(num_classes):
        for place in range(8):
            for channel in range(3):
                palette[index, channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
    return palette


def full_palette(palette: np.ndarray) -> np.ndarray:
    """Return uint8 [256, 3] for all values of a byte: `palette`, uint8 [n, 3], then black."""
    return np.vstack([palette, np.zeros((256 - len(palette), 3), np.uint8)]).astype(np.uint8)


def colour_image(label: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return a label map, uint8 [H, W], in its colours: BGR uint8 [H, W, 3].

    palette: uint8 [n, 3] RGB; ids without a colour are black.
    """
    return cv2.LUT(cv2.merge([label] * 3), full_palette(palette)[None, :, ::-1])


def overlay(frame: np.ndarray, label: np.ndarray, palette: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Return a copy of BGR uint8 [H, W, 3] `frame` with the colours of a label map over it; pixels of black
    classes stay.

    label: uint8 [H, W], as large as the frame; palette: uint8 [n, 3] RGB; opacity: share of the colours, 0 to 1.
    """
    blend = cv2.addWeighted(frame, 1 - opacity, colour_image(label, palette), opacity, 0)
    return cv2.copyTo(blend, cv2.LUT(label, full_palette(palette).any(axis=1).astype(np.uint8)), frame.copy())


def draw_legend(frame: np.ndarray, class_names: Sequence[str], palette: np.ndarray, ids: Iterable[int]) -> None:
    """Write names of classes beside their colours into a frame, in place, from its top left corner down.

    Args:
        frame: BGR uint8 [H, W, 3].
        class_names: by class id.
        palette: uint8 [n, 3] RGB, by class id.
        ids: of the classes to write.
    """
    scale, weight = text_size(frame.shape)
    step = cv2.getTextSize('Ag', FONT, scale, weight)[0][1] + max(6, round(12 * scale))
    for line, index in enumerate(ids):
        top = 2 + line * step
        colour = tuple(int(value) for value in palette[index][::-1])
        cv2.rectangle(frame, (2, top), (2 + step, top + step - 3), colour, cv2.FILLED)
        # white with a dark rim shows on any ground
        for ink, width in (((0, 0, 0), weight + 2), ((255, 255, 255), weight)):
            cv2.putText(frame, class_names[index], (step + 6, top + step - 5), FONT, scale, ink, width, cv2.LINE_AA)
