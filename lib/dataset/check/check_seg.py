"""The whole data set of a segmentation experiment looked through, before any training."""

import functools
import os
from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

from lib.dataset.check.check_frame import check_image
from lib.dataset.check.report import Report
from lib.dataset.formats.problems import Problem, Problems
from lib.dataset.formats.seg_labels import read_label
from lib.dataset.formats.seg_records import SegRecord, group_clips
from lib.dataset.registry import get_class_list, get_dataset
from lib.dataset.rules.label_maps import LabelCounts, conclude, label_kind, values_of
from lib.utils.image_header import ImageHeader
from lib.utils.parallel import process_map
from lib.utils.paths import image_set_names
from lib.utils.progress import progress_bar
from lib.utils.threads import physical_cores
from dff.errors import ConfigError, DataError
from dff.labels import IGNORE_LABEL

PARALLEL_FROM = 300  # files; below, one process is done before others have started


class Job(NamedTuple):
    """A frame to look at."""

    image: str  # its path
    label: str  # path of its label map, '' for a frame without
    table: Optional[bytes]  # what the values of the label map mean, of SegDataset.table_of


class Looked(NamedTuple):
    """What was found in one frame."""

    header: Optional[ImageHeader]  # None where there is no readable image
    values: Optional[
        np.ndarray
    ]  # pixels of each value of the label map, int64 [256]; None without one
    problems: List[Problem]


@dataclass
class CheckedSegSet:
    """One image set and what its frames hold."""

    dataset: Any
    role: str  # 'training' or 'test'
    records: List[SegRecord]
    counts: LabelCounts
    frames: int = 0  # of its clips, labelled or not
    sizes: Dict[str, int] = field(default_factory=dict)  # frames of each size, `width x height`


@dataclass
class SegReport(Report):
    """See Report; `counts` are pixels of label maps."""

    sets: List[CheckedSegSet]

    unit = 'pixels'

    def headlines(self):
        """See Report."""
        lines = []
        for one in self.sets:
            clips = group_clips(one.records)
            stills = sum(len(clip.frames) == 1 for clip in clips)
            lines.append(
                '%s (%s): %d labelled frames of %d clips and %d stills, %d frames in all; %s; %d '
                'pixels ignored'
                % (
                    one.dataset.name,
                    one.role,
                    len(one.records),
                    len(clips) - stills,
                    stills,
                    one.frames,
                    ', '.join(
                        '%d of %s' % (count, size) for size, count in sorted(one.sizes.items())
                    )
                    or 'none readable',
                    one.counts.ignored,
                )
            )
        return lines


def check_segmentation(cfg, limit=10, decode=False, workers=None):
    """Look through the image sets of `cfg`, a segmentation configuration; returns a SegReport.

    limit: problems of each kind to keep, 0 for all. decode: decode every frame, not only its
    header and end. workers: processes.
    Raises ConfigError, DataError where there is nothing to look through.
    """
    problems = Problems(limit)
    classes = get_class_list(cfg, 'segmentation')
    sets, first = [], None
    names = [(name, 'training') for name in image_set_names(cfg.dataset.image_set)] + [
        (cfg.dataset.test_image_set, 'test')
    ]
    for name, role in names:
        try:
            dataset = get_dataset(cfg, name, 'segmentation', report=problems.report)
            sets.append(
                CheckedSegSet(dataset, role, dataset.find_records(), LabelCounts(len(classes)))
            )
        except (DataError, ConfigError) as error:
            first = first or error
            problems.report('image set', '', str(error))
    if not sets:
        raise first or DataError('dataset.image_set and test_image_set name no image set')
    for one in sets:
        _check_set(one, decode, workers, problems.report)
    _check_shared(sets, problems.report)
    counts: Dict[str, np.ndarray] = {}
    for one in sets:
        counts[one.role] = counts.get(one.role, 0) + one.counts.pixels
    return SegReport(problems, classes.names, counts, sets)


def look(decode, job):
    """Look at one frame and its label map: a Looked.

    decode: decode the frame. job: a Job. Runs in processes.
    """
    problems = []

    def report(kind, where, text):
        problems.append(Problem(kind, where, text))

    header = check_image(job.image, '', decode, report)
    values = None
    if job.label:
        try:
            values = values_of(
                read_label(
                    job.label, np.frombuffer(job.table, np.uint8), job.image if header else None
                )
            )
        except DataError as error:
            report(label_kind(error), '', str(error))
    return Looked(header, values, problems)


def _check_set(one, decode, workers, report):
    jobs, clips = [], group_clips(one.records)
    for clip in clips:
        labels = {record.index: record.label for record in clip.records}
        one.frames += len(clip.frames)
        for index, image in enumerate(clip.frames):
            label = labels.get(index, '')
            jobs.append(
                Job(image, label, one.dataset.table_of(label).tobytes() if label else None)
            )
    if workers is None:
        workers = 1 if len(jobs) < PARALLEL_FROM else physical_cores()
    results = process_map(functools.partial(look, decode), jobs, workers, chunksize=16)
    results = iter(
        progress_bar(
            results,
            total=len(jobs),
            desc='checking',
            unit='frame',
            leave=False,
            disable=len(jobs) < 300,
        )
    )
    unlabelled = 0
    for clip in clips:
        sizes: Dict[str, str] = {}
        for image in clip.frames:
            looked = next(results)
            for problem in looked.problems:
                report(*problem)
            if looked.header is not None:
                size = '%d x %d' % (looked.header.width, looked.header.height)
                one.sizes[size] = one.sizes.get(size, 0) + 1
                sizes.setdefault(size, image)
            if looked.values is not None and not one.counts.add(looked.values):
                report(
                    'label of nothing',
                    '',
                    'all pixels of the label of %s are ignored (%d)' % (image, IGNORE_LABEL),
                )
        unlabelled += len(clip.frames) - len(clip.records)
        if len(sizes) > 1:
            report(
                'clip sizes differ',
                '',
                'frames of one clip differ in size: %s'
                % ', '.join('%s (%s)' % pair for pair in sizes.items()),
            )
    if unlabelled:
        report(
            'unlabelled frames',
            '',
            "image set '%s': %d of %d frames have no label"
            % (one.dataset.name, unlabelled, one.frames),
        )
    conclude(one.counts, len(one.records), one.dataset.classes, one.role, one.dataset.name, report)


def _check_shared(sets, report):
    """Labelled frames that both training and test have, by their paths."""
    trained = {
        os.path.realpath(record.image): record.image
        for one in sets
        if one.role == 'training'
        for record in one.records
    }
    for one in sets:
        for record in one.records if one.role == 'test' else ():
            if os.path.realpath(record.image) in trained:
                report('frame in training and test', '', '%s is trained on' % record.image)
