"""The whole data set of a detection experiment looked through, before any training."""
import collections
import functools
import hashlib
import os
from dataclasses import dataclass
from typing import Any, Callable, Counter, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
from easydict import EasyDict

from lib.dataset.formats.annotations import AnnotationTable, Source, clip_to_image, make_table
from lib.dataset.check.check_clips import check_folders, listed_clips, reference_frames
from lib.dataset.check.check_frame import Frame, check_frame
from lib.dataset.sets.imagenet_vid import ImageNetVID
from lib.dataset.formats.problems import KINDS, LEVELS, Problem, ReportFunction
from lib.dataset.registry import get_class_list, get_dataset
from dff.errors import ClassCountError, ConfigError, DataError
from lib.utils.parallel import process_map
from lib.utils.progress import progress_bar
from lib.utils.threads import physical_cores

IMBALANCE = 20               # times as many boxes of one class as of another are worth a note
PARALLEL_FROM = 2000         # frames; below, one process is done before others have started


class Problems:
    """Collects problems: all are counted, the first `limit` of each kind are kept (0: all)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.counts: Counter[str] = collections.Counter()
        self.kept: Dict[str, List[Problem]] = collections.defaultdict(list)

    def report(self, kind: str, where: str, text: str) -> None:
        """Add one problem; the `report` of the readers. kind, where, text: as of Problem."""
        self.counts[kind] += 1
        if not self.limit or len(self.kept[kind]) < self.limit:
            self.kept[kind].append(Problem(kind, where, text))

    def level(self, level: str) -> Dict[str, int]:
        """Return {kind: count} of the problems of one of LEVELS, in the order of KINDS."""
        return {kind: self.counts[kind] for kind in KINDS if KINDS[kind][0] == level and self.counts[kind]}

    @property
    def clean(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return not self.level('error') and not self.level('warning')


@dataclass
class CheckedSet:
    """One image set and what its frames hold."""

    dataset: ImageNetVID
    role: str                  # 'training' or 'test'
    frames: List[Frame]        # of the entries, in order
    table: AnnotationTable     # the same as arrays
    motion: np.ndarray         # motion IoU of every box of the table

    def boxes_of(self, i: int) -> Tuple[np.ndarray, np.ndarray]:
        """Return (boxes, classes) that training or testing uses of entry `i`."""
        boxes, classes = self.table.of(i)
        if self.role == 'test' or not len(boxes):
            return boxes, classes
        boxes, kept, _ = clip_to_image(boxes, *self.table.sizes[i])
        return boxes, classes[kept]


@dataclass
class Report:
    """What a check found."""

    problems: Problems
    classes: List[str]              # background first
    sets: List[CheckedSet]
    boxes: Dict[str, np.ndarray]    # {role: int [classes]}: boxes that are used, by class index

    def lines(self) -> List[str]:
        """Return the report as text."""
        lines = []
        for one in self.sets:
            count = len({entry.clip for entry in one.dataset.image_set.entries} - {None})
            clips = '%d clips' % count if count else 'no clips'
            lines.append('%s (%s): %d frames of %s, %d boxes'
                         % (one.dataset.name, one.role, len(one.frames), clips, len(one.table.boxes)))
        width = max(map(len, self.classes[1:]))
        lines += ['', '%-*s %s' % (width, 'boxes', ''.join('%12s' % role for role in self.boxes))]
        lines += ['%-*s %s' % (width, name, ''.join('%12d' % counts[c] for counts in self.boxes.values()))
                  for c, name in enumerate(self.classes) if c]
        for level in LEVELS:
            for kind, count in self.problems.level(level).items():
                lines += ['', '%s: %s (%d)' % (level, kind, count), '  -> %s' % KINDS[kind][1]]
                kept = self.problems.kept[kind]
                lines += ['  ' + str(problem) for problem in kept]
                if len(kept) < count:
                    lines.append('  ... and %d more (--limit 0 shows all)' % (count - len(kept)))
        return lines + ['', self.summary()]

    def summary(self) -> str:
        """Return one line: how many problems of each level there are."""
        counts = [(sum(self.problems.level(level).values()), level) for level in LEVELS]
        text = ', '.join('%d %s%s' % (count, level, 's' * (count != 1)) for count, level in counts)
        return '%s: %s' % ('clean' if self.problems.clean else 'problems', text)


def check(cfg: EasyDict, limit: int = 10, decode: bool = False,
          workers: Optional[int] = None) -> Report:
    """Look through the image sets of a detection configuration.

    Args:
        cfg: the settings. Where dataset.NUM_CLASSES does not fit the class list, it is corrected in
            place, and the problem reported.
        limit: problems of each kind to keep, 0 for all.
        decode: decode every image, not only its header and end.
        workers: processes; by default one for less than PARALLEL_FROM frames, else one a core.

    Raises:
        ConfigError: another kind of data set, or none of that name.
        DataError: there is nothing to look through: no list can be read.
    """
    problems = Problems(limit)
    try:
        classes = get_class_list(cfg, 'detection')
    except ClassCountError as error:
        problems.report('class count', '', str(error))
        cfg.dataset.NUM_CLASSES = error.expected
        classes = get_class_list(cfg, 'detection')
    opened = _open_sets(cfg, problems)
    # The frame baselines read no pairs.
    offsets = (cfg.TRAIN.MIN_OFFSET, cfg.TRAIN.MAX_OFFSET) if 'flow' in cfg.symbol else (0, 0)
    extra: List[Source] = []
    jobs: List[Source] = []
    for dataset, role in opened:
        jobs += dataset.sources()
        for clip in listed_clips(dataset.image_set):
            found = check_folders(dataset, clip, problems.report)
            if role == 'training':
                extra += reference_frames(dataset, clip, found, offsets, problems.report)
    indices = {identifier: i for i, identifier in enumerate(classes.ids) if i}
    frames = _run(functools.partial(check_frame, indices, decode), jobs + extra, workers)
    for frame in frames:
        for problem in frame.problems:
            problems.report(*problem)
    sets: List[CheckedSet] = []
    start = 0
    for dataset, role in opened:
        own = frames[start:start + len(dataset.image_set.entries)]
        start += len(own)
        table = make_table([frame.parsed for frame in own])
        sets.append(CheckedSet(dataset, role, own, table, dataset.motion(table)))
    _check_frame_sizes(zip(jobs + extra, frames), problems.report)
    _check_repeated(sets, problems.report)
    _check_shared(sets, problems.report)
    return Report(problems, classes.names, sets, _check_boxes(sets, classes.names, problems.report))


def _open_sets(cfg: EasyDict, problems: Problems) -> List[Tuple[ImageNetVID, str]]:
    """(data set, role) of the image sets that can be read."""
    sets: List[Tuple[ImageNetVID, str]] = []
    first: Optional[Exception] = None
    names = [(name, 'training') for name in cfg.dataset.image_set.split('+')] + [(cfg.dataset.test_image_set, 'test')]
    for name, role in names:
        try:
            sets.append((get_dataset(cfg, name, 'detection', report=problems.report), role))
        except (DataError, ConfigError) as error:
            first = first or error
            problems.report('image set', '', str(error))
    sets = [(dataset, role) for dataset, role in sets if dataset.image_set.entries]
    if not sets:
        raise first or DataError('no line of the image sets can be read; the first problem: %s'
                                 % str(problems.kept['list syntax'][0]))
    return sets


def _run(work: Callable[[Source], Frame], jobs: Sequence[Source],
         workers: Optional[int]) -> List[Frame]:
    if workers is None:
        workers = 1 if len(jobs) < PARALLEL_FROM else physical_cores()
    bar = progress_bar(process_map(work, jobs, workers, chunksize=128), total=len(jobs), desc='checking', unit='frame',
                       leave=False, disable=len(jobs) < 1000)
    return list(bar)


def _check_frame_sizes(checked: Iterable[Tuple[Source, Frame]], report: ReportFunction) -> None:
    """Frames of one folder of Data/VID must have one size."""
    sizes: Dict[str, Dict[Tuple[int, int], Source]] = {}
    for source, frame in checked:
        if frame.header is not None and os.sep + os.path.join('Data', 'VID') + os.sep in source.image:
            size = (frame.header.width, frame.header.height)
            sizes.setdefault(os.path.dirname(source.image), {}).setdefault(size, source)
    for folder, found in sizes.items():
        if len(found) > 1:
            kinds = ('%d x %d (%s)' % (size + (os.path.basename(source.image),)) for size, source in found.items())
            report('frame sizes differ', next(iter(found.values())).where,
                   'the frames of %s differ in size: %s' % (folder, ', '.join(kinds)))


def _check_repeated(sets: Sequence[CheckedSet], report: ReportFunction) -> None:
    for role in ('training', 'test'):
        seen: Dict[Tuple[str, str], str] = {}
        for one in sets:
            for entry in one.dataset.image_set.entries if one.role == role else ():
                where = one.dataset.image_set.where(entry)
                before = seen.setdefault((one.dataset.image_set.tree, entry.path), where)
                if before is not where:
                    report('listed twice', where, '%s stands at %s already' % (entry.path, before))


def _check_shared(sets: Sequence[CheckedSet], report: ReportFunction) -> None:
    """Clips and equal images that both training and test have."""
    clips: Dict[Optional[str], str] = {}
    images: Dict[Any, Tuple[str, str]] = {}
    for one in sets:
        for entry, frame in zip(one.dataset.image_set.entries, one.frames):
            place = (one.dataset.image_path(entry.path), one.dataset.image_set.where(entry))
            if one.role == 'training':
                clips.setdefault(entry.clip, place[1])
                if frame.header is not None:
                    images.setdefault(frame.header.fingerprint, place)
            elif entry.clip is not None and entry.clip in clips:
                if clips[entry.clip]:
                    report('clip in training and test', place[1],
                           'clip %s is trained on: %s' % (entry.clip, clips[entry.clip]))
                    clips[entry.clip] = ''       # once a clip
            elif frame.header is not None and frame.header.fingerprint in images:
                path, where = images[frame.header.fingerprint]
                if _digest(path) == _digest(place[0]):
                    report('frame in training and test', place[1],
                           '%s is trained on as %s: %s' % (place[0], path, where))


@functools.lru_cache(maxsize=100000)
def _digest(path: str) -> bytes:
    with open(path, 'rb') as stream:
        return hashlib.sha256(stream.read()).digest()


def _check_boxes(sets: Sequence[CheckedSet], names: Sequence[str],
                 report: ReportFunction) -> Dict[str, np.ndarray]:
    """{role: boxes of each class that are used}; reports frames and classes without."""
    counts = {role: np.zeros(len(names), int) for role in dict.fromkeys(one.role for one in sets)}
    for one in sets:
        for i, entry in enumerate(one.dataset.image_set.entries):
            boxes, classes = one.boxes_of(i)
            counts[one.role] += np.bincount(classes, minlength=len(names))
            if not len(boxes) and one.frames[i].parsed[0] and one.role == 'training':
                report('frame without boxes', one.dataset.image_set.where(entry),
                       '%s has no box of a listed class' % entry.path)
        if len(one.table.boxes) and one.role == 'test' and np.isnan(one.motion).all():
            report('no track ids', one.dataset.image_set.file, 'no object has a track id and a second box nearby')
    for role, kind in (('training', 'class without training boxes'), ('test', 'class without test boxes')):
        for c in range(1, len(names) if role in counts else 0):
            if not counts[role][c]:
                report(kind, '', names[c])
    used = counts['training'][1:] if 'training' in counts else np.empty(0)
    if 'training' in counts and not used.any():
        report('nothing to train on', '', 'no training frame has a usable box of a listed class')
    elif len(used) and used.max() >= IMBALANCE * used[used > 0].min():
        most, least = int(used.argmax()), int(np.where(used > 0, used, used.max() + 1).argmin())
        report('label balance', '', 'training has %d boxes of %s, %d of %s'
               % (used[most], names[1 + most], used[least], names[1 + least]))
    return counts
