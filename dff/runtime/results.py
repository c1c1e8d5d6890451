"""What a program gets for a frame: a Detections or a ClassMap."""
import json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import numpy as np

from dff.drawing import draw_detections
from dff.labels import draw_legend, overlay
from dff.results import Seconds
from dff.tracking.mot import mot_lines

CSV_COLUMNS = 'frame,name,class,score,x1,y1,x2,y2,track'
CLASS_COLUMNS = 'frame,name,class,pixels'


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What Detections and ClassMap share."""

    index: int                  # of the frame in its clip or stream, from 0, by its time in a video
    name: str                   # of the frame: its file's, or its number
    image: np.ndarray           # BGR uint8 [H, W, 3]
    is_key: bool                # the deep network ran on it
    seconds: Seconds            # where its time went
    classes: List[str]          # by class id
    latency: Optional[float]    # seconds from the camera to this result; None where it is no live source
    dropped: int                # frames of a live source that were left out so far

    def _common(self) -> Dict[str, Any]:
        found: Dict[str, Any] = {'frame': self.index, 'name': self.name, 'key': self.is_key}
        if self.latency is not None:
            found.update(latency=round(self.latency, 4), dropped=self.dropped)
        return found

    def as_dict(self) -> Dict[str, Any]:
        """Return the result as plain values for JSON."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Return the result as a line of JSON."""
        return json.dumps(self.as_dict())


@dataclass(frozen=True, eq=False)
class Detections(FrameResult):
    """What was detected in a frame, ordered by class, then by falling score."""

    # float32 [n, 6]: class (from 1), score, x1, y1, x2, y2 in pixels of `image`, inclusive corners
    detections: np.ndarray
    track_ids: Optional[np.ndarray]     # int64 [n], from 1; None: not tracked

    @property
    def boxes(self) -> np.ndarray:
        """x1 y1 x2 y2, float32 [n, 4], in pixels of `image`; inclusive corners."""
        return self.detections[:, 2:6]

    @property
    def scores(self) -> np.ndarray:
        """float32 [n], 0 to 1."""
        return self.detections[:, 1]

    @property
    def class_ids(self) -> np.ndarray:
        """int64 [n], from 1: places in `classes`."""
        return self.detections[:, 0].astype(np.int64)

    @property
    def names(self) -> List[str]:
        """The class of every detection in words."""
        return [self.classes[label] for label in self.class_ids]

    def draw(self) -> np.ndarray:
        """Return a copy of `image` with boxes, classes, scores and, where there are some, ids."""
        return draw_detections(self.image, self.detections, self.classes, ids=self.track_ids)

    def as_dict(self) -> Dict[str, Any]:
        """See FrameResult."""
        found = [{'class': self.classes[int(row[0])], 'score': round(row[1], 4),
                  'box': [round(value, 2) for value in row[2:]]} for row in self.detections.tolist()]
        for each, track in zip(found, [] if self.track_ids is None else self.track_ids.tolist()):
            each['track'] = track
        return dict(self._common(), detections=found)

    def _rows(self):
        """(class id, score, x1, y1, x2, y2, track id or -1) of each detection."""
        ids = [-1] * len(self.detections) if self.track_ids is None else self.track_ids.tolist()
        return [(int(row[0]), *row[1:], track) for row, track in zip(self.detections.tolist(), ids)]

    def to_mot(self) -> str:
        """Return lines of MOT Challenge text: `frame,id,left,top,width,height,score,class,-1`.

        Frames and pixels count from 1 there, as the benchmark has it; an id of -1: not tracked.
        """
        ids = np.full(len(self.detections), -1) if self.track_ids is None else self.track_ids
        return mot_lines(self.index + 1, self.detections, ids)

    def to_csv(self) -> str:
        """Return a line of CSV for each detection; the columns are CSV_COLUMNS, the last is empty
        where there is no id.
        """
        return ''.join('%d,%s,%s,%.4f,%.2f,%.2f,%.2f,%.2f,%s\n'
                       % (self.index, quoted(self.name), quoted(self.classes[label]), score, x1, y1, x2,
                          y2, track if track > 0 else '')
                       for label, score, x1, y1, x2, y2, track in self._rows())

    def to_supervision(self) -> Dict[str, Any]:
        """Return what makes a supervision.Detections: `supervision.Detections(**frame.to_supervision())`.

        Its corners on the right and below lie behind the last pixel, one further than in `boxes`.
        """
        return {'xyxy': self.boxes + np.array([0, 0, 1, 1], np.float32),
                'confidence': self.scores, 'class_id': self.class_ids,
                'tracker_id': self.track_ids, 'data': {'class_name': np.array(self.names, str)}}


@dataclass(frozen=True, eq=False)
class ClassMap(FrameResult):
    """The class of every pixel of a frame."""

    label_map: np.ndarray       # uint8 [H, W]: places in `classes`
    palette: np.ndarray         # uint8 [n, 3] RGB, by class id

    @property
    def labels(self) -> np.ndarray:
        """Another name of label_map."""
        return self.label_map

    @property
    def names(self) -> List[str]:
        """The classes that are in the frame, in words."""
        return [self.classes[label] for label in self._present()]

    def _present(self) -> List[int]:
        counts = np.bincount(self.label_map.ravel(), minlength=len(self.classes))
        return np.flatnonzero(counts[:len(self.classes)]).tolist()

    def draw(self) -> np.ndarray:
        """Return a copy of `image` under the classes' colours, with a legend."""
        picture = overlay(self.image, self.label_map, self.palette)
        draw_legend(picture, self.classes, self.palette, self._present())
        return picture

    def pixels(self) -> Dict[str, int]:
        """Return how many pixels each class has that is in the frame."""
        counts = np.bincount(self.label_map.ravel(), minlength=len(self.classes))
        return {self.classes[label]: int(counts[label]) for label in self._present()}

    def as_dict(self) -> Dict[str, Any]:
        """See FrameResult. The map itself is not in it, only how many pixels each class has."""
        return dict(self._common(), pixels=self.pixels())

    def to_csv(self) -> str:
        """Return a line of CSV for each class in the frame; the columns are CLASS_COLUMNS."""
        return ''.join('%d,%s,%s,%d\n' % (self.index, quoted(self.name), quoted(name), count)
                       for name, count in self.pixels().items())


def quoted(text: str) -> str:
    """Return `text` as a field of CSV (RFC 4180)."""
    if any(letter in text for letter in ',"\n\r'):
        return '"%s"' % text.replace('"', '""')
    return text
