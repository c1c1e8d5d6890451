"""The boxes of one clip before NMS: gathered frame by frame, saved, and what is kept of them.

A file of them, <clip>.raw.npy, is an array of ROW, sorted by class, then by frame.
"""
import os
import tempfile
import tokenize
from typing import IO, Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from dff.boxes import best_of_frame
from dff.errors import DataError
from dff.files import atomic_path
from dff.tracking import seq_nms
from dff.tracking.seq_nms import MIN_SCORE

ROW = np.dtype([('frame', '<i4'), ('label', '<i4'), ('score', '<f4'), ('box', '<f4', (4,))])
IN_MEMORY = 64 << 20     # bytes; what is beyond waits on disk


class Selection(NamedTuple):
    """How detections are chosen from the boxes of a clip."""

    rescore: Optional[str]     # Seq-NMS first, with avg or max; None: NMS only
    nms: float                 # a box goes when a better one of its class overlaps it by more
    max_per_image: int         # the best of a frame that stay; 0 or less: all
    thresh: float              # a detection has a score above it


class ClipBoxes:
    """The boxes of a clip, as they come.

    Args:
        folder: where what is beyond `in_memory` is kept until `close`; None: with other temporary
            files.
        in_memory: bytes.
    """

    def __init__(self, folder: Optional[str] = None, in_memory: int = IN_MEMORY):
        self.length = 0                                    # frames so far
        self._folder, self._in_memory = folder, in_memory
        self._parts: List[np.ndarray] = []
        self._bytes = 0
        self._spilled: Optional[IO[bytes]] = None
        self._places: Dict[int, List[Tuple[int, int]]] = {}     # label: (first row on disk, rows)

    def add(self, detections: np.ndarray) -> None:
        """Add the next frame's: float32 [n, 6], class, score, x1, y1, x2, y2.

        Raises DataError where the disk is full.
        """
        rows = np.empty(len(detections), ROW)
        rows['frame'], rows['label'] = self.length, detections[:, 0]
        rows['score'], rows['box'] = detections[:, 1], detections[:, 2:]
        self.length += 1
        self._parts.append(rows)
        self._bytes += rows.nbytes
        if self._bytes > self._in_memory:
            self._spill()

    def labels(self) -> List[int]:
        """Return the classes that have boxes, ascending."""
        found = set(self._places)
        for part in self._parts:
            found.update(part['label'].tolist())
        return sorted(found)

    def of_class(self, label: int) -> np.ndarray:
        """Return the boxes of one class, an array of ROW in the order of frames."""
        rows = []
        for first, count in self._places.get(label, ()):
            assert self._spilled is not None
            self._spilled.seek(first * ROW.itemsize)
            rows.append(np.frombuffer(self._spilled.read(count * ROW.itemsize), ROW))
        rows += [part[part['label'] == label] for part in self._parts]
        return np.concatenate(rows) if rows else np.empty(0, ROW)

    def save(self, path: str) -> None:
        """Write all of them into the file `path`, whole or not at all. Raises DataError."""
        size = sum(len(part) for part in self._parts)
        size += sum(count for places in self._places.values() for _, count in places)
        header = {'descr': np.lib.format.dtype_to_descr(ROW), 'fortran_order': False,
                  'shape': (size,)}
        try:
            with atomic_path(path) as temporary, open(temporary, 'wb') as stream:
                np.lib.format.write_array_header_1_0(stream, header)
                for label in self.labels():        # one at a time in memory
                    stream.write(self.of_class(label).tobytes())
        except OSError as error:
            raise DataError('cannot write %s: %s' % (path, error.strerror)) from None

    def close(self) -> None:
        """Give the memory and the temporary file back."""
        self._parts, self._places = [], {}
        if self._spilled is not None:
            self._spilled.close()

    def _spill(self) -> None:
        """Append what is in memory to the file, sorted by class."""
        rows = np.concatenate(self._parts)
        rows = rows[np.argsort(rows['label'], kind='stable')]
        labels, starts, counts = np.unique(rows['label'], return_index=True,
                                           return_counts=True)
        try:
            if self._spilled is None:
                self._spilled = tempfile.TemporaryFile(dir=self._folder)
            first = self._spilled.seek(0, os.SEEK_END) // ROW.itemsize
            self._spilled.write(rows.tobytes())
            self._spilled.flush()
        except OSError as error:
            raise DataError('cannot keep the boxes of a clip in %s: %s'
                            % (self._folder or tempfile.gettempdir(), error.strerror)) from None
        for label, start, count in zip(labels.tolist(), starts.tolist(), counts.tolist()):
            self._places.setdefault(label, []).append((first + start, count))
        self._parts, self._bytes = [], 0


