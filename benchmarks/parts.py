"""Where each millisecond of a key frame and of another frame goes, and what the multiply-adds alone would take.

    python benchmarks/parts.py --cfg experiments/dff_rfcn/cfgs/resnet_v1_101_flownet_imagenet_vid_rfcn_end2end_ohem.yaml

Random parameters and drawn frames, as tools/benchmark.py without --model and --input. The networks
run as in the pipeline, but are stopped after every layer to read the clock; the last line of each
table is the network without that. The floor is 2 x the multiply-adds of the plain convolutions
over the fastest matrix product that is found here, of bytes with --precision int8; Winograd's
algorithm, with fewer products, may stay below it. --folder keeps parameters, frames and the records
of the fastest way of each layer, and of the int8 calibration, which takes minutes, for the next time.
"""
import ctypes
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.job import Job  # noqa: E402
from benchmarks.worker import inputs_of, symbols_of  # noqa: E402
from lib.config.cli import base_parser  # noqa: E402
from lib.engine.executors import ExecutorPool  # noqa: E402
from lib.utils.argument_types import positive  # noqa: E402
from dff.runtime.machine import processor  # noqa: E402
from lib.engine.checkpoint import file_name  # noqa: E402
from lib.graph.int8_network import is_fast  # noqa: E402
from lib.graph.int8_weights import Scale, convolution  # noqa: E402
from lib.precision.precision import make_precision  # noqa: E402
from lib.graph.graph import Graph, output_shapes  # noqa: E402
from lib.utils.cli import run  # noqa: E402

# Layers of a part begin so. The first that fits counts; a layer that fits none belongs to the part
# that it reads from, a concatenation to that of its last input.
PARTS = [('stem (conv1, pool1)', 'conv1|pool1'), ('stage 2', 'res2'), ('stage 3', 'res3'),
         ('stage 4', 'res4'), ('stage 5, dilated', 'res5'),
         ('feat_conv_3x3, dilated', 'feat_conv'),
         ('RPN and R-FCN, 1x1', 'rpn_cls_score|rpn_bbox_pred|rfcn_'),
         ('targets, OHEM', 'rcnn_targets|rois_chosen|label|bbox_(target|weight|loss)|rpn_bbox_loss|ohem'),
         ('proposals', 'rpn_cls_prob|rois'), ('PS-RoI pooling', 'psroipooled|cls_|bbox_'),
         ('DeepLab head', 'fc6|score|upsampling|croped'),
         ('FlowNet, contracting', 'flow_conv1|conv[2-6]'),
         ('FlowNet, expanding', 'deconv|upsample_flow|Convolution[1-4]|crop_'),
         ('flow and scale map', 'resize|Convolution5'), ('warp', 'warping_feat|choose_feat')]
FIRST = 'images (halving, stacking)'      # what reads no other part
OTHER = 'constants'
KERNELS = ('Convolution', 'Deconvolution')


def part_names(symbol):
    """Return {layer: its part} of a network, fused or not."""
    found = {}
    for node in Graph(symbol).nodes():
        if node.op == 'null':
            continue
        weights = [source.name for source, _ in node.inputs if source.op == 'null'
                   and re.search('_(weight|winograd|taps|pooled)(_quantize)?$', source.name)]
        part = next((part for name in weights + [node.name] for part, begin in PARTS if re.match(begin, name)), None)
        sources = [source.name for source, _ in node.inputs if source.name in found]
        inherited = FIRST if node.inputs else OTHER
        if sources:
            inherited = found[sources[-1 if node.op in ('Concat', 'DFFInt8Concat') else 0]]
        found[node.name] = part or inherited
    return found


def convolutions(symbol, shapes):
    """Yield (node, its part, multiply-adds) of each convolution of a network as it is built.

    symbol: in which every layer has a name of its own (Graph(symbol).symbol()); shapes: {input name: shape}.
    """
    sizes, parts = output_shapes(symbol, shapes), part_names(symbol)
    for node in Graph(symbol).nodes():
        if node.op in KERNELS:
            source = node.input(0)
            given, out = sizes[source.name], sizes[node.name]
            # A deconvolution does for every input what a convolution does for every output.
            places, channels = (out[1:], given[1]) if node.op == 'Convolution' else (given[1:], out[1])
            count = out[0] * np.prod(places) * channels * np.prod(node.get('kernel')) / node.get('num_group', 1)
            yield node, parts[node.name], count


