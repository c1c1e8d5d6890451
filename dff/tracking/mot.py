"""Tracks as MOT Challenge text: `frame,id,left,top,width,height,score,class,-1`, counted from 1."""
import contextlib
from typing import Any, Callable, Iterator, Optional

import numpy as np

from dff.files import atomic_path
from dff.results import Detected, check_writable


def mot_lines(frame_number: int, detections: np.ndarray, ids: np.ndarray) -> str:
    """Return the lines of one frame, '' for none.

    Args:
        frame_number: from 1.
        detections: [n, 6]: class, score, x1, y1, x2, y2, inclusive corners that count from 0.
        ids: int [n]; what has none (0) is left out, -1 stays: nothing was tracked.
    """
    return ''.join('%d,%d,%.2f,%.2f,%.2f,%.2f,%.4f,%d,-1\n'
                   % (frame_number, track, x1 + 1, y1 + 1, x2 - x1 + 1, y2 - y1 + 1, score, label)
                   for (label, score, x1, y1, x2, y2), track in zip(detections.tolist(), ids.tolist()) if track)


@contextlib.contextmanager
def mot_writer(path: Optional[str]) -> Iterator[Callable[[Detected], Any]]:
    """Yield write(result), which writes a tracked Detected to `path` as MOT Challenge text, which appears when
    the block ends well.

    path: None for a function that does nothing. Raises DataError where the file cannot be written.
    """
    if path is None:
        yield lambda result: None
        return
    check_writable(path)
    with atomic_path(path) as temporary, open(temporary, 'w', encoding='ascii') as stream:
        def write(result: Detected) -> None:
            ids = np.full(len(result.detections), -1) if result.track_ids is None else result.track_ids
            stream.write(mot_lines(result.index + 1, result.detections, ids))
        yield write
