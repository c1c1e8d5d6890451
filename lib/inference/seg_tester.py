"""Testing of both segmentation tasks: from a checkpoint to the mean intersection over union.

Two protocols. At a fixed distance from the key frame: interval - 1 by default, the frame farthest from it, as in the public code
for Cityscapes. The mean over all distances 0 .. interval - 1: the mean IoU at each of them, averaged, as the paper's authors
measured (arXiv 1611.07715, section 5).
"""
import math
import os
from collections import Counter, namedtuple

import numpy as np

from lib.engine.devices import contexts
from lib.engine.checkpoint import load_params
from lib.inference.clip_results import RunFolder, file_digest, write_json
from lib.inference.clip_runner import run_on_devices
from lib.engine.distributed import collects, own_part, place
from lib.inference.networks import has_flow
from lib.inference.seg_protocol import count_runs, plan, segment_at_distances
from lib.inference.segmenter import VideoSegmenter
from lib.inference.tester import parameter_file
from dff.timing import Timing
from lib.dataset.registry import get_dataset
from lib.dataset.formats.seg_records import IGNORE_LABEL
from lib.evaluation.confusion import ConfusionMatrix
from lib.evaluation.label_drawing import write_label_png
from lib.symbols.registry import get_symbol_instance
from dff.errors import ConfigError, DataError
from dff.image import read_image
from lib.utils.log import create_logger

_Job = namedtuple('_Job', 'clip length')      # length: runs of a network


def test_net(config, cfg_path, task, interval=None, distance=None, vis=False, ignore_cache=False):
    """Segment the labelled frames of dataset.test_image_set and evaluate.

    task: 'deeplab' or 'dff_deeplab', for messages. distance: that from the key frame alone; None: all below the interval.
    Finished clips of an earlier run with the same parameters, settings and labels are kept unless `ignore_cache`. Workers of
    tools/launch.py share the clips, and the first one evaluates. Returns what results.json holds ('protocol', 'mIoU', 'IoU' by class,
    'by_distance', 'ms', ...), None in the other workers.
    Raises ConfigError, DataError, CheckpointError, SetupError.
    """
    logger, folder = create_logger(config, cfg_path, config.dataset.test_image_set, quiet=place()[0] > 0)
    devices = contexts(config.gpus, logger.info)
    dataset = get_dataset(config, config.dataset.test_image_set, 'segmentation')
    interval, distances = _distances(config, interval, distance)
    jobs = _jobs(dataset, distances, config.dataset.test_image_set)
    file, prefix = parameter_file(config, cfg_path, task)
    name = '%s_interval%d' % (os.path.basename(file)[:-len('.params')], interval)
    if len(distances) < interval:
        name += '_distance%d' % distances[0]
    if config.TEST.PRECISION == 'int8':
        name += '_int8'
    results = _SegResults(dataset, os.path.join(folder, name), _origin(config, file, distances), logger.info, ignore_cache)
    own = own_part(jobs, ignore_cache)
    pending = [job for job in own if not results.finished(job, vis)]
    if len(pending) < len(own):
        logger.info('%d of %d clips are finished and kept; --ignore_cache runs them again', len(own) - len(pending), len(own))
    if pending:
        params = load_params(prefix, config.TEST.test_epoch)

        def make_work(device):
            segmenter = VideoSegmenter(config, get_symbol_instance(config), *params, device, interval, source=file)
            segmenter.calibrate(read_image(path) for job in pending for path in job.clip.frames)
            seen = Counter()
            return lambda job, tick: _test_clip(segmenter, job, distances, results, Timing(seen), tick, vis)
        run_on_devices(pending, devices, make_work)
    if not collects(jobs, lambda job: results.finished(job, vis)):
        return None
    facts = {'parameters': file, 'interval': interval, 'image_set': config.dataset.test_image_set}
    return _report(results.merge(jobs, distances), interval, results, logger, facts)


def _distances(config, interval, distance):
    """(interval, distances to test at); the frame baseline has but key frames."""
    if not has_flow(get_symbol_instance(config)):
        return 1, [0]
    if config.TEST.KEY_FRAME_POLICY != 'fixed':
        raise ConfigError('TEST.KEY_FRAME_POLICY is %s: segmentation is tested at given distances from the key frame, so it must be fixed'
                          % config.TEST.KEY_FRAME_POLICY)
    interval = interval or config.TEST.KEY_FRAME_INTERVAL
    if distance is None:
        return interval, list(range(interval))
    if distance >= interval:
        raise ConfigError('--distance %d: with key frames every %d frames, others are 0 to %d frames after theirs' % (
            distance, interval, interval - 1))
    return interval, [distance]


