"""Testing of segmentation: class maps of labelled frames, and their mean intersection over union.

Two protocols. At a fixed distance from the key frame: interval - 1 by default, the frame farthest from it,
as in the public code for Cityscapes. The mean over all distances 0 .. interval - 1: the mean IoU at each of
them, averaged, as the paper's authors measured (arXiv 1611.07715, section 5).
"""
import math
import os
from collections import Counter, namedtuple

import numpy as np

from dff.errors import ConfigError, DataError
from dff.image import read_image
from dff.labels import IGNORE_LABEL
from dff.timing import Timing
from lib.dataset.formats.label_png import write_label_png
from lib.engine.checkpoint import load_params
from lib.evaluation.confusion import ConfusionMatrix
from lib.inference.clip_results import RunFolder
from lib.inference.key_frames import passes_suffix, require_fixed
from lib.inference.seg_protocol import count_runs, plan, segment_at_distances
from lib.inference.segmenter import VideoSegmenter
from lib.inference.testing import TestRun, spread

_Job = namedtuple('_Job', 'clip length')      # length: runs of a network


class SegmentationTest(TestRun):
    """See TestRun. results.json holds 'protocol', 'mIoU', 'IoU' by class, 'by_distance', 'ms', 'frames', ..."""

    figure, title = 'mIoU', 'mean IoU'

    def __init__(self, task, config, options):
        super().__init__(task, config, options)
        self._distances = self._chosen_distances()
        self.jobs = self._labelled_clips()

    def _chosen_distances(self):
        """Distances from the key frame to test at; the frame baseline has but key frames."""
        if not self.network.propagates:
            return [0]
        require_fixed(self.config, 'segmentation is tested at given distances from the key frame')
        distance = self.options.distance
        if distance is None:
            return list(range(self.interval))
        if distance >= self.interval:
            raise ConfigError('--distance %d: with key frames every %d frames, others are 0 to %d frames after '
                              'theirs' % (
                distance, self.interval, self.interval - 1))
        return [distance]

    def _labelled_clips(self):
        """The clips with something to segment; DataError where no labelled frame has a key frame at one of
        the distances.
        """
        clips, farthest = spread(self.dataset.clips(), self.options.clips), max(self._distances)
        self.dataset.check([record for clip in clips for record in clip.records], 'test')
        most = max(record.index for clip in clips for record in clip.records)
        if most < farthest:
            raise DataError("image set '%s': no labelled frame has %d frames before it in its clip, as distance "
                            "%d from the key frame "
                            'needs (at most %d); test with --interval %d, or add the frames before the labelled ones'
                            % (self.image_set, farthest, farthest, most, most + 1))
        jobs = [_Job(clip, count_runs(plan(clip, self._distances))) for clip in clips]
        return [job for job in jobs if job.length]

    def name_of(self, job):
        """See TestRun."""
        return self.dataset.name_of(job.clip.records[0].image)

    def variant(self):
        """See TestRun."""
        suffix = '_distance%d' % self._distances[0] if len(self._distances) < self.interval else ''
        return suffix + passes_suffix(self.config)

    def settings(self):
        """See TestRun."""
        dataset, test = self.config.dataset, self.config.TEST
        passes = {key: test[key] for key in ('FLIP', 'SCALES') if test[key]}
        return {'dataset': {key: dataset[key] for key in ('dataset', 'dataset_path', 'NUM_CLASSES', 'CLASSES',
                                                          'annotation_prefix')},
                'TEST': dict(passes, PRECISION=test.PRECISION), 'distances': self._distances}

    def open_results(self, folder, origin, report, ignore_cache):
        """See TestRun."""
        return _SegResults(self.dataset, folder, origin, report, ignore_cache)

    def load_params(self, prefix, epoch, report):
        """See TestRun."""
        return load_params(prefix, epoch)

    def make_work(self, device, params, source, pending, results):
        """See TestRun."""
        segmenter = VideoSegmenter(self.config, self.network, *params, device, self.interval, source)
        segmenter.calibrate(read_image(path) for job in pending for path in job.clip.frames)
        seen = Counter()
        return lambda job, tick: _test_clip(segmenter, job, self._distances, results, Timing(seen), tick,
                                            self.options.vis)

    def evaluate(self, results, facts, report):
        """See TestRun."""
        matrices, timing = results.merge(self.jobs, self._distances)
        names, interval = self.dataset.classes, self.interval
        rows = [_row(distance, *matrices[distance], names) for distance in sorted(matrices)]
        if any(row['mIoU'] is None for row in rows):
            raise DataError("image set '%s': no pixel of its labels has a class, all are ignored "
                            "(%d)" % (self.image_set, IGNORE_LABEL))
        protocols = _protocols(rows, names, interval)
        for line in _lines(rows, protocols) + timing.describe(interval).splitlines():
            report(line)
        numbers = dict(facts, **protocols[0], by_distance=rows, ms=timing.milliseconds(interval),
                       frames=sum(timing.counts.values()),
                       key_frames=timing.counts['key'])
        if len(protocols) > 1:
            numbers['fixed'] = protocols[1]
        return numbers


