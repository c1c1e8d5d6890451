"""Detections files: `frame_number class_index score x1 y1 x2 y2`, one detection a line."""
import warnings
from typing import NamedTuple

import numpy as np

from lib.utils.errors import DataError

FIELDS = 'frame_number class_index score x1 y1 x2 y2'
BLOCK = 1 << 23                # bytes read at once
_SPACE, _NEWLINE = ord(' '), ord('\n')


class Detections(NamedTuple):
    """The detections of one class, in the order of the file."""

    frames: np.ndarray    # int32 [n]: frame numbers
    scores: np.ndarray    # float64 [n]
    boxes: np.ndarray     # float64 [n, 4]: x1 y1 x2 y2


def read_detections(path, num_classes):
    """Read a detections file: [Detections] by class index from 1 (index 0 is None).

    Reads block by block into arrays, 44 bytes a detection, so that a file of 50 million lines needs 2.3 GB. Raises
    DataError where the file is missing, or a line is malformed or names a class that is not 1 ... num_classes - 1.
    """
    parts = [[] for _ in range(num_classes)]
    for rows in _blocks(path, num_classes):
        order = np.argsort(rows[:, 1], kind='stable')
        rows = rows[order]
        bounds = np.searchsorted(rows[:, 1], np.arange(1, num_classes + 1))
        for c in range(1, num_classes):
            part = rows[bounds[c - 1]:bounds[c]]
            if len(part):
                parts[c].append(Detections(part[:, 0].astype(np.int32), part[:, 2].copy(), part[:, 3:].copy()))
    result = [None]
    for c in range(1, num_classes):
        result.append(_join(parts[c]))
        parts[c] = None        # frees the pieces before the next class is joined
    return result


def _join(parts):
    if not parts:
        return Detections(np.empty(0, np.int32), np.empty(0), np.empty((0, 4)))
    return Detections(*(np.concatenate(arrays) for arrays in zip(*parts)))


def _blocks(path, num_classes):
    """Yield float64 [n, 7] for one block of whole lines after the other."""
    try:
        stream = open(path, 'rb')
    except OSError as error:
        raise DataError('cannot read the detections file %s: %s' % (path, error.strerror)) from None
    with stream:
        rest, first_line = b'', 1
        while True:
            block = stream.read(BLOCK)
            text = rest + block
            cut = text.rfind(b'\n') + 1 if block else len(text)
            text, rest = text[:cut], text[cut:]
            if text:
                rows = _parse_fast(text)
                if rows is None or not _plausible(rows, num_classes):
                    rows = _parse_slowly(text, first_line, path, num_classes)
                yield rows
                first_line += text.count(b'\n')
            if not block:
                return


def _parse_fast(text):
    """float64 [n, 7]; None unless every line is seven numbers split by single spaces."""
    if not text.endswith(b'\n'):
        text += b'\n'
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    spaces = np.searchsorted(np.flatnonzero(data == _SPACE), ends)
    if (np.diff(spaces, prepend=0) != 6).any():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter('error', DeprecationWarning)     # NumPy's word for a text that is not all numbers
        try:
            values = np.fromstring(text, np.float64, sep=' ')
        except (DeprecationWarning, ValueError):
            return None
    return values.reshape(-1, 7) if len(values) == 7 * len(ends) else None


def _plausible(rows, num_classes):
    whole = rows[:, :2]
    return bool(np.isfinite(rows).all() and (whole == np.floor(whole)).all() and (rows[:, 0] >= 0).all() and (rows[:, 0] < 2 ** 31).all()
                and (rows[:, 1] >= 1).all() and (rows[:, 1] < num_classes).all())


def _parse_slowly(text, first_line, path, num_classes):
    """Line by line: allows other white space, and names the line that is wrong."""
    rows = []
    for number, line in enumerate(text.split(b'\n'), first_line):
        line = line.decode('utf-8', 'replace')
        if not line.strip():
            continue
        try:
            row = [float(field) for field in line.split()]
        except ValueError:
            row = []
        if len(row) != 7 or not np.isfinite(row).all() or row[0] != int(row[0]) or row[1] != int(row[1]) or not 0 <= row[0] < 2 ** 31:
            raise DataError("%s, line %d: expected '%s', found %r" % (path, number, FIELDS, line.strip()[:200]))
        if not 1 <= row[1] < num_classes:
            raise DataError('%s, line %d: class index %d is not one of 1 to %d, the classes of the class list; found %r'
                            % (path, number, row[1], num_classes - 1, line.strip()[:200]))
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, 7)
