"""The key/current loop of Deep Feature Flow, and detection in video with it.

The loop is the paper's inference algorithm (arXiv 1611.07715, algorithm 1): the heavy network on every
`interval`-th frame, on all others the flow network and the warped feature of the last key frame. For who can wait for
a few frames, the key frame may also be the middle one of each interval: the farthest frame is then half as far away.
"""
import contextlib
import functools
import itertools
import time
from collections import deque, namedtuple

import numpy as np

from lib.core.checkpoint import load_params, use_test_bbox
from lib.core.inference_networks import DETECTION, BatchNetwork, CurrentNetwork, FrameNetwork, KeyNetwork, has_flow
from lib.core.precision import FRAMES, KEY_INTERVAL, arithmetic, make_precision
from lib.core.video_io import read_ahead
from lib.nms.frame_nms import frame_detections
from lib.utils.errors import ConfigError
from lib.utils.image import resize, to_tensor

# image: BGR uint8 [H, W, 3]; tensor: float32 [1, 3, h, w], network input; im_info: float32 [1, 3], h, w, scale.
Frame = namedtuple('Frame', 'image tensor im_info')
# detections: float32 [n, 6], rows class (from 1), score, x1, y1, x2, y2 in pixels of `image`, inclusive corners;
# seconds: Seconds. In a batch, every frame carries its share of the batch's time.
Detected = namedtuple('Detected', 'index image detections is_key seconds')
# reading: waiting for the next prepared frame; network: input in to output out; post: boxes, NMS.
Seconds = namedtuple('Seconds', 'reading network post')


def prepare(image, cfg):
    """The Frame of a BGR uint8 [H, W, 3] image, scaled to cfg.SCALES and padded to cfg.network.IMAGE_STRIDE."""
    scaled, scale = resize(image, cfg.SCALES[0], cfg.network.IMAGE_STRIDE)
    im_info = np.array([[scaled.shape[0], scaled.shape[1], scale]], np.float32)
    return Frame(image, to_tensor(scaled, cfg.network.PIXEL_MEANS), im_info)


def key_frame_loop(frames, interval, run_key, run_current, post_process, clock=time.perf_counter, result=Detected, lookahead=0):
    """Yield a `result` for each Frame of the clip `frames`: Detected, or another type with its five fields.

    Every `interval` frames, from frame 0 on, share a key frame: the first of them, or with `lookahead` the one so many frames later,
    for which those before it wait (near the clip's end the middle of those left). A frame is the first of a new interval, too, where it is
    of another size than its key frame, whose feature it then cannot use, or where run_current says so by returning None
    (TEST.KEY_FRAME_POLICY: flow, without lookahead).

    run_key(frame) -> (outputs, Key); run_current(frame, key) -> outputs or None; post_process(outputs, frame) -> the third field.
    """
    def timed(function, *arguments):
        start = clock()
        return function(*arguments), clock() - start

    key_frame, key, age, waiting, index = None, None, 0, deque(), 0
    frames = iter(frames)
    while True:
        start = clock()
        frame = waiting.popleft() if waiting else next(frames, None)
        if frame is None:
            return
        due = key is None or age == interval or frame.tensor.shape != key.tensor.shape
        if due:
            key_frame = _look_ahead(frame, waiting, frames, lookahead)
        reading = clock() - start
        if due:
            ((key_outputs, key), key_seconds), age = timed(run_key, key_frame), 0
        if frame is not key_frame:
            outputs, seconds = timed(run_current, frame, key)
            if outputs is None:
                key_frame, age = frame, 0
                (key_outputs, key), key_seconds = timed(run_key, frame)
                key_seconds += seconds
        is_key = frame is key_frame
        if is_key:
            outputs, seconds = key_outputs, key_seconds
        age += 1
        found, post = timed(post_process, outputs, frame)
        yield result(index, frame.image, found, is_key, Seconds(reading, seconds, post))
        index += 1