def _protocols(rows, names, interval):
    """The figures by protocol, the main one first."""
    last = rows[-1]
    protocol = 'every frame is a key frame'
    if interval > 1:
        protocol = 'fixed distance %d from the key frame' % last['distance']
    fixed = {'protocol': protocol, 'mIoU': last['mIoU'], 'IoU': last['IoU']}
    mean = {'protocol': 'mean over the distances 0 to %d from the key frame' % (interval - 1),
            'mIoU': _mean(row['mIoU'] for row in rows),
            'IoU': {name: _mean(row['IoU'][name] for row in rows) for name in names}}
    return [mean, fixed] if len(rows) == interval and interval > 1 else [fixed]


def _lines(rows, protocols):
    """The report: mean IoU by distance, IoU by class of the main protocol, mean IoU of each protocol."""
    most = max(row['frames'] for row in rows)
    fewer = ' (the others have fewer frames before them)'
    lines = ['distance %d from the key frame: mean IoU %.4f, %d labelled frames%s' % (
        row['distance'], row['mIoU'], row['frames'], '' if row['frames'] == most else fewer) for row in rows]
    lines += ['IoU for %s = %s' % (name, 'none: it does not occur' if value is None else '%.4f' % value)
              for name, value in protocols[0]['IoU'].items()]
    return lines + ['Mean IoU = %.4f (%s)' % (protocol['mIoU'], protocol['protocol']) for protocol in protocols]


def _row(distance, matrix, frames, names):
    """The figures at one distance; a class that is in no label and no prediction has IoU None."""
    iou = {name: None if math.isnan(value) else float(value) for name, value in zip(names, matrix.iou())}
    return {'distance': distance, 'frames': frames, 'mIoU': _mean(iou.values()), 'IoU': iou}


def _mean(values):
    """Mean of those that are not None; None of nothing."""
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None


def _test_clip(segmenter, job, distances, results, timing, tick, vis):
    """Evaluate one clip and write its record; tick() is called after each run of a network."""
    dataset = results.dataset
    matrices, frames = {distance: ConfusionMatrix(dataset.num_classes) for distance in distances}, Counter()
    for run in segment_at_distances(segmenter, job.clip, distances, dataset.read_label):
        timing.add(run.result)
        if run.record is not None:
            matrices[run.distance].update(run.label, run.result.labels)
            frames[run.distance] += 1
            if vis:
                path = os.path.join(results.folder, 'vis', 'distance_%d' % run.distance,
                                    dataset.name_of(run.record.image) + '.png')
                write_label_png(path, run.result.labels, dataset.palette)
        tick()
    results.finish(job, vis, timing=timing.as_dict(), frames=[frames[distance] for distance in distances],
                   matrices=[matrices[distance].counts.tolist() for distance in distances])


class _SegResults(RunFolder):
    """Confusion matrices of a test run, in the records of its clips."""

    def __init__(self, dataset, *args):
        super().__init__(*args)
        self.dataset = dataset

    def merge(self, jobs, distances):
        """({distance: (ConfusionMatrix, labelled frames)}, Timing) of all clips."""
        total, timing = {distance: [ConfusionMatrix(self.dataset.num_classes), 0] for distance in distances}, Timing()
        for job in jobs:
            record = self.record(job)
            timing.merge(record['timing'])
            for distance, counts, frames in zip(distances, record['matrices'], record['frames']):
                total[distance][0].counts += np.array(counts, np.int64)
                total[distance][1] += frames
        return total, timing

    def _name(self, job):
        return self.dataset.name_of(job.clip.records[0].image)

    def _identity(self, job):
        labels = [(record.index, os.stat(record.label)) for record in job.clip.records]
        return [self.dataset.name_of(job.clip.frames[0]), len(job.clip.frames),
                self._sizes(job.clip.frames),
                [[index, stat.st_size, stat.st_mtime_ns] for index, stat in labels]]
