"""The test networks of a task, bound to a device: prepared frames in, outputs in host memory out.

A Task says what its networks compute and hand out for a frame. Of detection that is a tuple: rois [R, 5],
cls_prob [R, classes], bbox_pred [R, 8 or 4 * classes], NumPy float32.
"""
import copy
from collections import namedtuple

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from lib.engine.executors import ExecutorPool
from lib.symbols.flownet import FLOW_UNIT
from lib.symbols.operators import flow_warp
from dff.errors import ConfigError

# What current frames need of their key frame: its tensor (NumPy) and its feature (NDArray on the device).
Key = namedtuple('Key', 'tensor feature')
# head([output symbols of a test network, a key frame's feature excepted]) -> [symbols to compute for a frame];
# inputs(frame) -> {name: array}, what of a Frame they need; input_shapes(height, width) -> {name: shape} of these for the
# largest network input; to_host([values, NDArray]) -> what the network hands out, in host memory, once the device is done.
Task = namedtuple('Task', 'head inputs input_shapes to_host')


def has_flow(symbol_instance):
    """Whether a symbol class is one of DFF, with key and current frames, or the frame baseline."""
    return hasattr(symbol_instance, 'get_key_test_symbol')


def largest_input(cfg):
    """(height, width) of the largest network input that cfg.SCALES allows."""
    stride = max(1, cfg.network.IMAGE_STRIDE)
    return tuple(-(-side // stride) * stride for side in cfg.SCALES[0])


def _with_test(cfg, **settings):
    """A copy of `cfg` with other values in its TEST section."""
    cfg = copy.deepcopy(cfg)
    cfg.TEST.update(settings)
    return cfg


def _bind(symbol, shapes, ctx, arg_params, aux_params, source, precision):
    """An ExecutorPool of `symbol` with its parameters, for those of the inputs `shapes` that it has."""
    names = set(symbol.list_inputs())
    shapes = {name: shape for name, shape in shapes.items() if name in names}
    network = precision.rewrite(symbol, shapes, ctx, arg_params, aux_params, source)
    pool = ExecutorPool(network.symbol, ctx, shapes, monitor=network.monitor)
    pool.set_params(network.arg_params, network.aux_params, source=source)
    return pool


def own_outputs(symbol):
    """The outputs of `symbol` but those that only pass an input on: the original's key network returns two of them."""
    inputs = set(symbol.list_inputs())
    return [output for output in symbol if output.list_outputs()[0] not in inputs]


def _detection_inputs(frame):
    return {'data': frame.tensor, 'im_info': frame.im_info}


def _detection_shapes(height, width):
    return {'data': (1, 3, height, width), 'im_info': (1, 3)}


def _detections_to_host(outputs):
    """rois, cls_prob, bbox_pred of one frame as NumPy arrays."""
    rois, cls_prob, bbox_pred = (output.asnumpy() for output in outputs)
    return rois, cls_prob.reshape(-1, cls_prob.shape[-1]), bbox_pred.reshape(-1, bbox_pred.shape[-1])


DETECTION = Task(list, _detection_inputs, _detection_shapes, _detections_to_host)


class FrameNetwork:
    """The frame baseline as run_key: there is no feature to keep."""

    def __init__(self, cfg, symbol_instance, *params, task=DETECTION):
        outputs = own_outputs(symbol_instance.get_test_symbol(_with_test(cfg, BATCH_IMAGES=1)))
        self.pool = _bind(mx.sym.Group(task.head(outputs)), task.input_shapes(*largest_input(cfg)), *params)
        self._task = task

    def __call__(self, frame):
        executor = self.pool.forward(self._task.inputs(frame))
        return self._task.to_host(executor.outputs), Key(frame.tensor, None)


class KeyNetwork:
    """DFF's network for key frames; the feature stays on the device."""

    def __init__(self, cfg, symbol_instance, *params, task=DETECTION):
        feature, *outputs = own_outputs(symbol_instance.get_key_test_symbol(cfg))
        shapes = task.input_shapes(*largest_input(cfg))
        self.feature_shape = feature.infer_shape(data=shapes['data'])[1][0]
        self.pool = _bind(mx.sym.Group([feature] + task.head(outputs)), shapes, *params)
        self._task = task

    def __call__(self, frame):
        outputs = self.pool.forward(self._task.inputs(frame)).outputs
        # Copied, since outputs live in memory that the next forward uses again.
        feature = outputs[0].copy()
        host = self._task.to_host(outputs[1:])
        feature.wait_to_read()
        return host, Key(frame.tensor, feature)


def mismatch(symbol, stride):
    """How badly the key frame's image, moved along the flow, fits the current one in a network for current frames: [1].

    Root mean square difference, in grey levels, of both images averaged over the cells of the feature map, `stride` pixels wide.
    """
    inner = symbol.get_internals()
    cell = dict(pool_type='avg', kernel=(stride, stride), stride=(stride, stride), pooling_convention='full')
    current, key = (mx.sym.Pooling(inner[name], **cell) for name in ('data', 'data_key'))
    moved = flow_warp(key, inner['Convolution5_output'] * FLOW_UNIT, name='warping_image')
    return mx.sym.sqrt(mx.sym.mean(mx.sym.square(moved - current)), name='mismatch')


class CurrentNetwork:
    """DFF's network for all other frames. The key frame is copied to its inputs once, not for every frame.

    With TEST.KEY_FRAME_POLICY flow it gives None where the mismatches of the frames since the key frame add up to more than
    TEST.KEY_FRAME_MISMATCH: where the image does not follow the flow, neither does the feature, and the frame should be a key
    frame itself (cf. Zhu et al., arXiv 1711.11577). Their sum chooses better than the last one alone (docs/benchmarks.md).
    """

    def __init__(self, cfg, symbol_instance, feature_shape, *params, task=DETECTION):
        symbol = symbol_instance.get_cur_test_symbol(cfg)
        outputs = task.head(own_outputs(symbol))
        self._limit = cfg.TEST.KEY_FRAME_MISMATCH if cfg.TEST.KEY_FRAME_POLICY == 'flow' else None
        if self._limit is not None:
            outputs = outputs + [mismatch(symbol, cfg.network.RCNN_FEAT_STRIDE)]
        shapes = task.input_shapes(*largest_input(cfg))
        shapes.update(data_key=shapes['data'], feat_key=feature_shape)
        self.pool = _bind(mx.sym.Group(outputs), shapes, *params)
        self._task = task
        self._loaded = None
        self._sum = 0.0      # of the mismatches since the key frame

    def __call__(self, frame, key):
        own = self._task.inputs(frame)
        shapes = {name: value.shape for name, value in own.items()}
        executor = self.pool.get(dict(shapes, data_key=key.tensor.shape, feat_key=key.feature.shape))
        inputs = executor.arg_dict
        if key is not self._loaded:
            inputs['data_key'][:] = key.tensor
            inputs['feat_key'][:] = key.feature
            self._loaded, self._sum = key, 0.0
        for name, value in own.items():
            inputs[name][:] = value
        executor.forward(is_train=False)
        if self._limit is None:
            return self._task.to_host(executor.outputs)
        *outputs, found = executor.outputs
        self._sum += found.asscalar()
        return self._task.to_host(outputs) if self._sum <= self._limit else None


class BatchNetwork:
    """`size` frames in one forward: of DFF a key frame and those after it, of the baseline any frames."""

    def __init__(self, cfg, symbol_instance, size, *params):
        height, width = largest_input(cfg)
        self._flow = has_flow(symbol_instance)
        if self._flow and size < 2:
            raise ConfigError('the batch network needs a key-frame interval of 2 or more, found %d; '
                              'for key frames only, run demo.py --interval 1' % size)
        if self._flow:
            symbol = symbol_instance.get_batch_test_symbol(_with_test(cfg, KEY_FRAME_INTERVAL=size))
        else:
            symbol = symbol_instance.get_test_symbol(_with_test(cfg, BATCH_IMAGES=size))
        data = {'data_key': 1, 'data_other': size - 1} if self._flow else {'data': size}
        shapes = {name: (count, 3, height, width) for name, count in data.items()}
        self._size = size
        self.pool = _bind(symbol, dict(shapes, im_info=(size, 3)), *params)

    def __call__(self, frames):
        """[outputs] of up to `size` frames of one shape."""
        # A short tail is filled up with its last frame; what comes out for those is dropped.
        full = frames + frames[-1:] * (self._size - len(frames))
        inputs = {'im_info': np.concatenate([frame.im_info for frame in full])}
        if self._flow:
            inputs.update(data_key=full[0].tensor, data_other=np.concatenate([frame.tensor for frame in full[1:]]))
        else:
            inputs['data'] = np.concatenate([frame.tensor for frame in full])
        outputs = [output.asnumpy() for output in self.pool.forward(inputs).outputs]
        parts = [array.reshape(self._size, -1, array.shape[-1]) for array in outputs]
        return [tuple(part[i] for part in parts) for i in range(len(frames))]
