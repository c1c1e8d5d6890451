"""Testing of detection: detections in clips, and their mean average precision."""
import contextlib
import os
from collections import Counter

import numpy as np

from dff.drawing import draw_detections
from dff.errors import ConfigError, DataError
from dff.sources import image_frames
from dff.timing import Timing
from dff.tracking.tracker import TrackRules
from dff.writers import open_folder
from lib.boxes.seq_nms import whole_clip_of
from lib.dataset.formats.problems import refuse
from lib.dataset.rules.pictures import wrong_size
from lib.engine.box_regression import use_test_bbox
from lib.evaluation.groups import FEW, by_clip
from lib.evaluation.track_eval import evaluate_tracks
from lib.evaluation.tracks_file import read_tracks
from lib.config.without_effect import WITHOUT_EFFECT
from lib.inference.clip_results import ClipResults
from lib.inference.detector import VideoDetector, load_test_params
from lib.inference.key_frames import passes_suffix, schedule_of
from lib.inference.testing import TestRun, spread
from lib.utils.image_header import read_header

VISIBLE = 0.2     # images with boxes show those of at least this score


class DetectionTest(TestRun):
    """See TestRun. results.json holds 'mAP', 'AP' by class, 'mAP_by_speed', 'ms', 'frames', ..."""

    figure, title = 'mAP', 'mAP@0.5'

    def __init__(self, task, config, options):
        super().__init__(task, config, options)
        self.jobs = self._chosen_clips()
        self._sizes = self._checked_sizes()
        self._class_names = self.dataset.classes if options.vis else None

    def _chosen_clips(self):
        clips = self.dataset.clips()
        chosen = spread(clips, self.options.clips)
        if len(chosen) == len(clips):
            return clips
        if not hasattr(self.dataset, 'keep_clips'):      # a plugin's own data set
            raise ConfigError('TRAIN.VALIDATE_CLIPS: the data set %s has no keep_clips(clips), which '
                              'the evaluation of some clips needs; set it to 0, for all clips'
                              % self.config.dataset.dataset)
        self.dataset.keep_clips(chosen)
        return chosen

    def _checked_sizes(self):
        """{number of a clip's first frame: (height, width) of its frames by their annotations},
        of a data set that was looked through;
        {} where there is nothing to compare with.
        """
        if self.config.TEST.DETECT_ONLY:
            if hasattr(self.dataset, 'check_images'):
                self.dataset.check_images(refuse)
            return {}
        if not hasattr(self.dataset, 'check_test'):      # a plugin's own data set
            return {}
        sizes = self.dataset.check_test().sizes
        ends = np.cumsum([clip.length for clip in self.jobs])
        return {
            clip.first_number: sizes[end - clip.length : end] for clip, end in zip(self.jobs, ends)
        }

    def name_of(self, job):
        """See TestRun."""
        return job.name

    def variant(self):
        """See TestRun."""
        suffix, test = schedule_of(self.config, self.interval).suffix, self.config.TEST
        if test.AGGREGATE != 'none':
            suffix += '_' + test.AGGREGATE
        if test.SEQ_NMS:
            suffix += '_seqnms' if test.SEQ_NMS_RESCORE == 'avg' else '_seqnms_max'
        return suffix + passes_suffix(self.config)

    def settings(self):
        """See TestRun."""
        config = self.config
        # Results without tracks, aggregation or Seq-NMS, of before there were such keys, stay valid.
        left_out = {'KEY_FRAME_INTERVAL', 'test_epoch', 'SAVE_RAW', 'DETECT_ONLY', 'WORKERS'}
        if not config.TEST.TRACK:
            left_out |= {'TRACK'}
        if config.TEST.AGGREGATE == 'none':
            left_out |= {'AGGREGATE'}
        if not config.TEST.SEQ_NMS:
            left_out |= {'SEQ_NMS', 'SEQ_NMS_RESCORE'}
        left_out |= {key for key in ('FLIP', 'SCALES') if not config.TEST[key]}
        test = {key: value for key, value in config.TEST.items() if key not in left_out}
        # What has no effect makes no other results.
        test.update((name[5:], values[0]) for name, (values, _) in WITHOUT_EFFECT.items()
                    if name.startswith('TEST.'))
        return {'CLASS_AGNOSTIC': config.CLASS_AGNOSTIC, 'TEST': test,
                'dataset': {key: config.dataset[key] for key in ('dataset', 'dataset_path', 'NUM_CLASSES')},
                'thresh': self.options.thresh, 'interval': self.interval}

    def open_results(self, folder, origin, report, ignore_cache):
        """See TestRun."""
        return ClipResults(folder, origin, report, ignore_cache, self.config.TEST.SAVE_RAW)

    def load_params(self, prefix, epoch, report):
        """See TestRun."""
        return load_test_params(prefix, epoch, report)

    def params_in_training(self, arg_params, aux_params):
        """See TestRun."""
        return use_test_bbox(arg_params), aux_params

    def make_work(self, device, params, source, pending, results):
        """See TestRun."""
        whole_clip = None
        if self.config.TEST.SEQ_NMS or self.config.TEST.SAVE_RAW:
            whole_clip = whole_clip_of(self.config, self.options.thresh, results.folder)
        # Not an id for every detection: there are hundreds a frame that hardly score.
        detector = VideoDetector(self.config, self.network, *params, device, self.interval, self.options.thresh,
                                 source=source, rules=TrackRules(), whole_clip=whole_clip)
        seen = Counter()
        return lambda clip, tick: detect_clip(detector, clip, results, Timing(seen), tick, self._class_names,
                                              self._sizes.get(clip.first_number), whole_clip)

    def evaluate(self, results, facts, report):
        """See TestRun."""
        detections, timing = results.merge(self.jobs)
        report(
            'detections: %s' % detections
        )  # first: they are there, whatever becomes of the evaluation
        facts = dict(
            facts,
            detections=detections,
            ms=timing.milliseconds(),
            frames=sum(timing.counts.values()),
            key_frames=timing.counts['key'],
        )
        lines = timing.describe().splitlines()
        if self.config.TEST.DETECT_ONLY:
            lines.insert(0, 'not evaluated (TEST.DETECT_ONLY)')
        else:
            evaluation = self.dataset.evaluate(detections)
            facts.update(mAP=evaluation.mean_ap, AP=evaluation.ap,
                         mAP_by_speed={name: of.mean_ap for name, of in evaluation.speeds.items()})
            parts = []
            # Of more clips, tools/evaluate_vid.py --by-clip and tools/report.py tell.
            if 1 < len(self.jobs) <= FEW and hasattr(self.dataset, 'ground_truth'):
                parts = by_clip(self.dataset, detections)
                facts['clips'] = {part.name: part.mean_ap for part in parts}
            lines = [part.line() for part in parts] + evaluation.lines() + lines
        for line in lines:
            report(line)
        if self.config.TEST.TRACK:
            facts['tracks'] = self._evaluate_tracks(results, report)
        return facts

    def _evaluate_tracks(self, results, report):
        """Path and figures of the tracks; without figures where the data set has none to compare with."""
        path = results.merge_tracks(self.jobs)
        report('tracks: %s' % path)
        truth = None
        if hasattr(self.dataset, 'ground_truth') and not self.config.TEST.DETECT_ONLY:
            truth = self.dataset.ground_truth()
        if truth is None or truth.tracks is None or not (truth.tracks >= 0).any():
            report('no figures of tracks: the annotations have no track ids')
            return {'file': path}
        if not os.path.getsize(path):
            report('no figures of tracks: no detection scores enough to begin one')
            return {'file': path}
        classes = self.dataset.classes
        found = evaluate_tracks(truth, read_tracks(path, len(classes)), classes)
        for line in found.lines():
            report(line)
        return dict(found.as_dict(), file=path)


