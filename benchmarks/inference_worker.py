"""A process of benchmarks/inference.py: MXNet networks, run on command. usage: inference_worker.py NAME FOLDER CLOCK"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from dff_rfcn.symbols.resnet_v1_101_flownet_rfcn import resnet_v1_101_flownet_rfcn  # noqa: E402
from lib.config.defaults import detection_defaults  # noqa: E402
from lib.core.executors import ExecutorPool  # noqa: E402
from lib.core.precision import Float32, processor  # noqa: E402
from lib.core.predictor import VideoDetector, prepare  # noqa: E402
from lib.core.timing import Timing  # noqa: E402
from lib.operator_cxx import loader  # noqa: E402
from lib.symbols.operators import flow_warp  # noqa: E402

STREAM = 60     # frames of the run through the whole pipeline


def settings(size):
    """The paper's network for ImageNet VID, at a size of frames."""
    cfg = detection_defaults()
    cfg.symbol, cfg.CLASS_AGNOSTIC, cfg.dataset.NUM_CLASSES = 'resnet_v1_101_flownet_rfcn', True, 31
    cfg.SCALES = [(min(size), max(size))]
    return cfg


def write_parameters(folder, size):
    """Random parameters with which activations stay in range: parameters.npz, {arg:name or aux:name: array}."""
    instance, cfg = resnet_v1_101_flownet_rfcn(), settings(size)
    instance.get_batch_test_symbol(cfg)
    interval = cfg.TEST.KEY_FRAME_INTERVAL
    inputs = {'data_key': (1, 3) + size, 'data_other': (interval - 1, 3) + size, 'im_info': (interval, 3)}
    instance.infer_shape(inputs)
    random = np.random.RandomState(0)

    def value(name, shape):
        if name.endswith(('gamma', 'var')):
            # The last of a residual unit is small: 33 units would add up to numbers of any size.
            return np.full(shape, 0.2 if name.endswith('branch2c_gamma') else 1.0)
        if not name.endswith('weight'):
            return np.full(shape, float(name == 'Convolution5_scale_bias'))
        fan_in = shape[0] * 4 if name.startswith(('deconv', 'upsample')) else np.prod(shape[1:])
        gain = {'conv1_weight': 0.02, 'Convolution5_scale_weight': 0.3, 'rpn_bbox_pred_weight': 0.3, 'rfcn_bbox_weight': 0.3}.get(name, 1.4)
        return gain / np.sqrt(fan_in) * random.standard_normal(shape)
    arrays = {}
    for kind, shapes in (('arg', instance.arg_shape_dict), ('aux', instance.aux_shape_dict)):
        arrays.update(('%s:%s' % (kind, name), value(name, shape).astype(np.float32))
                      for name, shape in shapes.items() if name not in inputs)
    np.savez(os.path.join(folder, 'parameters.npz'), **arrays)


