"""The networks of one task on one device, and clips run through them in the key/current loop of dff/loop.py."""
import itertools

from dff.frames import prepare, prepare_passes
from dff.loop import key_frame_loop, window_loop
from dff.schedule import Schedule
from dff.sources import read_ahead
from lib.inference.key_frames import (check_aggregation, check_stride, input_format, passes_of, require_one_pass,
                                      schedule_of, several_passes)
from lib.inference.networks import Binder, FrameNetworks, PassNetworks, PropagatingNetworks
from lib.precision.precision import FRAMES, KEY_INTERVAL, arithmetic, make_precision
from lib.inference.window import WindowNetworks


class VideoPredictor:
    """What detection and segmentation of clips share.

    Args:
        cfg: settings of the task.
        symbol_instance: a symbol class of the task. One that propagates (DFF) has key and current frames; one that
            aggregates (FGFA) has windows; of the frame baseline the test network runs on every frame.
        arg_params, aux_params: {name: NDArray}.
        ctx: mx.Context.
        interval: key frames are so far apart, or at most so far with the policy flow; None:
            cfg.TEST.KEY_FRAME_INTERVAL. The baseline ignores it, to FGFA it is the frames to each side.
        source: what messages call the origin of the parameters.

    Raises CheckpointError where parameters are missing or do not fit, ConfigError for a bad interval.
    A subclass has `head`, `result` (of key_frame_loop) and `_post_process(values, frame)`.
    """

    head = result = None
    with_flow = False      # whether results need the flow of other frames than key frames

    def __init__(self, cfg, symbol_instance, arg_params, aux_params, ctx, interval=None, source='the parameters given'):
        self.cfg, self.form, self._instance = cfg, input_format(cfg), symbol_instance
        self.interval = schedule_of(cfg, interval).interval
        # Frames of each kind and size that include the time of binding a network; for Timing.
        schedule = schedule_of(cfg, interval)
        self.warm_up = {'key': 1, 'current': schedule.lookahead + 1 if schedule.both_sides else 1}
        check_aggregation(cfg, symbol_instance, arg_params, source)
        check_stride(cfg, arg_params, source)
        self._precision = make_precision(cfg.TEST.PRECISION, arg_params, source)
        self._binder = Binder(ctx, arg_params, aux_params, source, self._precision)
        self._passes = passes_of(cfg) if several_passes(cfg) else None
        if self._passes and cfg.TEST.PRECISION != 'float32':
            require_one_pass(cfg, 'TEST.PRECISION is %s, whose ranges are measured at one size' % cfg.TEST.PRECISION)
        with symbol_instance.guard():
            self._bind()
            if self._passes:
                self.networks = PassNetworks(self.networks)

    def schedule(self):
        """Return a new Schedule of key frames, for one clip."""
        return schedule_of(self.cfg, self.interval) if self._instance.propagates else Schedule(1)

    def _bind(self):
        if self._instance.propagates:
            self.networks = PropagatingNetworks(self.cfg, self._instance, self._binder, self.head, self.schedule(),
                                                self.interval > 1, self.with_flow)
        elif self._instance.aggregates:
            require_one_pass(self.cfg, 'FGFA shows each frame to its networks once')
            self.networks = WindowNetworks(self.cfg, self._instance, self._binder, self.head, self.interval)
        else:
            self.interval = 1
            self.networks = FrameNetworks(self.cfg, self._instance, self._binder, self.head)

    def run(self, images):
        """Yield a `result` for each BGR uint8 image of the iterable `images`, which is read ahead by a thread."""
        frames = read_ahead(self.prepare(image) for image in images)
        try:
            fitting = self._fitting(frames)
            with self._instance.guard():
                yield from self._loop(self._calibrated(fitting) if self._precision.to_calibrate() else fitting)
        finally:
            frames.close()

    def after_clip(self, results, images):
        """Return the iterable `results` of `run`, changed where that takes the whole clip.

        images: iterable of the clip's frames, read once more where what comes out needs them.
        """
        return results

    def prepare(self, image):
        """Return the Frame of `image`, BGR uint8 [H, W, 3]; with several passes the Shown."""
        return prepare_passes(image, self._passes) if self._passes else prepare(image, self.form)

    def _fitting(self, frames):
        """The frames, each of a size that the networks can take."""
        for frame in frames:
            for each in frame.frames if self._passes else [frame]:
                self._instance.check_size(*each.tensor.shape[2:])
            yield frame

    def arithmetic(self):
        """Return {'key' and, where other frames exist, 'current': 'float32' or 'int8'}, what the networks
        compute with now.
        """
        return {kind: arithmetic(pool.symbol) for kind, pool in self.networks.pools.items()}

    def _calibrated(self, frames):
        """All of `frames`, after the first ones have shown which ranges int8 needs (lib/precision/precision.py)."""
        first = list(itertools.islice(frames, FRAMES))
        for schedule in self._calibration():
            for _ in key_frame_loop(first, schedule, self.networks, lambda values, frame: None):
                pass
        measured = {pool.monitor: (pool.last_inputs(), pool.arg_params) for pool in self.networks.pools.values()}
        # No two sets of networks are in memory at a time.
        self.networks = None
        self._precision.finish(measured)
        del measured
        self._bind()
        return itertools.chain(first, frames)

    def _calibration(self):
        """The Schedules by which the first frames go through every network, those of one key frame first."""
        interval = min(self.interval, KEY_INTERVAL)
        schedules = [Schedule(interval)]
        # With both sides few frames of a clip have one, whose network must be measured as well as the other.
        if self.schedule().both_sides:
            schedules.append(Schedule(interval, interval // 2, both_sides=True))
        return schedules

    def _loop(self, frames, **options):
        """The results of `frames`; options: keywords of key_frame_loop and window_loop."""
        loop, order = (window_loop, self.interval) if self._instance.aggregates else (key_frame_loop, self.schedule())
        return loop(frames, order, self.networks, self._post_process, self.result, **options)

    def _post_process(self, values, frame):
        """The third field of a `result`, from the networks' values for a Frame."""
        raise NotImplementedError