class SavedBoxes:
    """The boxes of a clip in a file that ClipBoxes.save wrote; read class by class.

    Args:
        path: of the file.
        length: frames of the clip.
        num_classes: with the background.

    Raises DataError where it is no such file, or not of such a clip.
    """

    def __init__(self, path: str, length: int, num_classes: int):
        self.length = length
        try:
            rows: np.ndarray = np.lib.format.open_memmap(path, mode='r')
        except (OSError, ValueError, OverflowError, tokenize.TokenError) as error:
            raise DataError('cannot read the boxes in %s: %s' % (path, error)) from None
        if rows.dtype != ROW or rows.ndim != 1:
            raise DataError('%s holds no boxes before NMS, as a test with TEST.SAVE_RAW writes them'
                            % path)
        self._path, self._rows = path, rows
        labels = np.array(rows['label'])
        if len(rows) and not (_rises(labels) and labels[0] >= 1 and labels[-1] < num_classes):
            raise DataError('%s: classes must rise from 1 to at most %d' % (path, num_classes - 1))
        self._labels, starts = np.unique(labels, return_index=True)
        self._starts = np.append(starts, len(rows))

    def labels(self) -> List[int]:
        """Return the classes that have boxes, ascending."""
        return self._labels.tolist()

    def of_class(self, label: int) -> np.ndarray:
        """Return the boxes of one class, ROWs in the order of frames. Raises DataError."""
        place = int(np.searchsorted(self._labels, label))
        rows = np.array(self._rows[self._starts[place]:self._starts[place + 1]])
        frames = rows['frame']
        if not (_rises(frames) and frames[0] >= 0 and frames[-1] < self.length
                and np.isfinite(rows['score']).all() and np.isfinite(rows['box']).all()):
            raise DataError('%s: the boxes of class %d are not finite, or not of %d frames in '
                            'their order' % (self._path, label, self.length))
        return rows


def select(boxes: Union[ClipBoxes, SavedBoxes], selection: Selection,
           kernels: Any = seq_nms) -> Iterator[np.ndarray]:
    """Yield the detections of each frame of a clip, as dff.boxes.frame_detections returns them.

    Args:
        boxes: ClipBoxes or SavedBoxes.
        selection: how they are chosen.
        kernels: what has the functions `seq_nms` and `nms_of_frames` of dff.tracking.seq_nms.
    """
    kept = [_select_class(boxes.of_class(label), boxes.length, selection, kernels)
            for label in boxes.labels()]
    rows = np.concatenate([np.empty(0, ROW), *kept])
    rows = rows[np.argsort(rows['frame'], kind='stable')]       # within a frame by class
    offsets = np.searchsorted(rows['frame'], np.arange(boxes.length + 1))
    for start, end in zip(offsets, offsets[1:]):
        yield best_of_frame(_detections(rows[start:end]), selection.max_per_image)


def _select_class(rows: np.ndarray, length: int, selection: Selection, kernels: Any) -> np.ndarray:
    """The detections of one class, in the order of frames, then of falling score."""
    scores = rows['score'].astype(np.float64)
    if selection.rescore is not None:
        rows = rows[rows['score'] > np.float32(MIN_SCORE)]
        scores = rows['score'].astype(np.float64)
        keep, scores = kernels.seq_nms(_offsets(rows, length), rows['box'], scores,
                                       selection.rescore)
        rows = rows[keep]
        rows['score'] = scores
    keep = kernels.nms_of_frames(_offsets(rows, length), rows['box'], scores, selection.nms)
    rows = rows[keep]
    return rows[rows['score'] > np.float32(selection.thresh)]


def _rises(numbers: np.ndarray) -> bool:
    """Whether none is below the one before. Differences could be beyond the range of the type."""
    return bool((numbers[1:] >= numbers[:-1]).all())


def _offsets(rows: np.ndarray, length: int) -> np.ndarray:
    return np.searchsorted(rows['frame'], np.arange(length + 1))


def _detections(rows: np.ndarray) -> np.ndarray:
    return np.column_stack((rows['label'], rows['score'], rows['box'])).astype(np.float32)