def _jobs(dataset, distances, image_set):
    """The clips with something to segment; DataError where no labelled frame has a key frame at one of the distances."""
    clips = dataset.clips()
    most = max(record.index for clip in clips for record in clip.records)
    if most < max(distances):
        raise DataError("image set '%s': no labelled frame has %d frames before it in its clip, as distance %d from the key frame needs "
                        '(at most %d); test with --interval %d, or add the frames before the labelled ones'
                        % (image_set, max(distances), max(distances), most, most + 1))
    jobs = [_Job(clip, count_runs(plan(clip, distances))) for clip in clips]
    return [job for job in jobs if job.length]


def _origin(config, file, distances):
    """Everything that the results depend on beside the clips."""
    parts = {key: config[key] for key in ('symbol', 'SCALES')}
    parts.update(network={key: value for key, value in config.network.items() if not key.startswith(('pretrained', 'FIXED_PARAMS'))},
                 dataset={key: config.dataset[key] for key in ('dataset', 'dataset_path', 'NUM_CLASSES', 'CLASSES', 'annotation_prefix')},
                 TEST={'PRECISION': config.TEST.PRECISION}, distances=distances, parameters=file_digest(file))
    return parts


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
                path = os.path.join(results.folder, 'vis', 'distance_%d' % run.distance, dataset.name_of(run.record.image) + '.png')
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
                [[index, stat.st_size, stat.st_mtime_ns] for index, stat in labels]]


def _report(merged, interval, results, logger, facts):
    """Log the figures, write results.json, return what it holds."""
    matrices, timing = merged
    names, distances = results.dataset.classes, sorted(matrices)
    rows = [_row(distance, *matrices[distance], names) for distance in distances]
    if any(row['mIoU'] is None for row in rows):
        raise DataError("image set '%s': no pixel of its labels has a class, all are ignored (%d)" % (facts['image_set'], IGNORE_LABEL))
    most = max(row['frames'] for row in rows)
    for row in rows:
        logger.info('distance %d from the key frame: mean IoU %.4f, %d labelled frames%s', row['distance'], row['mIoU'], row['frames'],
                    '' if row['frames'] == most else ' (the others have fewer frames before them)')
    last = rows[-1]
    fixed = {'protocol': 'fixed distance %d from the key frame' % last['distance'] if interval > 1 else 'every frame is a key frame',
             'mIoU': last['mIoU'], 'IoU': last['IoU']}
    mean = {'protocol': 'mean over the distances 0 to %d from the key frame' % (interval - 1), 'mIoU': _mean(row['mIoU'] for row in rows),
            'IoU': {name: _mean(row['IoU'][name] for row in rows) for name in names}}
    protocols = [mean, fixed] if len(distances) == interval and interval > 1 else [fixed]
    for name, value in protocols[0]['IoU'].items():
        logger.info('IoU for %s = %s', name, 'none: it does not occur' if value is None else '%.4f' % value)
    for protocol in protocols:
        logger.info('Mean IoU = %.4f (%s)', protocol['mIoU'], protocol['protocol'])
    for line in timing.describe(interval).splitlines():
        logger.info(line)
    numbers = dict(facts, **protocols[0], by_distance=rows, ms=timing.milliseconds(interval), frames=sum(timing.counts.values()),
                   key_frames=timing.counts['key'])
    if len(protocols) > 1:
        numbers['fixed'] = fixed
    path = os.path.join(results.folder, 'results.json')
    write_json(path, numbers)
    logger.info('all figures: %s', path)
    return numbers


def _row(distance, matrix, frames, names):
    """The figures at one distance; a class that is in no label and no prediction has IoU None."""
    iou = {name: None if math.isnan(value) else float(value) for name, value in zip(names, matrix.iou())}
    return {'distance': distance, 'frames': frames, 'mIoU': _mean(iou.values()), 'IoU': iou}


def _mean(values):
    """Mean of those that are not None; None of nothing."""
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None
