"""The int8 operators inside MXNet, against exact sums of NumPy integers."""
import mxnet as mx
import numpy as np
import pytest

from lib.graph.int8_weights import TAPS, Scale, convolution, deconvolution, scale_of
from lib.operator_cxx import loader

pytestmark = pytest.mark.skipif(not loader.load(), reason='the native library is not built')
F = np.float32


def to_bytes(value, zero):
    return np.rint(np.clip(value + F(zero), 0, 255)).astype(np.uint8)


def finished(sums, scale, shift, slope, zero, other=None, other_scale=0.0, other_zero=0):
    """What becomes of sums [..., filters], in the order of the operator's own rounding: (values, bytes)."""
    value = sums.astype(F) * scale + shift
    if other is not None:
        value = value + (other.astype(F) - F(other_zero)) * F(other_scale)
    value = np.where(value > 0, value, value * F(slope))
    return value, to_bytes(value, zero)


def sums_of(data, weight, zero, stride=1, pad=(0, 0), dilate=1):
    """Sums of products of bytes [N, H, W, C] and an int8 weight [O, C, rows, columns], the padding being `zero`."""
    rows, columns = weight.shape[2:]
    wide = np.pad(data.astype(np.int64), ((0, 0), (pad[0],) * 2, (pad[1],) * 2, (0, 0)), constant_values=zero)
    height = (wide.shape[1] - (rows - 1) * dilate - 1) // stride + 1
    width = (wide.shape[2] - (columns - 1) * dilate - 1) // stride + 1
    out = np.zeros((data.shape[0], height, width, weight.shape[0]), np.int64)
    for y in range(rows):
        for x in range(columns):
            part = wide[:, y * dilate:, x * dilate:]
            part = part[:, :(height - 1) * stride + 1:stride, :(width - 1) * stride + 1:stride]
            out += part @ weight[:, :, y, x].T.astype(np.int64)
    return out


def packed(weight):
    """An int8 weight [O, C, rows, columns] as the operator takes it: every filter's largest is 127."""
    return convolution(weight.astype(F), np.zeros(len(weight)), Scale(1.0, 0), None).weight


def drawn(rng, *shape):
    weight = rng.randint(-127, 128, shape)
    weight[:, 0, 0, 0] = 127
    return weight


@pytest.mark.parametrize('shape, filters, kernel, stride, pad, dilate', [
    ((1, 7, 9, 8), 5, (3, 3), 1, (1, 1), 1), ((2, 5, 30, 4), 33, (1, 1), 1, (0, 0), 1),
    ((1, 9, 40, 12), 64, (3, 3), 1, (2, 2), 2), ((2, 11, 13, 4), 8, (7, 5), 2, (3, 2), 1),
    ((1, 6, 6, 16), 3, (1, 1), 2, (0, 0), 1), ((1, 1, 1, 4), 1, (1, 1), 1, (0, 0), 1),
    ((1, 13, 25, 36), 40, (1, 3), 1, (0, 1), 1)])
