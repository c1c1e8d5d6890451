"""What comes out for a frame, and detections as JSON."""
import contextlib
import json
import os
from typing import Any, Callable, Iterator, NamedTuple, Optional, Sequence

import numpy as np

from dff.errors import DataError
from dff.files import atomic_path


class Seconds(NamedTuple):
    """Where the time of a frame went. In a batch, every frame carries its share of the batch's time."""

    reading: float     # waiting for the next prepared frame
    network: float     # input in to output out
    post: float        # boxes, NMS


class Detected(NamedTuple):
    """What was detected in a frame."""

    index: int                 # type: ignore[assignment]  # of the frame, from 0; it hides tuple.index
    image: np.ndarray          # BGR uint8 [H, W, 3]
    # float32 [n, 6]: class (from 1), score, x1, y1, x2, y2 in pixels of `image`, inclusive corners
    detections: np.ndarray
    is_key: bool
    seconds: Seconds
    track_ids: Optional[np.ndarray] = None     # int64 [n], the object of each detection; None: not asked for


class Segmented(NamedTuple):
    """The classes of a frame's pixels."""

    index: int             # type: ignore[assignment]  # of the frame, from 0; it hides tuple.index
    image: np.ndarray      # BGR uint8 [H, W, 3]
    labels: np.ndarray     # uint8 [H, W], class ids
    is_key: bool
    seconds: Seconds


def check_writable(path: str) -> None:
    """Make the folder of a file `path`. Raises DataError where it cannot be written."""
    try:
        folder = os.path.dirname(os.path.abspath(path))
        os.makedirs(folder, exist_ok=True)
        if os.path.isdir(path) or not os.access(folder, os.W_OK):
            raise PermissionError(13, 'it is a folder, or its folder is read-only')
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror)) from None


@contextlib.contextmanager
def json_writer(path: Optional[str], class_names: Sequence[str]) -> Iterator[Callable[[Detected, str], Any]]:
    """Yield record(result, name), which writes a Detected to the JSON file `path`, a frame a line, in constant memory.

    The file appears when the block ends well. path: None for a function that does nothing; class_names:
    background first. Raises DataError where the file cannot be written.
    """
    if path is None:
        yield lambda result, name: None
        return
    check_writable(path)
    with atomic_path(path) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
        stream.write('{"classes": %s,\n "frames": [' % json.dumps(class_names))
        separator = '\n  '

        def record(result: Detected, name: str) -> None:
            nonlocal separator
            boxes = [{'class': class_names[int(row[0])], 'score': round(row[1], 4),
                      'box': [round(value, 2) for value in row[2:]]} for row in result.detections.tolist()]
            for each, track in zip(boxes, [] if result.track_ids is None else result.track_ids.tolist()):
                each['track'] = track
            stream.write(separator + json.dumps({'frame': result.index, 'name': name, 'key': result.is_key,
                                                 'detections': boxes}))
            separator = ',\n  '
        yield record
        stream.write('\n]}\n')