def multiply_adds(symbol, shapes):
    """{part: multiply-adds} of the convolutions of a network as it is built."""
    sums = {}
    for _, part, count in convolutions(Graph(symbol).symbol(), shapes):
        sums[part] = sums.get(part, 0) + count
    return sums


class Stopwatch:
    """Monitor of an executor: seconds by part, of one forward."""

    def __init__(self, parts):
        self._parts = parts
        self.seconds, self.order = {}, []
        self.start()

    def part_of(self, layer):
        """Return what the time of `layer` is added to."""
        return self._parts.get(layer, OTHER)

    def start(self):
        """Begin a forward."""
        self.seconds, self._last = {}, time.perf_counter()

    def __call__(self, name, handle):
        name = re.sub(r'_output\d*$', '', name.decode() if isinstance(name, bytes) else name)
        mx.nd.NDArray(ctypes.cast(handle, mx.base.NDArrayHandle), writable=False).wait_to_read()
        now, part = time.perf_counter(), self.part_of(name)
        if part not in self.order:
            self.order.append(part)
        self.seconds[part] = self.seconds.get(part, 0) + now - self._last
        self._last = now


def profile(symbol, inputs, params, precision, repeats):
    """Measure a network as the pipeline runs it.

    Args:
        symbol: a test network.
        inputs: {name: array}.
        params: (arg_params, aux_params).
        precision: object of lib.precision.precision, which is calibrated where it must be.
        repeats: timed forwards.

    Returns:
        ({part: median ms} in order, {part: multiply-adds}, median ms of a forward not watched)
    """
    shapes = {name: np.shape(value) for name, value in inputs.items() if name in symbol.list_arguments()}
    given = {name: mx.nd.array(inputs[name]) for name in shapes}
    pool = bound(precision, symbol, shapes, params)
    executor = pool.forward(given)
    if precision.to_calibrate():
        mx.nd.waitall()
        precision.finish({pool.monitor: (given, pool.arg_params)})
        executor = bound(precision, symbol, shapes, params).forward(given)
    plain = [timed(lambda: executor.forward(is_train=False)) for _ in range(repeats + 1)][1:]
    watch = Stopwatch(part_names(executor.get_optimized_symbol()))
    executor.set_monitor_callback(watch)
    rounds = []
    for _ in range(repeats + 1):
        watch.start()
        executor.forward(is_train=False)
        mx.nd.waitall()
        rounds.append(watch.seconds)
    parts = {part: 1e3 * float(np.median([each.get(part, 0) for each in rounds[1:]])) for part in watch.order}
    return parts, multiply_adds(symbol, shapes), float(np.median(plain))


def bound(precision, symbol, shapes, params):
    """Return the ExecutorPool of a network as `precision` rewrites it.

    See `profile` for `precision`, `symbol` and `params`; shapes: {input name: shape}.
    """
    network = precision.rewrite(symbol, shapes, mx.cpu(), *params, 'the benchmark')
    pool = ExecutorPool(network.symbol, mx.cpu(), shapes, monitor=network.monitor)
    pool.set_params(network.arg_params, network.aux_params)
    return pool


def timed(call):
    """Milliseconds of `call` and all that it starts."""
    start = time.perf_counter()
    call()
    mx.nd.waitall()
    return 1e3 * (time.perf_counter() - start)


def peak(size=2304):
    """GFLOP/s of the fastest float32 matrix product here: NumPy's or MXNet's BLAS, or oneDNN's 1x1 convolution."""
    a, b = (np.random.RandomState(seed).randn(size, size).astype(np.float32) for seed in (0, 1))
    left, right = mx.nd.array(a), mx.nd.array(b)
    image, weight = left.reshape((1, size, 48, 48)), right.reshape((size, size, 1, 1))
    calls = [lambda: np.dot(a, b), lambda: mx.nd.dot(left, right),
             lambda: mx.nd.Convolution(image, weight, num_filter=size, kernel=(1, 1), no_bias=True)]
    return max(2e-6 * size ** 3 / min(timed(call) for _ in range(8)) for call in calls)