def _look_ahead(first, waiting, frames, count):
    """The key frame of the interval that begins with `first`: the frame `count` after it, read from `frames` into `waiting`."""
    while len(waiting) < count:
        frame = next(frames, None)
        if frame is None:
            break
        waiting.append(frame)
        if frame.tensor.shape != first.tensor.shape:
            break
    usable = [first] + list(itertools.takewhile(lambda frame: frame.tensor.shape == first.tensor.shape, waiting))[:count]
    return usable[count if len(usable) > count else len(usable) // 2]


def batch_loop(frames, size, run_batch, post_process, has_current=True, clock=time.perf_counter):
    """Yield a Detected for each Frame of the clip `frames`, computed in batches of up to `size` equally sized frames.

    run_batch([frame]) -> [outputs of each]. has_current: only the first frame of a batch is a key frame.
    """
    index = 0
    groups = _groups(frames, size)
    while True:
        start = clock()
        group = next(groups, None)
        if group is None:
            return
        read = clock()
        batch = run_batch(group)
        computed = clock()
        detections = [post_process(outputs, frame) for outputs, frame in zip(batch, group)]
        ends = (start, read, computed, clock())
        seconds = Seconds(*((end - begin) / len(group) for begin, end in zip(ends, ends[1:])))
        for position, frame in enumerate(group):
            yield Detected(index, frame.image, detections[position], position == 0 or not has_current, seconds)
            index += 1


def _groups(frames, size):
    """Lists of up to `size` consecutive frames of one shape."""
    group = []
    for frame in frames:
        if group and (len(group) == size or frame.tensor.shape != group[0].tensor.shape):
            yield group
            group = []
        group.append(frame)
    if group:
        yield group


class VideoPredictor:
    """The networks of one task on one device, and clips run through them: what detection and segmentation share.

    Args:
        cfg: settings of the task.
        symbol_instance: a symbol class of the task. With get_key_test_symbol (DFF) frames are key or current
            frames; else (the frame baseline) its test network runs on every frame.
        arg_params, aux_params: {name: NDArray}.
        ctx: mx.Context.
        interval: key frames are so far apart, or at most so far with KEY_FRAME_POLICY flow; None:
            cfg.TEST.KEY_FRAME_INTERVAL. The baseline ignores it.
        source: what messages call the origin of the parameters.

    Raises CheckpointError where parameters are missing or do not fit, ConfigError for a bad interval.
    A subclass has `task`, `result` (of key_frame_loop) and `_post_process(outputs, frame)`.
    """

    task = result = None

    def __init__(self, cfg, symbol_instance, arg_params, aux_params, ctx, interval=None, source='the parameters given'):
        self.cfg = cfg
        self.interval = cfg.TEST.KEY_FRAME_INTERVAL if interval is None else interval
        if self.interval < 1:
            raise ConfigError('the key-frame interval must be 1 or more, found %d' % self.interval)
        # Frames of each kind and size that include the time of binding a network; for Timing.
        self.warm_up = {'key': 1, 'current': 1}
        self._has_current = has_flow(symbol_instance)
        # What an exported network has, whose file may be anybody's.
        self._check_size = getattr(symbol_instance, 'check_size', lambda height, width: None)
        self._guard = getattr(symbol_instance, 'guard', contextlib.nullcontext)
        self._precision = make_precision(cfg.TEST.PRECISION, arg_params, source)
        self._bind_again = functools.partial(self._bind, symbol_instance, ctx, arg_params, aux_params, source, self._precision)
        with self._guard():
            self._bind_again()

    def _bind(self, symbol_instance, *params):
        self._run_current = None     # not needed where every frame is a key frame
        if self._has_current:
            self._run_key = KeyNetwork(self.cfg, symbol_instance, *params, task=self.task)
            if self.interval > 1:
                self._run_current = CurrentNetwork(self.cfg, symbol_instance, self._run_key.feature_shape, *params, task=self.task)
        else:
            self.interval = 1
            self._run_key = FrameNetwork(self.cfg, symbol_instance, *params, task=self.task)

    def run(self, images):
        """Yield a `result` for each BGR uint8 image of the iterable `images`, which is read ahead by a thread."""
        frames = read_ahead(prepare(image, self.cfg) for image in images)
        try:
            fitting = self._fitting(frames)
            with self._guard():
                yield from self._loop(self._calibrated(fitting) if self._precision.to_calibrate() else fitting)
        finally:
            frames.close()

    def _fitting(self, frames):
        for frame in frames:
            self._check_size(*frame.tensor.shape[2:])
            yield frame

    def arithmetic(self):
        """{'key' and, where other frames exist, 'current': 'float32' or 'int8'}, what the networks compute with now."""
        networks = {'key': self._run_key, 'current': self._run_current}
        return {kind: arithmetic(network.pool.symbol) for kind, network in networks.items() if network}

    def _calibrated(self, frames):
        """All of `frames`, after the first ones have shown which ranges int8 needs (lib/core/precision.py)."""
        first = list(itertools.islice(frames, FRAMES))
        interval = min(self.interval, KEY_INTERVAL)
        for _ in key_frame_loop(first, interval, self._run_key, self._run_current, lambda outputs, frame: None):
            pass
        self._precision.finish([network.pool.last_inputs() for network in (self._run_key, self._run_current) if network])
        self._bind_again()
        return itertools.chain(first, frames)

    def _loop(self, frames):
        return key_frame_loop(frames, self.interval, self._run_key, self._run_current, self._post_process, result=self.result,
                              lookahead=self.interval // 2 if self.cfg.TEST.KEY_FRAME_POLICY == 'middle' else 0)


class VideoDetector(VideoPredictor):
    """Detections in clips.

    Args: those of VideoPredictor, and
        thresh: lowest score of a detection.
        batch: use the batch network, which takes `interval` frames at a time, also of the baseline.
    """

    task, result = DETECTION, Detected

    def __init__(self, cfg, symbol_instance, arg_params, aux_params, ctx, interval=None, thresh=1e-3, batch=False,
                 source='the parameters given'):
        self.thresh, self._batch = thresh, batch
        super().__init__(cfg, symbol_instance, arg_params, aux_params, ctx, interval, source)

    def _bind(self, symbol_instance, *params):
        if self._batch:
            if self.cfg.TEST.PRECISION != 'float32':
                raise ConfigError('the batch network runs in float32: TEST.PRECISION is %s' % self.cfg.TEST.PRECISION)
            if self.cfg.TEST.KEY_FRAME_POLICY != 'fixed':
                raise ConfigError('the batch network takes a key frame and the %d frames after it: TEST.KEY_FRAME_POLICY must be fixed, found %s'
                                  % (self.interval - 1, self.cfg.TEST.KEY_FRAME_POLICY))
            self.warm_up = {'key': 1, 'current': self.interval - 1} if self._has_current else {'key': self.interval, 'current': 0}
            self._run_batch = BatchNetwork(self.cfg, symbol_instance, self.interval, *params)
        else:
            super()._bind(symbol_instance, *params)

    def detect(self, images):
        """`run`: yield a Detected for each BGR uint8 image of the iterable `images`."""
        return self.run(images)

    def _loop(self, frames):
        if self._batch:
            return batch_loop(frames, self.interval, self._run_batch, self._post_process, self._has_current)
        return super()._loop(frames)

    def _post_process(self, outputs, frame):
        test = self.cfg.TEST
        return frame_detections(*outputs, frame.im_info, self.thresh, test.NMS, test.max_per_image)


def load_test_params(prefix, epoch, report):
    """(arg_params, aux_params) of <prefix>-<epoch>.params, with the box regression layer made for testing in its place.

    report: called with a line where the file has no such layer. Raises CheckpointError.
    """
    arg_params, aux_params = load_params(prefix, epoch)
    if any(name.endswith('_test') for name in arg_params):
        return use_test_bbox(arg_params, '%s-%04d.params' % (prefix, epoch)), aux_params
    report('%s-%04d.params holds no rfcn_bbox_weight_test, which training writes: rfcn_bbox_weight is used as it is. '
           'Boxes are wrong if BBOX_STDS is not folded into it' % (prefix, epoch))
    return arg_params, aux_params
