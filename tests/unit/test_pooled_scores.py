"""R-FCN's heads rewritten to pool first: which are, and that their scores stay the same."""
import copy
import importlib

import mxnet as mx
import numpy as np
import pytest

from lib.graph import pooled_scores
from lib.graph.graph import Graph
from lib.graph.inference_graph import for_inference
from lib.graph.pooled_scores import packed, pays
from lib.operator_cxx import loader
from tests.helpers import symbol_tools

native = pytest.mark.skipif(not loader.load(), reason='the native operators are not built (sh init.sh builds them)')
POOLED = 'DFFPooledScores'
IMAGES, SIZE, ROIS = 2, (12, 17), 40


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(pooled_scores, 'pays', lambda *sizes: True)


def head(feature, rois, layer, outputs, side=7, group=7, kernel=1, form=None, pooling=None):
    """As lib/symbols/rfcn_head.py builds them, but for what is given."""
    maps = mx.sym.Convolution(feature, kernel=(kernel, kernel), num_filter=group * group * outputs, name=layer)
    if pooling is None:
        settings = dict(spatial_scale=1 / 16, output_dim=outputs, pooled_size=side, group_size=group)
        pooling = mx.sym.DFFPSROIPooling(maps, rois, name=layer + '_pool', **settings)
    mean = mx.sym.full((side * side, 1), 1.0 / (side * side))
    score = mx.sym.dot(mx.sym.Reshape(pooling, shape=(-1, side * side)), mean)
    return mx.sym.Reshape(score, shape=form or (-1, outputs), name=layer + '_score')


def rewritten(outputs, channels=24):
    """Outputs of the symbol, of the rewritten one, and the latter's operators."""
    symbol = mx.sym.Group(outputs)
    rng = np.random.RandomState(1)
    corners = rng.uniform(-40, 300, (ROIS, 2, 2))
    inputs = dict(data=rng.randn(IMAGES, channels, *SIZE),
                  rois=np.hstack((rng.randint(0, IMAGES, (ROIS, 1)), corners.min(axis=1), corners.max(axis=1))))
    inputs = {name: value for name, value in inputs.items() if name in symbol.list_arguments()}
    shapes = {name: value.shape for name, value in inputs.items()}
    args = {name: rng.randn(*shape).astype(np.float32)
            for name, shape in zip(symbol.list_arguments(), symbol.infer_shape(**shapes)[0]) if name not in inputs}
    fast, fast_args, _ = for_inference(symbol, shapes, args, {})
    plain, after = (list(symbol_tools.run(each, inputs, params)[0].values())
                    for each, params in ((symbol, args), (fast, fast_args)))
    return plain, after, [node.op for node in Graph(fast).nodes() if node.op != 'null']


def assert_same(plain, after):
    assert [value.shape for value in plain] == [value.shape for value in after]
    for wanted, value in zip(plain, after):
        assert symbol_tools.relative_difference(value, wanted) < 1e-6


@native
def test_two_heads_share_what_is_pooled(always):
    data, rois = mx.sym.Variable('data'), mx.sym.Variable('rois')
    half = mx.sym.slice_axis(data, axis=1, begin=5, end=24)
    plain, after, operators = rewritten([head(half, rois, 'cls', 11), head(half, rois, 'box', 8)])
    assert_same(plain, after)
    assert operators == [POOLED, 'slice_axis', 'slice_axis']      # the feature is read where it lies


@native
@pytest.mark.parametrize('side, group', [(7, 3), (3, 7), (4, 2)])
def test_grids_of_another_size_than_the_bins(always, side, group):
    plain, after, operators = rewritten([head(mx.sym.Variable('data'), mx.sym.Variable('rois'), 'cls', 5, side, group)])
    assert_same(plain, after)
    assert operators == [POOLED, 'slice_axis']


@native
def test_other_features_are_pooled_apart(always):
    data, rois = mx.sym.Variable('data'), mx.sym.Variable('rois')
    plain, after, operators = rewritten([head(data, rois, 'cls', 5), head(data * 2, rois, 'box', 4)])
    assert_same(plain, after)
    assert operators.count(POOLED) == 2


@native
def test_what_is_no_such_head_stays(always):
    data, rois = mx.sym.Variable('data'), mx.sym.Variable('rois')
    maps = mx.sym.Convolution(data, kernel=(1, 1), num_filter=49 * 4, name='maps')
    settings = dict(spatial_scale=1 / 16, output_dim=4, pooled_size=7, group_size=7)
    pooled = mx.sym.DFFPSROIPooling(maps, rois, name='pool', **settings)
    others = [
        [head(data, rois, 'cls', 4, kernel=3)],                      # takes more than the cells of a bin
        [head(data, rois, 'cls', 4, pooling=pooled), maps],          # the maps are read elsewhere, too
        [head(data, rois, 'cls', 4, pooling=pooled), pooled],
        [head(data, rois, 'cls', 4, form=(4, -1))],
        [head(mx.sym.Activation(data, act_type='relu'), rois, 'cls', 4,
              pooling=mx.sym.DFFPSROIPooling(mx.sym.tile(data, reps=(1, 49, 1, 1)), rois, name='pool',
                                             **dict(settings, output_dim=24)), form=(-1, 24))],
    ]
    for outputs in others:
        plain, after, operators = rewritten(outputs)
        assert POOLED not in operators
        assert_same(plain, after)