def peak_int8(size=2304, side=48):
    """GFLOP/s, of products of bytes, of the fastest 1x1 convolution: oneDNN's or, with AVX-512 VNNI, the native one."""
    rng = np.random.RandomState(0)
    weight, data = rng.randn(size, size, 1, 1), rng.randint(0, 128, (1, side, side, size)).astype(np.uint8)
    ends = [mx.nd.array([end]) for end in (0, 1, -1, 1)]
    given = [mx.nd.array(data.transpose(0, 3, 1, 2), dtype='uint8'), mx.nd.array(40 * weight, dtype='int8')] + ends
    calls = [lambda: mx.nd.contrib.quantized_conv(*given, num_filter=size, kernel=(1, 1), no_bias=True)]
    if is_fast():
        packed = convolution(weight, np.zeros(size), Scale(1.0, 0), Scale(1.0, 0))
        inputs = [mx.nd.array(value, dtype=value.dtype) for value in (data,) + tuple(packed)]
        settings = dict(num_filter=size, slope=1, in_zero=0, zero=0, kernel_h=1, kernel_w=1, stride=1, pad_h=0, pad_w=0,
                        dilate=1, is_float=0, has_other=0, other_scale=0, other_zero=0)
        calls.append(lambda: mx.nd.DFFInt8Convolution(*inputs, **settings))
    return max(2e-6 * size ** 2 * side ** 2 / min(timed(call) for _ in range(8)) for call in calls)


def table(title, parts, work, whole, rate):
    """Return one network's parts as Markdown.

    Args:
        title: of the first column.
        parts, work, whole: what `profile` returns.
        rate: GFLOP/s of the fastest matrix product.
    """
    lines = ['| %s | GFLOP | ms | GFLOP/s | floor, ms |' % title, '|---|---|---|---|---|']
    for part, ms in parts.items():
        flop = 2e-9 * work.get(part, 0)
        rest = ('%.1f' % flop, ms, '%.0f' % (1e3 * flop / ms), '%.1f' % (1e3 * flop / rate))
        lines.append('| %s | %s | %.3f | %s | %s |' % ((part,) + (rest if flop else ('', ms, '', ''))))
    flop = 2e-9 * sum(work.values())
    lines.append('| all, not watched | %.1f | %.1f | %.0f | %.1f |'
                 % (flop, whole, 1e3 * flop / whole, 1e3 * flop / rate))
    return '\n'.join(lines)


def main():
    """Run the command."""
    parser = base_parser(__doc__.split('\n')[0])
    parser.add_argument('--repeats', type=positive, default=20, metavar='N',
                        help='forwards of each network (default 20)')
    parser.add_argument('--precision', choices=('float32', 'int8'), default='float32',
                        help='what the networks compute with (default float32)')
    parser.add_argument('--folder', metavar='FOLDER', help='keep what is drawn and calibrated here, for the next time')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or temporary
        job = Job(args.cfg, [setting for group in args.settings for setting in group])
        if os.path.exists(file_name(os.path.join(folder, 'random'), 0)):
            job.prefix, job.epoch, job.frames = os.path.join(folder, 'random'), 0, os.path.join(folder, 'frames')
        else:
            job.use_drawn_frames(folder)
            job.use_random_params(folder)
        rate = peak_int8() if args.precision == 'int8' else peak()
        print(
            '%s, %s threads, %s; fastest matrix product: %.0f GFLOP/s'
            % (processor(), os.environ['OMP_NUM_THREADS'], args.precision, rate), flush=True)
        inputs, params = inputs_of(job), job.params()
        precision = make_precision(args.precision, params[0], file_name(job.prefix, job.epoch))
        for kind, symbol in symbols_of(job, built_in=False).items():
            measured = profile(symbol, inputs, params, precision, args.repeats)
            print('\n' + table('%s frame' % kind, *measured, rate), flush=True)


if __name__ == '__main__':
    run(main)
