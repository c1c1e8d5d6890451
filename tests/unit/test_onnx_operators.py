"""Each conversion of an operator to ONNX, against what MXNet computes from the same numbers."""

import mxnet as mx
import numpy as np
import pytest

from tests.helpers.onnx_tools import both
from lib.graph.graph import Graph
from lib.onnx_export.builder import Builder
from lib.onnx_export.converter import CONVERTERS, convert
from dff.errors import ExportError

X, Y, W, B = (mx.sym.Variable(name) for name in ('x', 'y', 'w', 'b'))


def draw(*shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


MAP = draw(1, 6, 9, 11)
CASES = {
    'a number less a value': (1 - X, dict(x=MAP)),
    'convolution': (
        mx.sym.Convolution(
            X, W, B, kernel=(3, 3), num_filter=8, pad=(2, 2), dilate=(2, 2), stride=(2, 2)
        ),
        dict(x=MAP, w=draw(8, 6, 3, 3), b=draw(8)),
    ),
    'groups': (
        mx.sym.Convolution(X, W, kernel=(3, 3), num_filter=8, num_group=2, no_bias=True),
        dict(x=MAP, w=draw(8, 3, 3, 3)),
    ),
    'deconvolution': (
        mx.sym.Deconvolution(
            X, W, B, no_bias=False, kernel=(4, 4), num_filter=8, pad=(1, 1), stride=(2, 2)
        ),
        dict(x=MAP, w=draw(6, 8, 4, 4), b=draw(8)),
    ),
    'adjusted': (
        mx.sym.Deconvolution(
            X, W, kernel=(5, 5), num_filter=6, num_group=6, pad=(1, 1), stride=(3, 3), adj=(1, 1)
        ),
        dict(x=MAP, w=draw(6, 1, 5, 5)),
    ),
    'maximum': (
        mx.sym.Pooling(X, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type='max'),
        dict(x=MAP),
    ),
    'maximum, rounded up': (
        mx.sym.Pooling(
            X, kernel=(3, 3), stride=(2, 2), pool_type='max', pooling_convention='full'
        ),
        dict(x=draw(1, 6, 10, 11)),
    ),
    'mean': (
        mx.sym.Pooling(X, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type='avg'),
        dict(x=MAP),
    ),
    'mean, rounded up': (
        mx.sym.Pooling(
            X, kernel=(2, 2), stride=(2, 2), pool_type='avg', pooling_convention='full'
        ),
        dict(x=draw(1, 6, 10, 11)),
    ),
    'sum': (mx.sym.Pooling(X, kernel=(2, 2), stride=(2, 2), pool_type='sum'), dict(x=MAP)),
    'relu': (mx.sym.Activation(X, act_type='relu'), dict(x=MAP)),
    'leaky': (mx.sym.LeakyReLU(X, act_type='leaky', slope=0.1), dict(x=MAP)),
    'softmax': (mx.sym.softmax(X, axis=1), dict(x=MAP)),
    'sum of two': (mx.sym.elemwise_add(X, Y), dict(x=MAP, y=MAP + 1)),
    'product of two': (X * Y, dict(x=MAP, y=MAP + 1)),
    'product, spread': (mx.sym.broadcast_mul(X, Y), dict(x=MAP, y=draw(1, 6, 1, 1))),
    'product with a number': (X * 2.5, dict(x=MAP)),
    'matrices': (mx.sym.dot(X, mx.sym.full((6, 2), 0.5)), dict(x=draw(4, 6))),
    'joined': (mx.sym.Concat(X, Y, dim=1), dict(x=MAP, y=draw(1, 2, 9, 11))),
    'stacked': (mx.sym.stack(X, Y, axis=1), dict(x=MAP, y=MAP + 1)),
    'repeated': (mx.sym.tile(X, reps=(3,)), dict(x=draw(4))),
    'edge repeated': (mx.sym.Pad(X, mode='edge', pad_width=(0, 0, 0, 0, 0, 1, 2, 1)), dict(x=MAP)),
    'number around': (
        mx.sym.Pad(X, mode='constant', constant_value=3, pad_width=(0, 0, 0, 0, 0, 1, 2, 1)),
        dict(x=MAP),
    ),
    'a part': (mx.sym.slice_axis(X, axis=1, begin=2, end=5), dict(x=MAP)),
    'the rest': (mx.sym.slice_axis(X, axis=1, begin=2, end=None), dict(x=MAP)),
    'as large as another': (mx.sym.slice_like(X, Y, axes=(2, 3)), dict(x=MAP, y=draw(1, 2, 8, 5))),
    'reshaped': (mx.sym.Reshape(X, shape=(0, 2, -1, 0)), dict(x=MAP)),
    'axes joined': (mx.sym.Reshape(mx.sym.stack(X, X, axis=1), shape=(0, -3, 0, 0)), dict(x=MAP)),
    'axes moved': (mx.sym.Reshape(X, shape=(-3, 0, 0)), dict(x=MAP)),
    'no gradient': (mx.sym.BlockGrad(X) * 1, dict(x=MAP)),
    'comparisons': (
        mx.sym.Correlation(
            X, Y, kernel_size=1, max_displacement=2, stride1=1, stride2=1, pad_size=2
        ),
        dict(x=MAP, y=draw(1, 6, 9, 11, seed=1)),
    ),
    'warped': (
        mx.sym.BilinearSampler(X, mx.sym.GridGenerator(Y, transform_type='warp')),
        dict(x=MAP, y=4 * draw(1, 2, 9, 11)),
    ),
}


@pytest.mark.parametrize('fixed', [False, True], ids=['any size', 'fixed size'])
@pytest.mark.parametrize('name', CASES)
def test_layer(name, fixed):
    symbol, inputs = CASES[name]
    wanted, found = both(symbol, fixed, **inputs)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('fixed', [False, True], ids=['any size', 'fixed size'])
@pytest.mark.parametrize('height, width', [(8, 9), (12, 20)])
@pytest.mark.parametrize(
    'before, after, smallest, border',
    [(6000, 30, 0, 1), (100, 50, 16, 0), (200, 300, 30, 17), (0, 40, 0, 40)],
)
def test_proposals(height, width, before, after, smallest, border, fixed):
    """More than there are, fewer than remain, too small ones, rows beyond the image."""
    random = np.random.RandomState(before)
    symbol = mx.sym.contrib.Proposal(
        X,
        Y,
        B,
        feature_stride=16,
        scales=(2.0, 4.0, 8.0),
        ratios=(0.5, 1, 2),
        threshold=0.7,
        rpn_pre_nms_top_n=before,
        rpn_post_nms_top_n=after,
        rpn_min_size=smallest,
    )
    wanted, found = both(
        symbol,
        fixed,
        x=random.rand(1, 18, height, width),
        y=random.randn(1, 36, height, width) * 0.5,
        b=[(height * 16 - border, width * 16 - border, 1.5)],
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize('fixed', [False, True], ids=['any size', 'fixed size'])
def test_position_sensitive_pooling(fixed):
    """Of large, small and empty regions; scores with a mean keep their last digits."""
    random = np.random.RandomState(0)
    corners = np.sort(random.rand(60, 2, 2) * (400, 250), axis=1).reshape(60, 4)
    corners[40:50, 2:] = corners[40:50, :2] + 2
    corners[50:] += (0, 230, 0, 230)
    rois = np.column_stack([np.zeros(60), corners])
    symbol = mx.sym.contrib.PSROIPooling(
        X, Y, spatial_scale=1 / 16, output_dim=5, pooled_size=7, group_size=7
    )
    wanted, found = both(symbol, fixed, x=random.randn(1, 5 * 49, 12, 20) + 30, y=rois)
    assert (wanted == 0).any() and (wanted != 0).any()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_an_operator_without_a_conversion():
    symbol = mx.sym.Convolution(
        mx.sym.erf(X, name='my_layer'), kernel=(1, 1), num_filter=2, no_bias=True, name='next'
    )
    with pytest.raises(ExportError) as error:
        convert(Graph(symbol), Builder(), {'x': 'x'}, {'next_weight': draw(2, 6, 1, 1)})
    assert 'layer my_layer: there is no conversion of the operator erf to ONNX' in str(error.value)
    assert 'Convolution' in str(error.value) and 'erf' not in CONVERTERS
    with pytest.raises(
        ExportError, match='next_weight is neither an input of the network nor a parameter'
    ):
        convert(
            Graph(mx.sym.Convolution(X, kernel=(1, 1), num_filter=2, no_bias=True, name='next')),
            Builder(),
            {'x': 'x'},
            {},
        )


@pytest.mark.parametrize(
    'symbol, what',
    [
        (mx.sym.LeakyReLU(X, act_type='elu', name='layer'), 'LeakyReLU with act_type elu'),
        (
            mx.sym.Activation(X, act_type='softsign', name='layer'),
            'Activation with act_type softsign',
        ),
        (
            mx.sym.Pooling(X, kernel=(2, 2), pool_type='lp', p_value=2, name='layer'),
            'Pooling with pool_type lp',
        ),
        (
            mx.sym.Pooling(
                X, kernel=(3, 3), pool_type='avg', pooling_convention='full', name='layer'
            ),
            'Pooling with pooling_convention full',
        ),
        (
            mx.sym.Pad(X, mode='reflect', pad_width=(0, 0, 0, 0, 1, 1, 1, 1), name='layer'),
            'Pad with mode reflect',
        ),
        (mx.sym.Reshape(X, shape=(0, -4, 2, 3, 0, 0), name='layer'), 'Reshape with shape'),
        (mx.sym.slice_like(X, Y, name='layer'), 'slice_like with no axes'),
        (mx.sym.BilinearSampler(X, Y, name='layer'), 'BilinearSampler with a grid of null'),
        (
            mx.sym.contrib.PSROIPooling(
                X, Y, spatial_scale=1, output_dim=1, pooled_size=2, group_size=3, name='layer'
            ),
            'a group_size other than pooled_size',
        ),
    ],
)
def test_a_setting_without_a_conversion(symbol, what):
    with pytest.raises(ExportError) as error:
        convert(Graph(symbol), Builder(), {'x': 'x', 'y': 'y'}, {})
    assert str(error.value).startswith('layer layer: ') and what in str(error.value)
