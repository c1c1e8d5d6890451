"""The whole data set of a detection experiment looked through, before any training."""

import functools
import itertools
import os
from dataclasses import dataclass
from typing import Dict, Iterator, List, Tuple

from lib.dataset.formats.annotations import Source, TableBuilder, class_indices
from lib.dataset.check.check_clips import check_folders, listed_clips, reference_frames
from lib.dataset.check.check_frame import check_frame
from lib.dataset.check.report import Report
from lib.dataset.check.check_sets import CheckedSet, check_repeated, check_shared, check_used
from lib.dataset.formats.problems import Problems
from lib.dataset.registry import get_class_list, get_dataset
from lib.dataset.rules.boxes import check_boxes
from lib.dataset.rules.names import check_names
from dff.errors import ClassCountError, ConfigError, DataError
from lib.utils.parallel import process_map
from lib.utils.paths import image_set_names
from lib.utils.progress import progress_bar
from lib.utils.threads import physical_cores

PARALLEL_FROM = 2000  # frames; below, one process is done before others have started


@dataclass
class DetectionReport(Report):
    """See Report; `counts` are boxes that are used."""

    sets: List[CheckedSet]

    unit = 'boxes'

    def headlines(self):
        """See Report."""
        lines = []
        for one in self.sets:
            clips = len({entry.clip for entry in one.entries} - {None})
            lines.append(
                '%s (%s): %d frames of %s, %d boxes'
                % (
                    one.dataset.name,
                    one.role,
                    len(one.entries),
                    '%d clips' % clips if clips else 'no clips',
                    len(one.table.boxes),
                )
            )
        return lines


def check(cfg, limit=10, decode=False, workers=None):
    """Look through the image sets of `cfg`, a detection configuration; returns a DetectionReport.

    limit: problems of each kind to keep, 0 for all. decode: decode every image, not only its
    header and end. workers: processes. Raises ConfigError, DataError where there is nothing to look
    through: another kind of data set, no list that can be read.
    """
    problems = Problems(limit)
    try:
        classes = get_class_list(cfg, 'detection')
    except ClassCountError as error:
        problems.report('class count', '', str(error))
        cfg.dataset.NUM_CLASSES = error.expected
        classes = get_class_list(cfg, 'detection')
    sets = _open_sets(cfg, problems)
    offsets = (
        (cfg.TRAIN.MIN_OFFSET, cfg.TRAIN.MAX_OFFSET) if 'flow' in cfg.symbol else (0, 0)
    )  # the frame baselines read no pairs
    _check_frames(
        sets,
        offsets,
        functools.partial(check_frame, class_indices(classes), decode),
        workers,
        classes,
        problems.report,
    )
    unknown: Dict[str, int] = {}
    for one in sets:
        check_boxes(one.table, one.dataset.source, classes.names, problems.report)
        check_names(
            one.table.unknown_names,
            one.table.other_names,
            classes,
            one.dataset.image_set.file,
            problems.report,
        )
        if one.role == 'training':
            unknown.update(one.table.unknown_names)
    check_repeated(sets, problems.report)
    check_shared(sets, problems.report)
    counts = check_used(sets, classes, unknown, problems.report)
    return DetectionReport(
        problems, classes.names[1:], {role: found[1:] for role, found in counts.items()}, sets
    )


def _open_sets(cfg, problems):
    sets, first = [], None
    names = [(name, 'training') for name in image_set_names(cfg.dataset.image_set)] + [
        (cfg.dataset.test_image_set, 'test')
    ]
    for name, role in names:
        try:
            sets.append(
                CheckedSet(get_dataset(cfg, name, 'detection', report=problems.report), role)
            )
        except (DataError, ConfigError) as error:
            first = first or error
            problems.report('image set', '', str(error))
    sets = [one for one in sets if one.entries]
    if not sets:
        raise first or DataError(
            'no line of the image sets can be read; the first problem: %s'
            % str(problems.kept['list syntax'][0])
        )
    return sets


def _check_frames(sets, offsets, work, workers, classes, report):
    """Look through the files of all sets, by `work`(Source) -> Frame in processes, and fill in
    what the sets hold.

    Sources and Frames exist a few at a time: of 300,000 they would fill half a gigabyte.
    """
    extra, total = [], 0
    for one in sets:
        total += len(one.entries)
        for clip in listed_clips(one.dataset.image_set):
            found = check_folders(one.dataset, clip, report)
            if one.role == 'training':
                frames = reference_frames(clip, found, offsets, one.dataset, report)
                total += len(frames)
                extra.append((one.dataset, clip, frames))
    if workers is None:
        workers = 1 if total < PARALLEL_FROM else physical_cores()
    sources, again = itertools.tee(_sources(sets, extra))
    seen: Dict[str, Dict[Tuple[int, int], Source]] = {}
    with progress_bar(
        total=total, desc='checking', unit='frame', leave=False, disable=total < 1000
    ) as bar:
        results = zip(again, process_map(work, sources, workers, chunksize=128))
        for one in sets:
            builder = TableBuilder()
            for source, frame in itertools.islice(results, len(one.entries)):
                _take(source, frame, seen, report)
                header = frame.header
                one.sizes.extend((header.height, header.width) if header else (0, 0))
                one.prints.append(hash(header.fingerprint) if header else 0)
                builder.add(frame.parsed)
                bar.update()
            one.table = builder.table(classes)
            one.motion = one.dataset.motion(one.table)
        for source, frame in results:
            _take(source, frame, seen, report)
            bar.update()
    for folder, found in seen.items():
        if len(found) > 1:
            report(
                'frame sizes differ',
                next(iter(found.values())).where,
                'the frames of %s differ in size: %s'
                % (
                    folder,
                    ', '.join(
                        '%d x %d (%s)' % (size + (os.path.basename(source.image),))
                        for size, source in found.items()
                    ),
                ),
            )


def _sources(sets: list, extra: list) -> Iterator[Source]:
    for one in sets:
        for i in range(len(one.entries)):
            yield one.dataset.source(i)
    for dataset, clip, frames in extra:
        for frame in frames:
            yield Source('', dataset.image_path('%s/%06d' % (clip.path, frame)), clip.where)


def _take(source, frame, seen, report):
    """Report the problems of a frame; note its size among those of its folder of Data/VID, which
    must be one."""
    for problem in frame.problems:
        report(*problem)
    if frame.header is not None:
        folder, _, _ = source.image.rpartition(os.sep)
        if os.sep + os.path.join('Data', 'VID') + os.sep in source.image:
            seen.setdefault(folder, {}).setdefault(
                (frame.header.width, frame.header.height), source
            )
