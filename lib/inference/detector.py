"""Detection in video: what comes of a frame, in the key/current loop or in batches."""
from dff.errors import ConfigError
from dff.loop import batch_loop
from dff.results import Detected
from dff.boxes import boxes_before_nms
from dff.tracking.follow import Follower, only_above
from dff.tracking.tracker import Tracker, rules_for
from lib.boxes.frame_detections import frame_detections
from lib.boxes.passes import merged_boxes, nms_of_boxes
from lib.config.checks import TRACKS_OR_WHOLE_CLIP
from lib.engine.box_regression import use_test_bbox
from lib.engine.checkpoint import file_name, load_params
from lib.inference.key_frames import require_fixed, require_one_pass
from lib.inference.networks import DETECTION, BatchNetwork
from lib.inference.predictor import VideoPredictor


class VideoDetector(VideoPredictor):
    """Detections in clips. `run` yields a Detected for each image.

    Args:
        cfg, symbol_instance, arg_params, aux_params, ctx, interval, source: as of VideoPredictor.
        thresh: lowest score of a detection.
        batch: use the batch network, which takes `interval` frames at a time, also of the baseline.
        rules: with TEST.TRACK, the TrackRules; None: those by which every detection gets an id.
        whole_clip: a dff.tracking.whole_clip.WholeClip: `run` yields boxes before NMS, which
            `after_clip` makes detections of; `thresh` does not count. None: it yields detections.
    """

    head, result = DETECTION, Detected

    def __init__(self, cfg, symbol_instance, arg_params, aux_params, ctx, interval=None, thresh=1e-3, batch=False,
                 source='the parameters given', rules=None, whole_clip=None):
        self.thresh, self._batch, self.whole_clip = thresh, batch, whole_clip
        self.with_flow, self._rules = cfg.TEST.TRACK, rules or rules_for(thresh)
        if whole_clip is not None and cfg.TEST.TRACK:
            raise ConfigError(TRACKS_OR_WHOLE_CLIP)
        if batch:
            require_one_pass(cfg, 'the batch network sees each frame once')
        if batch and cfg.TEST.TRACK:
            raise ConfigError('the batch network hands out no flow, along which TEST.TRACK follows boxes: '
                              'run it without --track, or demo.py')
        super().__init__(cfg, symbol_instance, arg_params, aux_params, ctx, interval, source)

    def _bind(self):
        if not self._batch:
            super()._bind()
            return
        if self.cfg.TEST.PRECISION != 'float32':
            raise ConfigError('the batch network runs in float32: TEST.PRECISION is %s' % self.cfg.TEST.PRECISION)
        require_fixed(self.cfg, 'the batch network takes a key frame and the %d frames after it' % (self.interval - 1))
        self.warm_up = ({'key': 1, 'current': self.interval - 1} if self._instance.propagates
                        else {'key': self.interval, 'current': 0})
        self._run_batch = BatchNetwork(self.cfg, self._instance, self.interval, self._binder)

    def detect(self, images):
        """Yield a Detected for each BGR uint8 image of the iterable `images`: another name of `run`."""
        return self.run(images)

    def after_clip(self, results, images):
        """See VideoPredictor."""
        return results if self.whole_clip is None else self.whole_clip.finish(results, images)

    def _loop(self, frames):
        if self._batch:
            return batch_loop(frames, self.interval, self._run_batch, self._post_process, self._instance.propagates)
        if not self.cfg.TEST.TRACK:
            return super()._loop(frames)
        return self._tracked(frames)

    def _tracked(self, frames):
        loop = super()._loop(frames, follow=Follower(Tracker(self._rules), self.cfg.network.RCNN_FEAT_STRIDE))
        return (only_above(result, self.thresh) for result in loop)

    def _post_process(self, values, frame):
        test = self.cfg.TEST
        # Weak detections carry tracks on, also where nobody asked to see them.
        thresh = min(self.thresh, self._rules.low) if test.TRACK else self.thresh
        if self._passes:
            if self.whole_clip is not None:
                return merged_boxes(values, frame, self.whole_clip.min_score)
            return nms_of_boxes(merged_boxes(values, frame, thresh), test.NMS, test.max_per_image)
        if self.whole_clip is not None:
            return boxes_before_nms(*values, frame.im_info, self.whole_clip.min_score)
        return frame_detections(*values, frame.im_info, thresh, test.NMS, test.max_per_image)


def load_test_params(prefix, epoch, report):
    """Return (arg_params, aux_params) of <prefix>-<epoch>.params, with the box regression layer made for
    testing in its place.

    Args:
        prefix, epoch: as of load_params.
        report: called with a line where the file has no such layer.

    Raises CheckpointError.
    """
    arg_params, aux_params = load_params(prefix, epoch)
    if any(name.endswith('_test') for name in arg_params):
        return use_test_bbox(arg_params, file_name(prefix, epoch)), aux_params
    report('%s holds no rfcn_bbox_weight_test, which training writes: rfcn_bbox_weight is used '
           'instead. Boxes are wrong if BBOX_STDS is not folded into it' % file_name(prefix, epoch))
    return arg_params, aux_params