def frames(size, count=12):
    """BGR uint8 frames: a noise picture that moves."""
    height, width = size
    picture = np.random.RandomState(1).randint(0, 255, (height // 8 + 8, width // 8 + 8, 3)).astype(np.uint8)
    picture = picture.repeat(8, axis=0).repeat(8, axis=1)
    return [np.ascontiguousarray(picture[t:t + height, 2 * t:2 * t + width]) for t in range(count)]


class BuiltIn:
    """The original's graph on MXNet's own operators."""

    def __init__(self, cfg, arg_params, aux_params, images):
        self._frame, self._key = prepare(images[1], cfg), prepare(images[0], cfg)
        instance, shape = resnet_v1_101_flownet_rfcn(), self._frame.tensor.shape
        with loader.built_in():
            symbols = {'key': instance.get_key_test_symbol(cfg), 'current': instance.get_cur_test_symbol(cfg)}
        shapes = {'data': shape, 'im_info': (1, 3), 'data_key': shape, 'feat_key': (1, 1024, -(-shape[2] // 16), -(-shape[3] // 16))}
        self._pools = {kind: ExecutorPool(symbol, mx.cpu(), shapes) for kind, symbol in symbols.items()}
        for pool in self._pools.values():
            pool.set_params(arg_params, aux_params)
        self._feature = mx.nd.zeros(shapes['feat_key'])

    def key(self):
        outputs = self._forward('key', self._key)
        self._feature = outputs[2].copy()
        return [output.asnumpy() for output in outputs[2:]]

    def current(self):
        return [output.asnumpy() for output in self._forward('current', self._frame)]

    def _forward(self, kind, frame):
        inputs = {'data': frame.tensor, 'im_info': frame.im_info, 'data_key': self._key.tensor, 'feat_key': self._feature}
        return self._pools[kind].forward(inputs).outputs

    def feature(self):
        """Of the key frame, for comparison."""
        self.key()
        return self._feature.asnumpy()


class Ours:
    """This project's detector, from prepared frame to detections."""

    def __init__(self, cfg, arg_params, aux_params, images):
        self._cfg, self._images, self._params = cfg, images, (arg_params, aux_params)
        self._key_frame, self._frame = prepare(images[0], cfg), prepare(images[1], cfg)
        self._detector = VideoDetector(cfg, resnet_v1_101_flownet_rfcn(), arg_params, aux_params, mx.cpu())
        list(self._detector.detect(images))     # int8 calibrates itself
        self._key = None

    def key(self):
        outputs, self._key = self._detector._run_key(self._key_frame)
        return self._detector._post_process(outputs, self._key_frame)

    def current(self):
        return self._detector._post_process(self._detector._run_current(self._frame, self._key), self._frame)

    def feature(self):
        """Of the key frame, for comparison."""
        self.key()
        return self._key.feature.asnumpy()

    def stream(self):
        """Lines about a run through the whole pipeline, from images in memory, and about the parts behind the flow network."""
        timing, images = Timing(warm_up=self._detector.warm_up), (self._images * (STREAM // len(self._images) + 1))[:STREAM]
        start = time.perf_counter()
        inside = 0.0
        for result in self._detector.detect(images):
            timing.add(result)
            inside += result.seconds.network
        wall = time.perf_counter() - start
        return timing.describe().splitlines() + ['outside of the networks: %.1f %% of the wall time of %d frames' % (
            100 * (1 - inside / wall), STREAM), 'without the flow network, another frame takes %.1f ms' % self._heads()]

    def _heads(self):
        """Least time of warp, heads, proposals and pooling, and of post-processing."""
        instance, cfg, shape = resnet_v1_101_flownet_rfcn(), self._cfg, self._key.feature.shape
        feature, flow, scale, info = (mx.sym.Variable(name) for name in ('feature', 'flow', 'scale', 'im_info'))
        symbol = mx.sym.Group(instance.detect(flow_warp(feature, flow, scale), info, cfg, 1))
        shapes = {'feature': shape, 'flow': (1, 2) + shape[2:], 'scale': shape, 'im_info': (1, 3)}
        network = Float32().rewrite(symbol, shapes, mx.cpu(), *self._params, 'the benchmark')
        pool = ExecutorPool(network.symbol, mx.cpu(), shapes)
        pool.set_params(network.arg_params, network.aux_params)
        least, inputs = float('inf'), {'feature': self._key.feature, 'flow': np.ones(shapes['flow']), 'scale': np.ones(shape),
                                       'im_info': self._frame.im_info}
        executor = pool.forward(inputs)
        for _ in range(15):
            start = time.perf_counter()
            executor.forward(is_train=False)
            rois, scores, boxes = (output.asnumpy() for output in executor.outputs)
            self._detector._post_process((rois, scores[0], boxes[0]), self._frame)
            least = min(least, 1e3 * (time.perf_counter() - start))
        return least


def parameters_of(folder):
    """(arg_params, aux_params) of parameters.npz."""
    params = {'arg': {}, 'aux': {}}
    with np.load(os.path.join(folder, 'parameters.npz')) as arrays:
        for key in arrays.files:
            kind, _, name = key.partition(':')
            params[kind][name] = mx.nd.array(arrays[key])
    return params['arg'], params['aux']


def answer(content):
    print('@' + json.dumps(content), flush=True)


def main():
    name, folder, clock = sys.argv[1:]
    clock = getattr(time, clock)
    with open(os.path.join(folder, 'size.json')) as stream:
        size = tuple(json.load(stream))
    if name == 'parameters':
        write_parameters(folder, size)
        np.savez(os.path.join(folder, 'frames.npz'), *[prepare(image, settings(size)).tensor for image in frames(size, 2)])
        return
    cfg = settings(size)
    cfg.TEST.PRECISION = 'int8' if name == 'int8' else 'float32'
    network = (BuiltIn if name == 'builtin' else Ours)(cfg, *parameters_of(folder), frames(size))
    np.savez(os.path.join(folder, name + '.npz'), feature=network.feature())
    answer({'version': 'MXNet %s on %s' % (mx.__version__, processor())})
    for line in sys.stdin:
        command, *count = line.split()
        if command == 'stream':
            answer(network.stream())
            continue
        times = []
        for _ in range(int(count[0])):
            start = clock()
            getattr(network, command)()
            times.append(1e3 * (clock() - start))
        answer(times)


if __name__ == '__main__':
    main()
