"""Test networks bound to a device: the dff.networks.Networks that MXNet computes.

A Head says what a task needs of a frame and hands out for it. Of detection that is a tuple: rois [R, 5],
cls_prob [R, classes], bbox_pred [R, 8 or 4 * classes], NumPy float32.
"""
import copy
from collections import namedtuple

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from dff.errors import ConfigError
from dff.networks import Outputs
from lib.engine.executors import ExecutorPool
from lib.inference.key_frames import network_input

# What current frames need of their key frame: its tensor (NumPy) and its feature (NDArray on the device).
Key = namedtuple('Key', 'tensor feature')
# symbols(head_outputs of a network) -> [symbols to compute for a frame]; inputs(frame) -> {name: array},
# what of a Frame they need; input_shapes(height, width) -> {name: shape} of these for the largest network
# input; to_host([values, NDArray]) -> what the networks hand out, in host memory, once the device is done.
Head = namedtuple('Head', 'symbols inputs input_shapes to_host')


class Binder:
    """Binds networks to a device with their parameters.

    Args:
        ctx: mx.Context.
        arg_params, aux_params: {name: NDArray}.
        source: what messages call the origin of the parameters.
        precision: of lib.precision.precision.
    """

    def __init__(self, ctx, arg_params, aux_params, source, precision):
        self._ctx, self._params, self._source, self._precision = ctx, (arg_params, aux_params), source, precision

    def pool(self, symbol, shapes):
        """Return an ExecutorPool of `symbol`; shapes: {input: largest shape}, also of inputs that it does not have."""
        names = set(symbol.list_inputs())
        shapes = {name: shape for name, shape in shapes.items() if name in names}
        network = self._precision.rewrite(symbol, shapes, self._ctx, *self._params, self._source)
        pool = ExecutorPool(network.symbol, self._ctx, shapes, monitor=network.monitor)
        pool.set_params(network.arg_params, network.aux_params, source=self._source)
        return pool


def with_test_settings(cfg, **settings):
    """Return a copy of `cfg` with other values in its TEST section."""
    cfg = copy.deepcopy(cfg)
    cfg.TEST.update(settings)
    return cfg


def _detections_to_host(outputs):
    """rois, cls_prob, bbox_pred of one frame as NumPy arrays."""
    rois, cls_prob, bbox_pred = (output.asnumpy() for output in outputs)
    return rois, cls_prob.reshape(-1, cls_prob.shape[-1]), bbox_pred.reshape(-1, bbox_pred.shape[-1])


DETECTION = Head(list, lambda frame: {'data': frame.tensor, 'im_info': frame.im_info},
                 lambda height, width: {'data': (1, 3, height, width), 'im_info': (1, 3)}, _detections_to_host)


class FrameNetworks:
    """The frame baseline: every frame is a key frame, and there is nothing to keep of it.

    Args:
        cfg: settings of the task.
        instance: its symbol class.
        binder: a Binder.
        head: a Head.
    """

    def __init__(self, cfg, instance, binder, head):
        symbol = instance.test_networks(with_test_settings(cfg, BATCH_IMAGES=1))['frame']
        outputs = head.symbols(instance.head_outputs(symbol))
        self.pools = {'key': binder.pool(mx.sym.Group(outputs), head.input_shapes(*network_input(cfg)))}
        self._head = head

    def key(self, frame):
        """Run on a Frame; returns (Outputs, None)."""
        executor = self.pools['key'].forward(self._head.inputs(frame))
        return Outputs(self._head.to_host(executor.outputs)), None

    def current(self, frame, state):
        """There are no such frames: raises ValueError."""
        raise ValueError('the frame baseline has no network for other frames than key frames')


