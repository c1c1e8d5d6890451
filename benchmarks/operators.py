"""Times the native operators against what they replace: OMP_NUM_THREADS=2 python benchmarks/operators.py [--steps]

Each row runs both sides in turn, in one process, and gives medians and the median of the pairwise
ratios, so that a busy machine slows both sides equally. --steps adds a whole training step and a
whole current-frame step of DFF R-FCN at 600x1000, before and after.
"""
import argparse
import functools
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks import python_operators  # noqa: E402,F401  (registers)
from lib.config.defaults import detection_defaults  # noqa: E402
from lib.train import native_sgd  # noqa: E402
from lib.graph.inference_graph import for_inference  # noqa: E402
from dff.boxes import frame_detections as plain_detections  # noqa: E402
from lib.boxes.frame_detections import frame_detections as native_detections  # noqa: E402
from lib.operator_cxx import loader  # noqa: E402
from lib.symbols import operators, rcnn_targets  # noqa: E402
from lib.symbols.aggregation import aggregate  # noqa: E402
from lib.utils.cli import run as run_main  # noqa: E402
from dff.errors import SetupError  # noqa: E402

SIZE = (36, 63)  # of the feature map of a 562x1000 image
PROPOSAL = dict(batch_images=1, feature_stride=16, scales=(8, 16, 32), ratios=(0.5, 1, 2), rpn_pre_nms_top_n=6000,
                rpn_post_nms_top_n=300, threshold=0.7, rpn_min_size=0, name='rois')
# channels, filters, height, width of FlowNet's deconvolutions at that size, and of toy_vid's flow network
DECONVOLUTIONS = {'562x1000': [(1026, 256, 9, 16), (1024, 512, 5, 8), (770, 128, 18, 32), (386, 64, 36, 63)],
                  "toy_vid's network": [(130, 32, 6, 10), (128, 64, 3, 5), (98, 16, 12, 20), (50, 8, 24, 40)]}
PSROI = dict(spatial_scale=1 / 16, output_dim=31, pooled_size=7, group_size=7, name='pooled')


def compare(name, aim, before, after, repeats):
    """Run two callables in turn and print their row of the table.

    Args:
        name, aim: texts of the row.
        before, after: functions without arguments.
        repeats: timed pairs, after one that allocates.
    """
    times = []
    for _ in range(repeats + 1):
        pair = []
        for call in (before, after):
            start = time.perf_counter()
            call()
            pair.append(1000 * (time.perf_counter() - start))
        times.append(pair)
    times = np.array(times[1:])  # the first run allocates
    medians, ratio = np.median(times, axis=0), np.median(times[:, 0] / times[:, 1])
    print('| %s | %.2f | %.2f | %.1fx | %s |' % (name, medians[0], medians[1], ratio, aim), flush=True)


def step(symbol, arrays, train):
    """Return a function that runs a symbol on the CPU.

    Args:
        symbol: with losses or plain outputs.
        arrays: {argument: array}.
        train: backward, too.
    """
    arguments = {name: mx.nd.array(arrays[name]) for name in symbol.list_arguments()}
    gradients = {name: mx.nd.zeros(value.shape) for name, value in arguments.items()} if train else None
    executor = symbol.bind(mx.cpu(), arguments, gradients, 'write' if train else 'null')
    head_gradients = [mx.nd.ones(output.shape) for output in executor.forward(is_train=train)]

    def run():
        executor.forward(is_train=train)
        if train:
            executor.backward(head_gradients)
        mx.nd.waitall()
    return run


def both(make, native, arrays, train=False):
    """Return the steps of what MXNet's own operators and a native one compute.

    Args:
        make: function that builds the symbol of MXNet's own.
        native: symbol of the operator itself: lib.symbols.operators puts a copy between it and a
            variable, which networks do not need.
        arrays, train: see step.
    """
    with loader.built_in():
        before = step(make(), arrays, train)
    return before, step(native, arrays, train)