@pytest.mark.parametrize('kind', ['bytes', 'floats', 'sum'])
def test_convolution(shape, filters, kernel, stride, pad, dilate, kind):
    rng = np.random.RandomState(0)
    data, weight = rng.randint(0, 256, shape).astype(np.uint8), drawn(rng, filters, shape[3], *kernel)
    sums = sums_of(data, weight, 17, stride, pad, dilate)
    scale = (rng.rand(filters) * 80 / abs(sums).max()).astype(F)
    shift = (30 * rng.randn(filters)).astype(F)
    wide = -(-filters // 4) * 4
    other = rng.randint(0, 256, sums.shape[:3] + (wide,)).astype(np.uint8) if kind == 'sum' else None
    inputs = [mx.nd.array(each, dtype=each.dtype)
              for each in (data, packed(weight), scale, shift) + ((other,) if kind == 'sum' else ())]
    out = mx.nd.DFFInt8Convolution(*inputs, num_filter=filters, slope=0.1, in_zero=17, zero=90, kernel_h=kernel[0],
                                   kernel_w=kernel[1], stride=stride, pad_h=pad[0], pad_w=pad[1], dilate=dilate,
                                   is_float=int(kind == 'floats'), has_other=int(kind == 'sum'), other_scale=0.37,
                                   other_zero=11).asnumpy()
    values, in_bytes = finished(sums, scale, shift, 0.1, 90, None if other is None else other[..., :filters], 0.37, 11)
    if kind == 'floats':
        np.testing.assert_array_equal(out, values.transpose(0, 3, 1, 2))
    else:
        assert out.dtype == np.uint8 and len(np.unique(in_bytes)) > min(3, in_bytes.size - 1)
        np.testing.assert_array_equal(out[..., :filters], in_bytes)
        if kind == 'bytes':
            assert (out[..., filters:] == 90).all()


@pytest.mark.parametrize('shape, filters, size', [((1, 4, 5, 8), 6, (8, 10)), ((2, 3, 14, 4), 40, (5, 27)),
                                                  ((1, 1, 1, 4), 1, (1, 1))])
def test_deconvolution(shape, filters, size):
    rng = np.random.RandomState(1)
    data = rng.randint(0, 256, shape).astype(np.uint8)
    weight = drawn(rng, shape[3], filters, 4, 4)
    weight[0, :, 0, 0] = 127
    pack = deconvolution(weight.astype(F), np.zeros(filters), Scale(1.0, 0), None)
    scale, shift = (rng.rand(filters) * 1e-3).astype(F), rng.randn(4, filters).astype(F)
    like = np.zeros((shape[0],) + size + (4,), np.uint8)
    out = mx.nd.DFFInt8Deconvolution(*[mx.nd.array(each, dtype=each.dtype)
                                       for each in (data, pack.weight, scale, shift, like)],
                                     num_filter=filters, slope=0.5, in_zero=9, zero=100).asnumpy()
    expected = np.zeros((shape[0],) + size + (filters,), np.uint8)
    for phase in range(4):
        y, x = phase // 2, phase % 2
        part = weight[:, :, TAPS[y]][:, :, :, TAPS[x]].transpose(1, 0, 2, 3)
        sums = sums_of(data, part, 9, pad=(1, 1))[:, y:y + shape[1], x:x + shape[2]]
        place = expected[:, y::2, x::2]
        place[:] = finished(sums, scale, shift[phase], 0.5, 100)[1][:, :place.shape[1], :place.shape[2]]
    np.testing.assert_array_equal(out[..., :filters], expected)


def test_a_deconvolution_is_near_to_that_of_mxnet():
    rng = np.random.RandomState(2)
    data, weight, bias = rng.randn(1, 8, 5, 6), rng.randn(8, 6, 4, 4), rng.randn(6)
    exact = mx.nd.Deconvolution(mx.nd.array(data), mx.nd.array(weight), mx.nd.array(bias), num_filter=6, kernel=(4, 4),
                                stride=(2, 2), pad=(1, 1), no_bias=False).asnumpy()[:, :, :9, :11]
    given, made = scale_of(data.min(), data.max()), scale_of(exact.min(), exact.max())
    in_bytes = to_bytes((data.transpose(0, 2, 3, 1) / given.scale).astype(F), given.zero)
    pack = deconvolution(weight, bias, given, made)
    out = mx.nd.DFFInt8Deconvolution(*[mx.nd.array(each, dtype=each.dtype) for each in
                                       (in_bytes, *pack, np.zeros((1, 9, 11, 4), np.uint8))],
                                     num_filter=6, slope=1, in_zero=given.zero, zero=made.zero).asnumpy()
    value = (out[..., :6].astype(float) - made.zero) * made.scale
    assert np.sqrt(np.mean((value.transpose(0, 3, 1, 2) - exact) ** 2)) < 0.02 * exact.std()


@pytest.mark.parametrize('begin, count', [(0, 7), (4, 3), (0, 4)])
def test_there_and_back(begin, count):
    rng = np.random.RandomState(3)
    data = (3 * rng.randn(2, 7, 5, 31)).astype(F)
    made = mx.nd.DFFInt8Quantise(mx.nd.array(data), begin=begin, count=count, zero=40, scale=20.5)
    expected = to_bytes(data[:, begin:begin + count].transpose(0, 2, 3, 1) * F(20.5), 40)
    np.testing.assert_array_equal(made.asnumpy()[..., :count], expected)
    assert (made.asnumpy()[..., count:] == 40).all()
    back = mx.nd.DFFInt8Dequantise(made, begin=0, count=count, zero=40, scale=0.3).asnumpy()
    np.testing.assert_array_equal(back, ((expected.astype(F) - F(40)) * F(0.3)).transpose(0, 3, 1, 2))


def test_what_is_no_number_becomes_a_byte():
    data = mx.nd.array(np.array([np.nan, np.inf, -np.inf, 1e30], F).reshape(1, 4, 1, 1))
    made = mx.nd.DFFInt8Quantise(data, begin=0, count=4, zero=3, scale=2).asnumpy()
    assert made.ravel().tolist() == [0, 255, 0, 255]


@pytest.mark.parametrize('kind', ['max', 'avg'])
@pytest.mark.parametrize('convention', ['valid', 'full'])
def test_pooling(kind, convention):
    data = np.random.RandomState(4).randint(0, 256, (2, 9, 8, 72)).astype(np.uint8)
    pad = 1 if kind == 'max' else 0
    out = mx.nd.DFFInt8Pooling(mx.nd.array(data, dtype='uint8'), kernel_h=3, kernel_w=3, stride=2, pad_h=pad, pad_w=pad,
                               mean=int(kind == 'avg'), is_full=int(convention == 'full')).asnumpy()
    exact = mx.nd.Pooling(mx.nd.array(data.transpose(0, 3, 1, 2)), kernel=(3, 3), stride=(2, 2), pad=(pad, pad),
                          pool_type=kind, pooling_convention=convention).asnumpy().transpose(0, 2, 3, 1)
    # A mean of nine, or of six at a border, is never half way between two bytes but for six: halves go to the even one.
    np.testing.assert_array_equal(out, np.rint(np.round(exact, 3)).astype(np.uint8))


def test_concatenation():
    rng = np.random.RandomState(5)
    parts = [rng.randint(0, 256, (2, 3, 5, width)).astype(np.uint8) for width in (8, 4, 12)]
    out = mx.nd.DFFInt8Concat(*[mx.nd.array(part, dtype='uint8') for part in parts], num_args=3).asnumpy()
    np.testing.assert_array_equal(out, np.concatenate(parts, axis=3))
