"""The int8 operators for slices, activations, flow and regions inside MXNet, against NumPy."""
import mxnet as mx
import numpy as np
import pytest

from lib.graph.int8_weights import Scale, pooled_scores
from lib.operator_cxx import loader
from tests.helpers import native_oracles as oracles

pytestmark = pytest.mark.skipif(not loader.load(), reason='the native library is not built')
F = np.float32


def array(value):
    return mx.nd.array(value, dtype=value.dtype)


def drawn(*shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def test_slices_take_images_and_channels():
    data = drawn(6, 3, 5, 24)
    out = mx.nd.DFFInt8Slice(array(data), first=1, step=2, begin=8, count=12).asnumpy()
    np.testing.assert_array_equal(out, data[1::2, :, :, 8:20])


@pytest.mark.parametrize('settings, text', [
    (dict(begin=2), 'multiples of 4'), (dict(count=6), 'multiples of 4'), (dict(begin=8), 'channels 8 to 16'),
    (dict(first=2), 'image 2')])
def test_slices_beyond_the_map_are_refused(settings, text):
    with pytest.raises(mx.MXNetError, match=text):
        settings = dict(dict(first=0, step=1, begin=0, count=8), **settings)
        mx.nd.DFFInt8Slice(array(drawn(2, 3, 5, 12)), **settings).asnumpy()


@pytest.mark.parametrize('slope', [0.1, 0, -1])
def test_activations_have_a_scale_of_their_own(slope):
    data = np.arange(256, dtype=np.uint8).reshape(1, 4, 8, 8)
    out = mx.nd.DFFInt8Activation(array(data), in_zero=100, zero=7, slope=slope, factor=0.75).asnumpy()
    value = (data.astype(F) - F(100)) * F(0.75)
    value = np.where(value > 0, value, value * F(slope)) + F(7)
    np.testing.assert_array_equal(out, np.rint(np.clip(value, 0, 255)))


@pytest.mark.parametrize('channels', [4, 16, 36])
@pytest.mark.parametrize('features', [1, 2])
def test_warp(channels, features):
    rng = np.random.RandomState(1)
    feature, flow = rng.randn(features, channels, 7, 11).astype(F), (4 * rng.randn(2, 2, 7, 11)).astype(F)
    scale = drawn(2, 7, 11, channels, seed=2)
    out = mx.nd.DFFInt8FlowWarp(array(feature), array(flow), array(scale), scale_zero=90, zero=60, factor=0.5)
    factors = (scale.astype(float) - 90).transpose(0, 3, 1, 2) * 0.5
    exact = oracles.flow_warp(feature, flow, factors).transpose(0, 2, 3, 1) + 60
    exact = np.clip(exact, 0, 255)
    clear = abs(exact - np.floor(exact) - 0.5) > 1e-3      # of halves rounding may go either way
    assert clear.mean() > 0.95 and len(np.unique(exact)) > 50
    np.testing.assert_array_equal(out.asnumpy()[clear], np.rint(exact)[clear])


def test_a_flow_that_is_no_number_gives_a_byte():
    feature, flow = np.ones((1, 16, 2, 2), F), np.full((1, 2, 2, 2), np.nan, F)
    out = mx.nd.DFFInt8FlowWarp(array(feature), array(flow), array(drawn(1, 2, 2, 16)), scale_zero=0, zero=9, factor=1)
    assert set(out.asnumpy().ravel()) <= {0, 255}


@pytest.mark.parametrize('channels, size, reach', [(4, (3, 5), 1), (32, (9, 33), 4), (36, (2, 16), 0), (8, (1, 1), 2)])
def test_correlation(channels, size, reach):
    current, reference = drawn(2, *size, channels), drawn(2, *size, channels, seed=1)
    out = mx.nd.DFFInt8Correlation(array(current), array(reference), max_displacement=reach, in_zero=120, zero=50,
                                   factor=0.0625 / channels, slope=0.25).asnumpy()
    exact = oracles.correlation(*((value.astype(float) - 120).transpose(0, 3, 1, 2) for value in (current, reference)),
                                reach).transpose(0, 2, 3, 1) * 0.0625
    exact = np.clip(np.where(exact > 0, exact, exact * 0.25) + 50, 0, 255)
    clear = abs(exact - np.floor(exact) - 0.5) > 1e-4      # of halves rounding may go either way
    planes = (2 * reach + 1) ** 2
    assert clear.mean() > 0.9 and out.shape == (2, *size, -(-planes // 4) * 4) and (out[..., planes:] == 50).all()
    np.testing.assert_array_equal(out[..., :planes][clear], np.rint(exact)[clear])


def rounded_means(data, rois, side):
    """(bool [R, P * P], which bins are not empty; [R, P * P, C], their means as bytes); data: integers [N, H, W, C]."""
    covered, means = np.zeros((len(rois), side ** 2), bool), np.zeros((len(rois), side ** 2, data.shape[3]))
    for number, roi in enumerate(rois):
        rows, columns = (oracles.bins(roi[k], roi[k + 2], side, F(1 / 16), cells)
                         for k, cells in ((2, data.shape[1]), (1, data.shape[2])))
        for place in range(side ** 2):
            (top, bottom), (left, right) = rows[place // side], columns[place % side]
            if bottom > top and right > left and roi[0] < len(data):
                sums = data[int(roi[0]), top:bottom, left:right].sum(axis=(0, 1))
                covered[number, place] = True
                means[number, place] = np.rint(sums.astype(F) * F(1 / ((bottom - top) * (right - left))))
    return covered, means


@pytest.mark.parametrize('channels, outputs, side, size, first', [
    (40, 39, 7, (12, 17), 4), (4, 33, 3, (5, 4), 0), (16, 1, 1, (1, 1), 16), (48, 70, 5, (20, 30), 8)])
def test_scores_are_sums_of_rounded_means(channels, outputs, side, size, first):
    rng = np.random.RandomState(3)
    corners = rng.uniform(-40, 16 * max(size), (29, 2, 2))
    rois = np.hstack((rng.randint(0, 2, (29, 1)), corners.min(axis=1), corners.max(axis=1)))
    rois = np.vstack((rois, [[0, 5000, 5000, 5100, 5100], [2, 0, 0, 60, 60], [0, np.nan, 0, 60, 60]])).astype(F)
    data, zero, given = drawn(2, *size, channels + first + 4), 31, Scale(0.25, 31)
    weight = rng.randn(side ** 2, outputs, channels).astype(F)
    bias, packed = rng.randn(side ** 2, outputs).astype(F), pooled_scores(weight, given)
    out = mx.nd.DFFInt8PooledScores(*[array(value) for value in (data, rois, *packed, bias)], spatial_scale=1 / 16,
                                    pooled_size=side, outputs=outputs, first_channel=first, channels=channels,
                                    zero=zero).asnumpy()
    covered, means = rounded_means(data[..., first:first + channels].astype(int), rois[:-1], side)
    steps = abs(weight).max(axis=(0, 2)).astype(float) / 127
    values = np.where(covered[..., None], means - zero, 0)
    products = np.einsum('rbc,boc->ro', values, np.round(weight / steps[:, None]))
    expected = products * 0.25 * steps + covered @ bias.astype(float)
    assert abs(expected).max() > 1
    np.testing.assert_allclose(out[:-1], expected, atol=2e-6 * abs(expected).max())
    assert (out[[-2, -3]] == 0).all()


def test_scores_need_the_right_weight():
    weight = pooled_scores(np.ones((9, 5, 16), F), Scale(1.0, 0))
    inputs = [array(value) for value in (drawn(1, 4, 4, 16), np.zeros((3, 5), F), *weight, np.zeros((9, 5), F))]
    settings = dict(spatial_scale=1, pooled_size=3, outputs=5, first_channel=0, channels=16, zero=0)
    assert mx.nd.DFFInt8PooledScores(*inputs, **settings).shape == (3, 5)
    for changed, text in ((dict(outputs=6), 'weight|scale'), (dict(first_channel=4), 'there are no 16 channels from 4'),
                          (dict(pooled_size=2), 'weight')):
        with pytest.raises(mx.MXNetError, match=text):
            mx.nd.DFFInt8PooledScores(*inputs, **dict(settings, **changed)).asnumpy()