def variables(*names):
    """Return a variable for each of `names`."""
    return [mx.sym.Variable(name) for name in names]


def random_boxes(rng, count, height=562, width=1000):
    """Return `count` boxes [count, 4], x1 y1 x2 y2, in an image of `height` x `width` pixels.

    rng: np.random.RandomState.
    """
    corners = rng.uniform(0, (width, height), (count, 2, 2))
    return np.hstack((corners.min(axis=1), corners.max(axis=1)))


def time_networks_operators(rng, repeats):
    """Rows of PS-RoI pooling, flow warp, correlation, aggregation and proposals."""
    rois = np.hstack((np.zeros((300, 1)), random_boxes(rng, 300)))
    arrays = dict(data=rng.randn(1, 31 * 49, *SIZE), rois=rois)
    for train, aim in ((False, '>= 9x'), (True, '>= 8x')):
        compare('PS-RoI pooling, 300 RoIs, 31 classes, 7x7: forward' + ' + backward' * train, aim,
                *both(lambda: operators.psroi_pooling(*variables('data', 'rois'), **PSROI),
                      mx.sym.DFFPSROIPooling(*variables('data', 'rois'), **PSROI), arrays, train), repeats=repeats)
    arrays = dict(feature=rng.randn(1, 1024, *SIZE), flow=3 * rng.randn(1, 2, *SIZE), scale=rng.randn(1, 1024, *SIZE))
    for train, aim in ((False, '>= 9x'), (True, '>= 8x')):
        compare(
            'warp x scale, 1024x36x63: forward' + ' + backward' * train, aim,
            *both(lambda: operators.flow_warp(*variables('feature', 'flow', 'scale')),
                  mx.sym.DFFFlowWarp(*variables('feature', 'flow', 'scale'), has_scale=1), arrays,
                  train), repeats=repeats)
    arrays = dict(current=rng.randn(1, 128, 71, 125), reference=rng.randn(1, 128, 71, 125))
    for train in (False, True):
        compare(
            'correlation, 4 cells around, 128x71x125: forward' + ' + backward' * train, '',
            *both(lambda: operators.correlation(*variables('current', 'reference'), 4),
                  mx.sym.DFFCorrelation(*variables('current', 'reference'), max_displacement=4),
                  arrays, train), repeats=repeats)
    frames, names = 5, ('features', 'embeddings', 'query', 'flow')
    arrays = dict(features=rng.randn(frames, 1024, *SIZE), embeddings=rng.randn(frames, 2048, *SIZE),
                  query=rng.randn(1, 2048, *SIZE), flow=3 * rng.randn(frames, 2, *SIZE))
    for train in (False, True):
        compare(
            'aggregation along the flow, 5 frames, 3072x36x63: forward' + ' + backward' * train, '',
            *both(lambda: aggregate(*variables(*names[:3]), frames, *variables('flow')),
                  mx.sym.DFFAggregate(*variables(*names), frames=frames, has_flow=1), arrays, train),
            repeats=repeats)
    arrays = dict(cls_prob=rng.rand(1, 18, *SIZE), bbox_pred=0.3 * rng.randn(1, 36, *SIZE), im_info=[[562, 1000, 1]])

    def proposal():
        return operators.proposal(*variables('cls_prob', 'bbox_pred', 'im_info'), **PROPOSAL)
    compare('Proposal 6000 -> 300, 36x63x9', '>= 3x',
            *both(proposal, proposal(), arrays), repeats=repeats)