class PropagatingNetworks:
    """DFF's networks. The feature stays on the device; the key frame is copied to the other network's inputs once.

    Args:
        cfg, instance, binder, head: as of FrameNetworks.
        with_current: False where every frame is a key frame, which needs no other network.
        schedule: a Schedule, which says what it needs: how badly each frame follows the flow (Outputs.mismatch), or
            a network for frames between two key frames.
        with_flow: hand the flow out (Outputs.flow).

    Attribute: joins_key_frames, whether `key` joins a key frame's feature with that of the one before.

    Raises ConfigError where the schedule needs a network that is not there.
    """

    def __init__(self, cfg, instance, binder, head, schedule, with_current=True, with_flow=False):
        self.joins_key_frames = cfg.TEST.AGGREGATE == 'recursive'
        symbols = instance.test_networks(cfg)
        shapes = head.input_shapes(*network_input(cfg))
        feature = instance.key_feature(symbols['key'])
        # Without the inputs of the key frame before, from which no shape follows.
        self._feature = instance.key_feature(
            instance.test_networks(with_test_settings(cfg, AGGREGATE='none'))['key'])
        shapes.update(data_key=shapes['data'], feat_key=self._feature_shape(shapes['data']), first_flag=(1,))
        outputs = head.symbols(instance.head_outputs(symbols['key']))
        self.pools = {'key': binder.pool(mx.sym.Group([feature] + outputs), shapes)}
        self._head, self._loaded, self._sides = head, None, [None, None]
        self._with_mismatch, self._with_flow = schedule.needs_mismatch, with_flow
        if with_current:
            outputs = head.symbols(instance.head_outputs(symbols['current']))
            if self._with_mismatch:
                outputs = outputs + [instance.flow_mismatch(symbols['current'], cfg)]
            if with_flow:
                outputs = outputs + [instance.flow(symbols['current'], cfg)]
            self.pools['current'] = binder.pool(mx.sym.Group(outputs), shapes)
        if with_current and schedule.both_sides:
            self._bind_between(cfg, instance, binder, shapes)

    def _bind_between(self, cfg, instance, binder, shapes):
        symbol = instance.between_network(cfg)
        if symbol is None:
            raise ConfigError('TEST.KEY_FRAME_POLICY: both needs a network that takes two key frames, which %s does '
                              'not have: set it to middle' % type(instance).__name__)
        outputs = self._head.symbols(instance.head_outputs(symbol))
        if self._with_flow:
            outputs = outputs + [instance.flow(symbol, cfg)]
        shapes = dict(shapes, key_share=(1,))
        shapes.update((name, (2,) + tuple(shapes[name][1:])) for name in ('data_key', 'feat_key'))
        self.pools['between'] = binder.pool(mx.sym.Group(outputs), shapes)

    def _feature_shape(self, image):
        """Shape of the feature of images of this shape."""
        return self._feature.infer_shape(data=image)[1][0]

    def key(self, frame, before=None):
        """Run on a key frame; returns (Outputs, Key). before: the Key before it, where features are joined."""
        inputs = self._head.inputs(frame)
        if self.joins_key_frames:
            first = before is None
            before = Key(frame.tensor, mx.nd.zeros(self._feature_shape(frame.tensor.shape))) if first else before
            inputs.update(data_key=before.tensor, feat_key=before.feature, first_flag=np.array([first], np.float32))
        outputs = self.pools['key'].forward(inputs).outputs
        # Copied, since outputs live in memory that the next forward uses again.
        feature = outputs[0].copy()
        values = self._head.to_host(outputs[1:])
        feature.wait_to_read()
        return Outputs(values), Key(frame.tensor, feature)

    def current(self, frame, state):
        """Run on another frame with the Key of its key frame; returns Outputs."""
        own = self._head.inputs(frame)
        shapes = {name: value.shape for name, value in own.items()}
        executor = self.pools['current'].get(dict(shapes, data_key=state.tensor.shape, feat_key=state.feature.shape))
        inputs = executor.arg_dict
        if state is not self._loaded:
            inputs['data_key'][:] = state.tensor
            inputs['feat_key'][:] = state.feature
            self._loaded = state
        for name, value in own.items():
            inputs[name][:] = value
        outputs = executor.forward(is_train=False)
        flow = outputs.pop().asnumpy()[0] if self._with_flow else None
        mismatch = outputs.pop().asscalar() if self._with_mismatch else None
        return Outputs(self._head.to_host(outputs), mismatch, flow)

    def between(self, frame, state, other, share):
        """Run on a frame between two key frames; returns Outputs.

        frame, state, other, share: see dff.networks.TwoSided.
        """
        own = dict(self._head.inputs(frame), key_share=np.array([share], np.float32))
        shapes = {name: value.shape for name, value in own.items()}
        for name, value in zip(('data_key', 'feat_key'), state):
            shapes[name] = (2,) + value.shape[1:]
        executor = self.pools['between'].get(shapes)
        inputs = executor.arg_dict
        for side, key in enumerate((state, other)):
            if key is not self._sides[side]:
                inputs['data_key'][side:side + 1] = key.tensor
                inputs['feat_key'][side:side + 1] = key.feature
                self._sides[side] = key
        for name, value in own.items():
            inputs[name][:] = value
        outputs = executor.forward(is_train=False)
        flow = outputs.pop().asnumpy()[0] if self._with_flow else None
        return Outputs(self._head.to_host(outputs), flow=flow)