# What the networks take, beside an image's size: 90x122, 6x8 cells, or 12x16.
IMAGE, FRAMES = (3, 90, 122), 3
TAKEN = {
    'test': ['data'], 'key_test': ['data_key', 'feat_key', 'data'], 'cur_test': ['data', 'data_key', 'feat_key'],
    'batch_test': ['data_key', 'data_other'], 'window': ['feat_cache', 'embed_cache', 'flow', 'centre']}


@native
@pytest.mark.parametrize('task, name, phase, stride', [
    ('rfcn', 'resnet_v1_rfcn', 'test', 16), ('dff_rfcn', 'resnet_v1_flownet_rfcn', 'key_test', 16),
    ('dff_rfcn', 'resnet_v1_flownet_rfcn', 'cur_test', 16), ('dff_rfcn', 'resnet_v1_flownet_rfcn', 'cur_test', 8),
    ('dff_rfcn', 'resnet_v1_flownet_rfcn', 'batch_test', 16), ('fgfa_rfcn', 'resnet_v1_fgfa_rfcn', 'window', 16)])
def test_networks_compute_the_same(always, task, name, phase, stride):
    cfg = symbol_tools.small(copy.deepcopy(importlib.import_module('%s.config.config' % task).config))
    cfg.TEST.KEY_FRAME_INTERVAL = FRAMES if phase == 'batch_test' else 1
    cfg.network.update(FEATURE_STRIDE=stride, RPN_FEAT_STRIDE=stride, RCNN_FEAT_STRIDE=stride)
    instance, rng = symbol_tools.network(task, name), np.random.RandomState(4)
    symbol = getattr(instance, dict(symbol_tools.METHODS, window='get_window_symbol')[phase])(cfg)
    cells = (6, 8) if stride == 16 else (12, 16)
    shapes = dict(data=(1,) + IMAGE, data_key=(1,) + IMAGE, data_other=(FRAMES - 1,) + IMAGE, feat_key=(1, 32) + cells,
                  feat_cache=(3, 32) + cells, embed_cache=(3, cfg.network.get('FGFA_FEAT_DIM', 32) - 32) + cells,
                  flow=(3, 2) + cells)
    inputs = {key: rng.randn(*shapes[key]) * (30 if key.startswith('data') else 1)
              for key in TAKEN[phase] if key in shapes}
    inputs['im_info'] = [[90, 122, 1]] * (FRAMES if phase == 'batch_test' else 1)
    if phase == 'window':
        inputs['centre'] = [1]
    args, auxs = symbol_tools.lively_params(instance, inputs)
    fast, fast_args, _ = for_inference(symbol, {key: np.shape(value) for key, value in inputs.items()}, args, auxs)
    assert [node.op for node in Graph(fast).nodes()].count(POOLED) == 1
    plain, after = (symbol_tools.run(each, inputs, params, auxs)[0]
                    for each, params in ((symbol, args), (fast, fast_args)))
    for wanted, value in zip(plain.values(), after.values()):
        assert wanted.shape == value.shape and symbol_tools.relative_difference(value, wanted) < 1e-4


def test_where_it_pays():
    # ResNet-101 at 562x1000, with 30 classes and with 1, at strides 16 and 8; toy_vid's network
    assert pays((1, 512, 36, 63), 300, 39, 7) and pays((1, 512, 36, 63), 300, 10, 7)
    assert pays((1, 512, 71, 125), 300, 39, 7) and pays((1, 64, 12, 20), 50, 15, 7)
    # few cells for many regions
    assert not pays((1, 512, 19, 34), 300, 10, 7) and not pays((1, 128, 6, 10), 300, 39, 7)
    # against convolutions in int8 it has to save more
    assert pays((1, 512, 36, 63), 300, 39, 7, int8=True) and pays((1, 512, 20, 30), 300, 39, 7)
    assert not pays((1, 512, 20, 30), 300, 39, 7, int8=True)
    # images of a batch have their regions each
    assert pays((4, 512, 36, 63), 1200, 39, 7) and not pays((4, 512, 19, 34), 1200, 10, 7)


def test_weights_lie_as_the_operator_reads_them():
    weight = np.random.RandomState(0).randn(9, 18, 11).astype(np.float32)
    out = packed(weight)
    assert out.shape == (2, 2, 72, 16) and out.dtype == np.float32
    for place in ((0, 0, 0), (8, 17, 10), (3, 16, 7), (5, 15, 8)):
        b, o, c = place
        assert out[c // 8, o // 16, b * 8 + c % 8, o % 16] == weight[place]
    assert np.count_nonzero(out) == weight.size
