"""Detections files: `frame_number class_index score x1 y1 x2 y2`, one detection a line."""
import collections
import concurrent.futures
import functools
import warnings
from typing import Any, Callable, Deque, Iterator, List, NamedTuple, Optional, Tuple, TypeVar

import numpy as np

from lib.utils.compiled import pick
from dff.errors import DataError
from lib.utils.threads import physical_cores

FIELDS = 'frame_number class_index score x1 y1 x2 y2'
BLOCK = 1 << 22                # bytes read at once
_SPACE, _NEWLINE = ord(' '), ord('\n')
_Result = TypeVar('_Result')


class Detections(NamedTuple):
    """Some detections, in the order of the file."""

    frames: np.ndarray    # int32 [n]: frame numbers
    classes: np.ndarray   # int32 [n], from 1
    scores: np.ndarray    # float64 [n]
    boxes: np.ndarray     # float64 [n, 4]: x1 y1 x2 y2


def map_detections(path: str, num_classes: int,
                   function: Callable[[Detections], _Result]) -> Iterator[_Result]:
    """Yield function(Detections) for one block of a file after the other, in order, computed by
    threads.

    Memory does not grow with the file: as many blocks are held as there are threads, and one more.

    Args:
        path: of the detections file.
        num_classes: with the background.
        function: called for each block, in several threads at a time.

    Raises:
        DataError: the file is missing, or a line is malformed or names a class that is not
            1 ... num_classes - 1.
    """
    workers = physical_cores()
    work = functools.partial(_parse_and_call, num_classes, function)
    first_line = 1
    pending: Deque[Tuple[bytes, Any]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for text in _blocks(path):
            pending.append((text, pool.submit(work, text)))
            if len(pending) > workers:
                first_line, result = _finish(pending.popleft(), first_line, path, num_classes, function)
                yield result
        while pending:
            first_line, result = _finish(pending.popleft(), first_line, path, num_classes, function)
            yield result


def require_common_frames(path: str, others: int, found: bool, frames: np.ndarray) -> None:
    """Raise DataError where all detections of a file are of other frames than those of an image set.

    Args:
        path: of the detections file.
        others: detections of other frames.
        found: there are some of the image set's, too.
        frames: numbers of the image set's frames.
    """
    if others and not found:
        raise DataError('%s: none of its %d detections is of the %d frames that are evaluated, numbered %d to %d; give '
                        'the image set and the data that were tested'
                        % (path, others, len(frames), frames.min(), frames.max()))


def _parse_and_call(num_classes, function, text):
    """(number of lines, result), or None where the text is not as detections are usually written."""
    columns = _parse(text, num_classes)
    if columns is None:
        columns = parse_numpy(text, num_classes)
    return None if columns is None else (len(columns[0]), function(Detections(*columns)))


def _finish(job, first_line, path, num_classes, function):
    """(first line of the next block, result).

    Only here is it known which line of the file a block starts with.
    """
    text, future = job
    done = future.result()
    if done is None:
        return first_line + text.count(b'\n'), function(_parse_slowly(text, first_line, path, num_classes))
    return first_line + done[0], done[1]


def read_detections(path: str, num_classes: int) -> List[Optional[Detections]]:
    """Return the detections of a whole file by class index from 1 (index 0 holds None).

    Needs 48 bytes a detection. path, num_classes: as of map_detections, and so are the errors.
    """
    parts: List[List[Detections]] = [[] for _ in range(num_classes)]
    for found in map_detections(path, num_classes, lambda block: block):
        order, bounds = by_class(found.classes, num_classes)
        for c in range(1, num_classes):
            rows = order[bounds[c]:bounds[c + 1]]
            if len(rows):
                parts[c].append(Detections(*(column[rows] for column in found)))
    nothing = Detections(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0), np.empty((0, 4)))
    result: List[Optional[Detections]] = [None]
    for c in range(1, num_classes):
        result.append(Detections(*(np.concatenate(columns) for columns in zip(*parts[c]))) if parts[c] else nothing)
        parts[c] = []          # frees the pieces before the next class is joined
    return result


def by_class(classes: np.ndarray, num_classes: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return (order, bounds) that sort rows by class: order[bounds[c]:bounds[c + 1]] are those of
    class c, ascending.

    classes: int [n], the class of each row, below `num_classes`.
    """
    classes = classes.astype(np.min_scalar_type(num_classes))     # of up to 16 bits, which sort in linear time
    order = np.argsort(classes, kind='stable')
    return order, np.searchsorted(classes[order], np.arange(num_classes + 1))


def _blocks(path: str) -> Iterator[bytes]:
    """Yield one block of whole lines after the other, each ended by a newline."""
    try:
        stream = open(path, 'rb')
    except OSError as error:
        raise DataError('cannot read the detections file %s: %s' % (path, error.strerror)) from None
    with stream:
        rest = b''
        while True:
            block = stream.read(BLOCK)
            text = rest + block
            if not block and text:
                text += b'\n'
            cut = text.rfind(b'\n') + 1
            text, rest = text[:cut], text[cut:]
            if text:
                yield text
            if not block:
                return


def parse_numpy(text: bytes,
                num_classes: int
               ) -> Optional[Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Return the columns of Detections of a block of whole lines; None where it is not written as
    usual.

    The NumPy twin of lib/evaluation/detection_text.pyx; takes every form of a number that NumPy
    knows, too. num_classes: with the background.
    """
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
    if len(values) != 7 * len(ends):
        return None
    rows = values.reshape(-1, 7)
    whole = rows[:, :2]
    if not (np.isfinite(rows).all() and (whole == np.floor(whole)).all()
            and (rows[:, 0] >= 0).all() and (rows[:, 0] < 2 ** 31).all()
            and (rows[:, 1] >= 1).all() and (rows[:, 1] < num_classes).all()):
        return None
    return rows[:, 0].astype(np.int32), rows[:, 1].astype(np.int32), rows[:, 2].copy(), rows[:, 3:].copy()


_parse = pick('lib.evaluation.detection_text', 'parse', parse_numpy)


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
        if (len(row) != 7 or not np.isfinite(row).all() or row[0] != int(row[0]) or row[1] != int(row[1])
                or not 0 <= row[0] < 2 ** 31):
            raise DataError("%s, line %d: expected '%s', found %r" % (path, number, FIELDS, line.strip()[:200]))
        if not 1 <= row[1] < num_classes:
            raise DataError('%s, line %d: class index %d is not one of 1 to %d, the classes of the class list; found %r'
                            % (path, number, row[1], num_classes - 1, line.strip()[:200]))
        rows.append(row)
    table = np.array(rows, np.float64).reshape(-1, 7)
    return Detections(table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2], table[:, 3:])
