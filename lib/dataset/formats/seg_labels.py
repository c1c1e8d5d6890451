"""Reading label maps: PNG files whose pixels are class ids, with errors that say what to do about
others.
"""
from typing import Iterable, Optional

import cv2
import numpy as np
from PIL import Image

from dff.labels import IGNORE_LABEL
from dff.errors import DataError

_WRONG = 254                   # in tables: an id that must not occur
_CONVERT = ('; `python tools/labels_to_ids.py IN OUT` writes a folder of such files with ids instead: '
            'the numbers of a palette, or, with --classes FILE, the class of each colour')
_MODES = {'P': 'has a palette', 'PA': 'has a palette', 'RGB': 'holds RGB colours',
          'RGBA': 'holds RGB colours', 'LA': 'has transparency'}


def id_table(num_classes: int, ignored: Iterable[int] = ()) -> np.ndarray:
    """Return a table for read_label, uint8 [256], for files that hold the ids 0 to num_classes - 1.

    255, and the values `ignored`, mean pixels to ignore.
    """
    table = np.full(256, _WRONG, np.uint8)
    table[:num_classes] = np.arange(num_classes)
    table[list(ignored) + [IGNORE_LABEL]] = IGNORE_LABEL
    return table


def read_label(path: str, table: np.ndarray, frame: Optional[str] = None) -> np.ndarray:
    """Return the label map at `path` as uint8 [H, W]: ids from 0, or 255 for pixels to ignore.

    Args:
        path: of a PNG file with one channel.
        table: what each value of the file means, from id_table.
        frame: path of the image that it belongs to, whose size is compared; None compares nothing.

    Raises:
        DataError: the file is missing or no PNG, holds colours or ids that are no class, or is of
            another size than the frame. The message names it.
    """
    values = _read_values(path)
    if frame is not None:
        height, width = _image_size(frame)
        if values.shape != (height, width):
            raise DataError('label %s is %d pixels wide and %d high, but its frame %s is %d x %d; both must '
                            'be of one size (scale label maps without interpolation)'
                            % ((path,) + values.shape[::-1] + (frame, width, height)))
    ids = values
    if ids.dtype != np.uint8:
        ids = np.where((ids < 0) | (ids > 255), _WRONG, ids).astype(np.uint8)
    label = cv2.LUT(ids, table)
    if (label == _WRONG).any():
        raise DataError(_wrong_ids(path, values, label, table))
    return label


def _read_values(path):
    """Pixels of a PNG with one channel, [H, W]: uint8, or wider where the file has more than 8
    bits.
    """
    image = open_png(path)
    if image.mode not in ('L', '1', 'I', 'I;16', 'I;16B'):
        raise DataError('label %s %s; expected one channel of class ids%s'
                        % (path, _MODES.get(image.mode, 'is of mode %s' % image.mode), _CONVERT))
    values = np.asarray(image)
    return values.astype(np.uint8) if values.dtype == bool else values


def open_png(path: str) -> Image.Image:
    """Return the PIL image of a label, decoded.

    Raises DataError, naming the file, where `path` is missing, damaged or no PNG.
    """
    try:
        with Image.open(path, formats=('PNG',)) as image:
            image.load()
            return image
    except FileNotFoundError:
        raise DataError('label %s does not exist' % path) from None
    # What Pillow raises for damaged files.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = getattr(error, 'strerror', None) or 'not a whole PNG file; replace it'
        raise DataError('cannot read label %s: %s' % (path, reason)) from None


def _image_size(path):
    """(height, width) of an image file, without decoding it."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, 'strerror', None) or 'not a JPEG or PNG file'
        raise DataError('cannot read image %s: %s' % (path, reason)) from None


def _wrong_ids(path, values, label, table):
    """The message about the ids of a file that are no class."""
    rows, columns = np.nonzero(label == _WRONG)
    found = np.unique(values[rows, columns])
    known = np.flatnonzero((table != _WRONG) & (table != IGNORE_LABEL))
    ignored = np.flatnonzero(table == IGNORE_LABEL)
    return ('label %s holds ids that are no class: %s%s (%d pixels; the first in row %d, column %d). '
            'Expected %d to %d, or %s for pixels to ignore; correct the file, or the class list and '
            'dataset.NUM_CLASSES'
            % (path, ', '.join(map(str, found[:8])), ', ...' if len(found) > 8 else '', len(rows), rows[0],
               columns[0], known.min(), known.max(),
               ', '.join(map(str, ignored)) if len(ignored) <= 4 else IGNORE_LABEL))
