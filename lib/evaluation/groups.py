"""AP over parts of a test: objects of one size, frames of one clip, clips of one camera."""
import collections
import fnmatch
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dff.errors import DataError
from lib.dataset.formats.records import Clip
from lib.evaluation.error_costs import ap_of
from lib.evaluation.motion import RANGES, SPEEDS
from lib.evaluation.outcomes import HIT, ClassOutcome, Outcomes, outcomes
from lib.evaluation.vid_eval import GroundTruth

SIDES = (16, 32, 96)      # pixels: bounds of the sizes; 32 and 96 are COCO's
SIZES = ('below 16', '16 to 32', '32 to 96', '96 and more')
FEW = 20                  # clips, at most, that are listed without being asked for


class Part(NamedTuple):
    """The figures of one part."""

    name: str
    ap: Dict[int, float]      # by class index, of those that have ground truth in the part
    ground_truths: int        # boxes
    found: int                # of them with a hit, at any score

    @property
    def mean_ap(self) -> Optional[float]:
        """The mean over the classes; None where there is none."""
        return float(np.mean(list(self.ap.values()))) if self.ap else None

    def line(self) -> str:
        """Return the figures as a line of text."""
        return 'Mean AP@0.5 of %s = %s (%d boxes)' % (
            self.name, 'none' if self.mean_ap is None else '%.4f' % self.mean_ap, self.ground_truths)


def sides(boxes: np.ndarray) -> np.ndarray:
    """Return the square root of the area of each box, [n, 4] inclusive: float64 [n], pixels."""
    return np.sqrt(np.prod(np.maximum(boxes[:, 2:4] - boxes[:, :2] + 1.0, 0), axis=1))


def by_size(found: Outcomes, truth: GroundTruth) -> List[Part]:
    """Return a Part for each of SIZES.

    Other ground truths and the detections that hit them are left out, as are detections of other
    sizes that hit nothing, as COCO has it.
    """
    size = np.searchsorted(SIDES, sides(truth.boxes), 'right')
    parts = []
    for s, name in enumerate(SIZES):
        def keep(own: ClassOutcome, s: int = s) -> np.ndarray:
            hit = own.kinds == HIT
            of = np.searchsorted(SIDES, sides(own.boxes), 'right')
            of[hit] = size[own.truth[hit]]
            return of == s
        selected = [keep(own) for own in found.classes]
        parts.append(_part('%s pixels' % name, found, truth, selected, size == s))
    return parts


def by_speed(found: Outcomes, truth: GroundTruth) -> List[Part]:
    """Return a Part for each of SPEEDS by the rules of vid_eval; none where no speed is known."""
    speeds, parts = truth.speeds, []
    if speeds is None:
        return []
    for s, name in enumerate(SPEEDS):
        # What hits nothing counts for every speed.
        selected = [(own.kinds != HIT) | (speeds[own.truth] == s) for own in found.classes]
        parts.append(_part('%s (motion IoU %s)' % (name, RANGES[name]), found, truth, selected, speeds == s))
    return parts


def by_frames(found: Outcomes, truth: GroundTruth, names: Sequence[str], of: np.ndarray) -> List[Part]:
    """Return a Part for each group of frames.

    Args:
        found: what became of the detections.
        truth: what they were compared with.
        names: of the groups.
        of: int [frames], the group of each frame of `truth`.
    """
    owners = np.repeat(of, np.diff(truth.offsets))
    figures: List[Dict[int, float]] = [{} for _ in names]
    for c, own in enumerate(found.classes):
        positives = np.bincount(owners[truth.classes == c], minlength=len(names))
        groups = of[own.frames]
        order = np.argsort(groups, kind='stable')       # keeps falling scores within a group
        bounds = np.searchsorted(groups[order], np.arange(len(names) + 1))
        for g in np.flatnonzero(positives):
            rows = order[bounds[g]:bounds[g + 1]]
            figures[g][c] = ap_of(own.scores[rows], own.kinds[rows] == HIT, int(positives[g]))
    boxes = np.bincount(owners, minlength=len(names))
    hit = np.bincount(owners[found.found], minlength=len(names))
    return [Part(name, figures[g], int(boxes[g]), int(hit[g])) for g, name in enumerate(names)]


def by_clip(dataset: Any, detections_file: str, cameras: Optional[str] = None) -> List[Part]:
    """Return a Part for each clip of a data set, or for each camera.

    Args:
        dataset: with classes, clips() and ground_truth(), as ImageNetVID.
        detections_file: its path.
        cameras: file of read_cameras; None: by clip.

    Raises DataError.
    """
    truth, clips = dataset.ground_truth(), dataset.clips()
    names, of = read_cameras(cameras, clips) if cameras else (clip_names(clips), np.arange(len(clips)))
    found = outcomes(truth, detections_file, dataset.classes)
    return by_frames(found, truth, names, of[clip_of_frames(clips, truth.frames)])


def _part(name, found, truth, selected, wanted):
    ap = {}
    for c, (own, keep) in enumerate(zip(found.classes, selected)):
        positives = int((wanted & (truth.classes == c)).sum())
        if positives:
            ap[c] = ap_of(own.scores[keep], own.kinds[keep] == HIT, positives)
    return Part(name, ap, int(wanted.sum()), int((wanted & found.found).sum()))


def clip_names(clips: Sequence[Clip]) -> List[str]:
    """Return a name for each of `clips`; parts of one video are told apart by their first frame."""
    parts = collections.Counter(clip.name for clip in clips)
    return [clip.name if parts[clip.name] == 1 else '%s from frame %d' % (clip.name, clip.first_frame)
            for clip in clips]


def clip_of_frames(clips: Sequence[Clip], frames: np.ndarray) -> np.ndarray:
    """Return the place in `clips` of each of `frames`, their numbers: int64 [n]."""
    first = np.array([clip.first_number for clip in clips])
    order = np.argsort(first)
    return order[np.searchsorted(first[order], frames, 'right') - 1]


def read_cameras(path: str, clips: Sequence[Clip]) -> Tuple[List[str], np.ndarray]:
    """Return (names of the cameras, the camera of each clip, int [n]) by a file.

    A line is `camera pattern [pattern ...]`: the name, and which clips are of that camera, names in
    which * stands for any letters: `PETS val/PETS*`. What stands before the last / may be left out.
    Clips of no line are a camera each.

    Raises DataError for a line without a pattern, a pattern that fits no clip, a clip of two lines.
    """
    try:
        with open(path, encoding='utf-8') as stream:
            lines = stream.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError('cannot read the cameras %s: %s' % (path, getattr(error, 'strerror', None) or error)) from None
    owner: Dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        camera, *patterns = line.split() or ['']
        where = '%s, line %d' % (path, number)
        if camera and not patterns:
            raise DataError('%s: expected `camera pattern ...`, as in `PETS val/PETS*`; found %r' % (where, line))
        for pattern in patterns:
            fitting = [i for i, clip in enumerate(clips) if _fits(clip.name, pattern)]
            if not fitting:
                raise DataError('%s: no clip fits %r; there is for instance %s' % (where, pattern, clips[0].name))
            for i in fitting:
                if owner.setdefault(i, camera) != camera:
                    raise DataError('%s: clip %s is of camera %s already' % (where, clips[i].name, owner[i]))
    own = clip_names(clips)
    named = [owner.get(i, own[i]) for i in range(len(clips))]
    names = list(dict.fromkeys(named))
    places = {name: place for place, name in enumerate(names)}
    return names, np.array([places[name] for name in named])


def _fits(name, pattern):
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(os.path.basename(name), pattern)
