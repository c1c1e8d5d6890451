"""Tracks to evaluate: a file of MOT Challenge text, as dff/tracking/mot.py writes it."""
from typing import NamedTuple

import numpy as np

from dff.errors import DataError

FORM = 'frame,id,left,top,width,height,score,class'


class Tracks(NamedTuple):
    """Boxes with the ids of their tracks, a row each."""

    frames: np.ndarray     # int64 [n]
    ids: np.ndarray        # int64 [n], from 1
    boxes: np.ndarray      # float64 [n, 4]: x1 y1 x2 y2 from 0, inclusive
    classes: np.ndarray    # int64 [n], from 1


def read_tracks(path: str, num_classes: int) -> Tracks:
    """Return the Tracks in a file; num_classes: with the background.

    Raises DataError for a file that is missing or malformed, an id twice in a frame, and where nothing has an id.
    """
    rows = []
    try:
        with open(path, encoding='utf-8') as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    rows.append(_row(path, number, line, num_classes))
    except OSError as error:
        raise DataError('cannot read %s: %s' % (path, error.strerror or error)) from None
    except UnicodeDecodeError:
        raise DataError('%s is no text; expected lines of %s' % (path, FORM)) from None
    table = np.array(rows, np.float64).reshape(-1, 7)
    table = table[table[:, 1] > 0]
    if not len(table):
        raise DataError('%s: no box in it has an id of a track (1 or more)' % path)
    frames, ids, classes = (table[:, column].astype(np.int64) for column in (0, 1, 6))
    keys, counts = np.unique(np.stack([frames, ids]), axis=1, return_counts=True)
    if counts.max() > 1:
        frame, track = keys[:, counts.argmax()]
        raise DataError('%s: id %d is twice in frame %d' % (path, track, frame))
    corner = table[:, 2:4] - 1
    return Tracks(frames, ids, np.hstack([corner, corner + table[:, 4:6] - 1]), classes)


def _row(path, number, line, num_classes):
    """[frame, id, left, top, width, height, class]."""
    words = line.split(',')
    try:
        values = [float(word) for word in words]
        whole = [int(word) for word in words[:2]] + [int(float(words[7]))]
    except (ValueError, IndexError, OverflowError):
        raise DataError('%s, line %d: expected %s; found %s' % (path, number, FORM, line.strip()[:80])) from None
    if not np.isfinite(values[:8]).all():
        raise DataError('%s, line %d: a number is not finite: %s' % (path, number, line.strip()[:80]))
    if not 1 <= whole[2] < num_classes:
        raise DataError('%s, line %d: class %d is none of 1 to %d' % (path, number, whole[2], num_classes - 1))
    return [*whole[:2], *values[2:6], whole[2]]