def time_deconvolutions(rng, repeats):
    """Rows of FlowNet's deconvolutions with their activations, in inference."""
    for name, sizes in DECONVOLUTIONS.items():
        layers, arrays = [], {}
        for number, (depth, filters, height, width) in enumerate(sizes):
            up = mx.sym.Deconvolution(*variables('data%d' % number), num_filter=filters,
                                      kernel=(4, 4), stride=(2, 2), pad=(1, 1), no_bias=False,
                                      name='up%d' % number)
            layers.append(mx.sym.LeakyReLU(up, act_type='leaky', slope=0.1))
            arrays.update({
                'data%d' % number: rng.randn(1, depth, height, width),
                'up%d_bias' % number: rng.randn(filters),
                'up%d_weight' % number: rng.randn(depth, filters, 4, 4)
            })
        plain = mx.sym.Group(layers)
        data = {key: value for key, value in arrays.items() if key.startswith('data')}
        params = {key: mx.nd.array(value) for key, value in arrays.items() if key not in data}
        native, native_params, _ = for_inference(plain, {key: value.shape for key, value in data.items()}, params, {})
        compare("FlowNet's four deconvolutions, %s: forward" % name, '', step(plain, arrays, False),
                step(native, dict(data, **native_params), False), repeats)


def time_optimizer(rng, repeats):
    """Row of one optimizer step on convolutions of ResNet-18's shapes at half width."""
    shapes = [(256, 256, 3, 3)] * 4 + [(256, 128, 3, 3)] + [(128, 128, 3, 3)] * 4 + [(64, 64, 3, 3)] * 4 + [(256,)] * 40
    optimizer = mx.optimizer.SGD(learning_rate=0.01, momentum=0.9, wd=0.0005)
    weights, gradients, states = ([mx.nd.array(rng.randn(*shape)) for shape in shapes] for _ in range(3))

    def before():
        for index, arguments in enumerate(zip(weights, gradients, states)):
            optimizer.update_multi_precision(index, *arguments)
        mx.nd.waitall()
    compare('SGD with momentum, %.1f million parameters' % (sum(weight.size for weight in weights) / 1e6), '', before,
            native_sgd.MomentumStep(optimizer, weights, gradients, states), repeats)


def time_targets(rng, repeats):
    """Row of proposal targets and OHEM, plain symbols against Python CustomOps."""
    cfg = detection_defaults()
    cfg.CLASS_AGNOSTIC, cfg.TRAIN.BATCH_IMAGES, cfg.TRAIN.BATCH_ROIS, cfg.dataset.NUM_CLASSES = True, 1, -1, 31
    truth = np.hstack((random_boxes(rng, 8), rng.randint(1, 31, (8, 1))))
    rois = np.vstack((random_boxes(rng, 200),
                      np.repeat(truth[:, :4], 13, axis=0)[:100] + rng.uniform(-20, 20, (100, 4))))
    arrays = dict(rois=np.hstack((np.zeros((300, 1)), rois)), gt_boxes=truth[None],
                  score=rng.randn(308, 31), pred=rng.randn(308, 8))

    def composed():
        rois, gt_boxes, score, pred = variables('rois', 'gt_boxes', 'score', 'pred')
        chosen, label, target, weight = rcnn_targets.rcnn_targets(rois, gt_boxes, cfg)
        return mx.sym.Group([chosen] + list(operators.mine_hard(score, pred, label, target, weight, 1, 128)))

    def python():
        rois, gt_boxes, score, pred = variables('rois', 'gt_boxes', 'score', 'pred')
        targets = mx.sym.Custom(rois, gt_boxes, op_type='benchmark_proposal_target')
        hard = mx.sym.Custom(score, pred, *list(targets)[1:], op_type='benchmark_hard_examples', keep=128)
        return mx.sym.Group([targets[0]] + list(hard))

    compare('proposal target + OHEM, 300 RoIs, 8 boxes', '>= 10x', step(python(), arrays, False),
            step(composed(), arrays, False), repeats)


def time_post_processing(rng, repeats):
    """Row of the detections of one frame, the native kernel against NumPy class by class."""
    rois, scores = random_boxes(rng, 300), rng.dirichlet(np.full(31, 0.1), 300)
    arguments = rois, scores, 0.2 * rng.randn(300, 8), (562, 1000, 1.6), 1e-3, 0.3, 300
    compare('post-processing, 300 boxes, 30 classes', '>= 10x',
            functools.partial(plain_detections, *arguments),
            functools.partial(native_detections, *arguments), repeats)