def detect_clip(detector, clip, results, timing, tick, class_names=None, sizes=None, whole_clip=None):
    """Write the detections of a clip, frame by frame.

    Args:
        detector: a VideoDetector.
        clip: lib.dataset.formats.records.Clip.
        results: ClipResults.
        timing: a Timing, which gets each frame.
        tick: called after each frame.
        class_names: also write images with boxes; None: do not.
        sizes: [n, 2], height and width that the annotations give each frame; None: compare
            nothing.
        whole_clip: a WholeClip, where `detector` yields boxes before NMS: all is written after the
            last frame.

    Raises DataError for a frame of another size than its annotation says: its boxes would not fit.
    """
    source = image_frames(clip.frame_path(i) for i in range(clip.length))
    drawn = class_names is not None
    with results.writing(clip, timing, drawn) as write, contextlib.closing(detector.detect(source)) as detected:
        found = _checked(detected, clip, sizes, tick)
        if whole_clip is not None:
            found = whole_clip.finish(found, source if drawn else None, results.raw_path(clip))
        for result in found:
            timing.add(result)
            write(clip.first_number + result.index, result.detections, result.track_ids)
            if drawn:
                with open_folder(os.path.join(results.folder, 'vis', clip.name)) as draw:
                    draw(draw_detections(result.image, result.detections, class_names, VISIBLE, result.track_ids),
                         source.name(result.index))


def _checked(results, clip, sizes, tick):
    """Yield from `results`, whose frames must have the sizes of `detect_clip`, calling tick() after
    each.
    """
    for result in results:
        size = result.image.shape[:2]
        if sizes is not None and tuple(sizes[result.index]) != size:
            path = clip.frame_path(result.index)
            declared = tuple(sizes[result.index].tolist())
            raise DataError(wrong_size(path, size, declared, read_header(path).orientation))
        yield result
        tick()
