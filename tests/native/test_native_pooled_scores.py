"""The native operator DFFPooledScores: against its definition in NumPy, and against convolution and pooling."""
import mxnet as mx
import numpy as np
import pytest

from lib.graph.pooled_scores import packed
from lib.operator_cxx import loader
from tests.helpers import native_oracles as oracles
from tests.helpers.native_tools import assert_close, run

pytestmark = pytest.mark.skipif(not loader.load(), reason='the native operators are not built (sh init.sh builds them)')

# Beside the usual: outside the map, half outside, turned around, of less than a cell, and of images that do not exist.
ODD = [[0, 5000, 5000, 5100, 5100], [1, -60, -60, 50, 40], [0, 90, 90, 20, 20], [1, 33, 33, 33, 33],
       [0, 0, 0, 1e6, 1e6], [2, 0, 0, 60, 60], [-1, 0, 0, 60, 60]]


def arrays_of(channels, outputs, side, size, images=2, rois=61, seed=0):
    rng = np.random.RandomState(seed)
    corners = rng.uniform(-40, 16 * max(size), (rois, 2, 2))
    usual = np.hstack((rng.randint(0, images, (rois, 1)), corners.min(axis=1), corners.max(axis=1)))
    return dict(data=rng.randn(images, channels + 3, *size), rois=np.vstack((usual, ODD)),
                weight=rng.randn(side ** 2, outputs, channels), bias=rng.randn(side ** 2, outputs))


def scores(arrays, first, side, channels):
    symbol = mx.sym.DFFPooledScores(*[mx.sym.Variable(name) for name in arrays], spatial_scale=1 / 16, pooled_size=side,
                                    outputs=arrays['bias'].shape[1], first_channel=first, channels=channels)
    return run(symbol, dict(arrays, weight=packed(arrays['weight'])))[0]


@pytest.mark.parametrize('channels, outputs, side, size, first', [
    (19, 39, 7, (12, 17), 3), (8, 16, 3, (5, 4), 0), (1, 1, 1, (1, 1), 2), (32, 17, 7, (9, 30), 1)])
def test_scores_are_as_defined(channels, outputs, side, size, first):
    arrays = arrays_of(channels, outputs, side, size)
    data, rois, weight, bias = (value.astype(np.float32).astype(np.float64) for value in arrays.values())
    expected = oracles.pooled_scores(data[:, first:first + channels], rois, weight, bias, 1 / 16)
    out = scores(arrays, first, side, channels)
    assert abs(expected).max() > 0.1 and (expected[[-1, -2, -7]] == 0).all()
    assert_close(out, expected, 1e-6)
    assert (out[[-1, -2, -7]] == 0).all()      # no image, no cell: not even the biases


def test_scores_do_not_depend_on_the_number_of_regions():
    arrays = arrays_of(24, 5, 7, (12, 17))
    whole = scores(arrays, 0, 7, 24)
    few = scores(dict(arrays, rois=arrays['rois'][50:59]), 0, 7, 24)
    assert np.array_equal(few, whole[50:59])


def test_what_is_not_finite_spoils_the_bins_that_hold_it_alone():
    arrays = arrays_of(9, 5, 2, (8, 8), images=1)
    arrays['rois'] = np.array([[0, 0, 0, 63, 63], [0, 64, 64, 127, 127]])
    clean = scores(arrays, 0, 2, 9)
    for value in (np.nan, np.inf, -np.inf):
        arrays['data'][0, 4, 1, 2] = value
        out = scores(arrays, 0, 2, 9)
        assert not np.isfinite(out[0]).any()
        assert_close(out[1], clean[1], 1e-6)


def test_messages():
    symbol = mx.sym.DFFPooledScores(*[mx.sym.Variable(name) for name in ('data', 'rois', 'weight', 'bias')], outputs=39,
                                    pooled_size=7, spatial_scale=1 / 16, first_channel=8, channels=12)
    shapes = dict(data=(1, 20, 5, 6), rois=(4, 5), weight=(2, 3, 392, 16), bias=(49, 39))
    assert symbol.infer_shape(**shapes)[1] == [(4, 39)]
    with pytest.raises(mx.base.MXNetError, match=r'there are no 12 channels from 8 on, of data \(1, 19, 5, 6\)'):
        symbol.infer_shape(**dict(shapes, data=(1, 19, 5, 6)))
    with pytest.raises(mx.base.MXNetError, match=r'input weight has shape \(2, 3, 8, 16\), .* needs \(2, 3, 392, 16\)'):
        symbol.infer_shape(**dict(shapes, weight=(2, 3, 8, 16)))
    with pytest.raises(mx.base.MXNetError, match=r'input bias has shape \(39\), .* needs \(49, 39\)'):
        symbol.infer_shape(**dict(shapes, bias=(39,)))