def network_inputs(rng, phase):
    """Arrays of one image, 562x1000, for the train or the cur_test symbol."""
    image, anchors = (1, 3, 562, 1000), (1, 9 * SIZE[0] * SIZE[1])
    arrays = dict(data=60 * rng.randn(*image), data_ref=60 * rng.randn(*image),
                  data_key=60 * rng.randn(*image), im_info=[[562, 1000, 1]])
    if phase == 'train':
        truth = np.hstack((random_boxes(rng, 3), rng.randint(1, 31, (3, 1))))
        arrays.update(gt_boxes=truth[None], label=rng.randint(-1, 2, anchors), bbox_target=rng.randn(1, 36, *SIZE),
                      bbox_weight=rng.rand(1, 36, *SIZE) < 0.01, eq_flag=[0])
    else:
        arrays['feat_key'] = abs(rng.randn(1, 1024, *SIZE))
    return arrays


def time_steps(rng, repeats):
    """Rows of a whole training step and a whole current-frame step."""
    from dff_rfcn.symbols.resnet_v1_101_flownet_rfcn import resnet_v1_101_flownet_rfcn
    cfg = detection_defaults()
    cfg.CLASS_AGNOSTIC, cfg.TRAIN.BATCH_ROIS, cfg.TRAIN.BATCH_IMAGES, cfg.dataset.NUM_CLASSES = True, -1, 1, 31

    def symbol_for(phase):
        instance = resnet_v1_101_flownet_rfcn()
        return (instance.get_train_symbol if phase == 'train' else instance.get_cur_test_symbol)(cfg)

    def make(phase, native):
        inputs = network_inputs(rng, phase)
        if native:
            symbol = symbol_for(phase)
        else:
            with loader.built_in():
                symbol = symbol_for(phase)
        names = symbol.list_arguments()
        executor = symbol.simple_bind(
            mx.cpu(), grad_req={
                n: 'write' if phase == 'train' and n not in inputs else 'null' for n in names
            }, **{n: np.shape(inputs[n]) for n in names if n in inputs})
        for name, array in list(executor.arg_dict.items()) + list(executor.aux_dict.items()):
            if name in inputs:
                array[:] = mx.nd.array(inputs[name])
            elif name.endswith(('gamma', 'var')):
                array[:] = 1
            elif name.endswith('weight'):
                array[:] = mx.nd.random.normal(0, np.sqrt(0.5 / np.prod(array.shape[1:])), array.shape)

        def run():
            executor.forward(is_train=phase == 'train')
            if phase == 'train':
                executor.backward()
            mx.nd.waitall()
        return run

    for phase, name in (('cur_test', 'current-frame step'), ('train', 'training step')):
        compare('%s of DFF R-FCN, ResNet-101, 562x1000' % name, 'report', make(phase, False),
                make(phase, True), repeats)


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--repeats', type=int, default=15, help='timed pairs of a row (default 15)')
    parser.add_argument('--steps', action='store_true', help='also whole network steps (minutes, 12 GB of memory)')
    arguments = parser.parse_args()
    if not loader.load():
        raise SetupError('the native operators are not loaded, there is nothing to compare: run `sh init.sh`')
    print('MXNet %s, OMP_NUM_THREADS=%s, %d timed pairs a row, times in milliseconds\n' % (
        mx.__version__, os.environ.get('OMP_NUM_THREADS'), arguments.repeats))
    print('| operator | before | native | ratio | aim |\n|---|---|---|---|---|')
    rng = np.random.RandomState(0)
    time_networks_operators(rng, arguments.repeats)
    time_deconvolutions(rng, arguments.repeats)
    time_optimizer(rng, arguments.repeats)
    time_targets(rng, arguments.repeats)
    time_post_processing(rng, arguments.repeats)
    if arguments.steps:
        time_steps(rng, 3)


if __name__ == '__main__':
    run_main(main)