class PassNetworks:
    """Networks that see each frame in several passes: a Shown. The values of their Outputs are a list, of each pass.

    How well a frame follows the flow, and the flow, are those of the first pass.

    Args:
        networks: FrameNetworks or PropagatingNetworks.
    """

    def __init__(self, networks):
        self._networks, self.pools = networks, networks.pools
        self.joins_key_frames = getattr(networks, 'joins_key_frames', False)

    def key(self, shown, before=None):
        """Run on a Shown key frame; returns (Outputs, the states of all passes).

        before: the states of the key frame before, where features are joined.
        """
        given = [shown.frames]
        if self.joins_key_frames:
            given.append([None] * len(shown.frames) if before is None else before)
        outputs, states = zip(*map(self._networks.key, *given))
        return self._joined(outputs), states

    def current(self, shown, states):
        """Run on another Shown frame with the states of its key frame; returns Outputs."""
        return self._joined(list(map(self._networks.current, shown.frames, states)))

    def between(self, shown, states, others, share):
        """Run on a Shown frame between two key frames; returns Outputs.

        shown, states, others, share: as of PropagatingNetworks.between, of all passes.
        """
        return self._joined([self._networks.between(frame, state, other, share)
                             for frame, state, other in zip(shown.frames, states, others)])

    @staticmethod
    def _joined(outputs):
        return outputs[0]._replace(values=[each.values for each in outputs])


class BatchNetwork:
    """`size` frames in one forward: of DFF a key frame and those after it, of the baseline any frames.

    Args:
        cfg: settings of a detection task.
        instance: its symbol class.
        size: frames.
        binder: a Binder.

    Raises ConfigError for a size of 1 with DFF.
    """

    def __init__(self, cfg, instance, size, binder):
        height, width = network_input(cfg)
        self._propagates = instance.propagates
        if self._propagates and size < 2:
            raise ConfigError('the batch network needs a key-frame interval of 2 or more, found %d; '
                              'for key frames only, run demo.py --interval 1' % size)
        if self._propagates:
            symbol = instance.get_batch_test_symbol(with_test_settings(cfg, KEY_FRAME_INTERVAL=size))
        else:
            symbol = instance.get_test_symbol(with_test_settings(cfg, BATCH_IMAGES=size))
        data = {'data_key': 1, 'data_other': size - 1} if self._propagates else {'data': size}
        shapes = {name: (count, 3, height, width) for name, count in data.items()}
        self._size = size
        self.pool = binder.pool(symbol, dict(shapes, im_info=(size, 3)))

    def __call__(self, frames):
        """Return [values of a frame] of up to `size` Frames of one shape."""
        # A short tail is filled up with its last frame; what comes out for those is dropped.
        full = frames + frames[-1:] * (self._size - len(frames))
        inputs = {'im_info': np.concatenate([frame.im_info for frame in full])}
        if self._propagates:
            inputs.update(data_key=full[0].tensor, data_other=np.concatenate([frame.tensor for frame in full[1:]]))
        else:
            inputs['data'] = np.concatenate([frame.tensor for frame in full])
        outputs = [output.asnumpy() for output in self.pool.forward(inputs).outputs]
        parts = [array.reshape(self._size, -1, array.shape[-1]) for array in outputs]
        return [tuple(part[i] for part in parts) for i in range(len(frames))]
