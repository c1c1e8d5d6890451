"""The CUDA kernels on a GPU, with CuPy, against the NumPy oracles.

Skipped, saying so, where there is no GPU or no CuPy. Needs the built library (lib/operator_cxx/build.py) and CuPy,
not MXNet: MXNet's own wheels cannot run on GPUs newer than Ada.
"""
import numpy as np
import pytest

from lib.boxes.anchors import base_anchors
from lib.boxes.transform import bbox_overlaps, bbox_transform
from lib.operator_cxx import loader
from tests.helpers import native_oracles as oracles
from tests.helpers.aggregation import carried_and_joined

cupy = pytest.importorskip('cupy', reason='CuPy is not installed: the CUDA kernels are not run')
try:
    cupy.cuda.runtime.getDeviceCount()
except cupy.cuda.runtime.CUDARuntimeError as error:
    pytest.skip('no GPU (%s): the CUDA kernels are not run' % error, allow_module_level=True)
if loader.c_library() is None:
    pytest.skip('the native library is not built: the CUDA kernels are not run', allow_module_level=True)

from tests.gpu.device import Device  # noqa: E402

device = Device(loader.c_library())


def assert_close(actual, expected, tolerance):
    np.testing.assert_allclose(cupy.asnumpy(actual), expected, rtol=0,
                               atol=tolerance * max(1, abs(np.asarray(expected)).max()))


def on_device(*arrays):
    return [None if array is None else cupy.asarray(array, np.float32) for array in arrays]


def warp_inputs(rng, images, feature_images, channels, height, width, scaled):
    flow = np.floor(rng.randn(images, 2, height, width) * 4) + rng.uniform(0.1, 0.9, (images, 2, height, width))
    scale = rng.randn(images, channels, height, width) if scaled else None
    return rng.randn(feature_images, channels, height, width), flow, scale


@pytest.mark.parametrize('images, feature_images, scaled', [(1, 1, True), (1, 1, False), (10, 1, True), (3, 3, True)])
@pytest.mark.parametrize('size', [(1024, 36, 63), (13, 7, 5), (1, 1, 1)])
def test_warp(images, feature_images, scaled, size):
    feature, flow, scale = warp_inputs(np.random.RandomState(0), images, feature_images, *size, scaled=scaled)
    assert_close(device.warp(*on_device(feature, flow, scale)), oracles.flow_warp(feature, flow, scale), 1e-5)


def test_warp_gradients():
    rng = np.random.RandomState(1)
    inputs = warp_inputs(rng, 2, 1, 11, 6, 9, True)
    grad = rng.randn(2, 11, 6, 9)
    gradients = device.warp_gradients(*on_device(grad, *inputs))
    for number, (value, gradient) in enumerate(zip(inputs, gradients)):
        places = [tuple(rng.randint(0, n) for n in value.shape) for _ in range(40)]

        def loss(moved, number=number):
            return (oracles.flow_warp(*(moved if k == number else other
                                        for k, other in enumerate(inputs))) * grad).sum()
        gradient = cupy.asnumpy(gradient)
        assert_close(np.array([gradient[place] for place in places]),
                     oracles.central_difference(loss, value, places), 1e-4)


@pytest.mark.parametrize('displacement', [0, 4])
@pytest.mark.parametrize('size', [(1, 128, 71, 125), (3, 16, 24, 40), (2, 5, 1, 7)])
def test_correlation(size, displacement):
    rng = np.random.RandomState(0)
    current, reference = rng.randn(*size), rng.randn(*size)
    assert_close(device.correlation(*on_device(current, reference), displacement),
                 oracles.correlation(current, reference, displacement), 1e-5)


def test_correlation_gradients():
    rng = np.random.RandomState(1)
    inputs, grad = [rng.randn(2, 11, 6, 9), rng.randn(2, 11, 6, 9)], rng.randn(2, 25, 6, 9)
    for number, gradient in enumerate(device.correlation_gradients(*on_device(grad, *inputs), 2)):
        places = [tuple(rng.randint(0, n) for n in inputs[number].shape) for _ in range(40)]

        def loss(moved, number=number):
            return (oracles.correlation(*(moved if k == number else other for k, other in enumerate(inputs)),
                                        2) * grad).sum()
        gradient = cupy.asnumpy(gradient)
        assert_close(np.array([gradient[place] for place in places]),
                     oracles.central_difference(loss, inputs[number], places), 1e-4)


def aggregation_inputs(rng, frames, images, channels, embedding, *size):
    whole = rng.randint(-2, 2, (frames * images, 2) + size)
    shapes = (frames * images, channels), (frames * images, embedding), (images, embedding)
    return [rng.randn(*shape, *size) for shape in shapes] + [whole + rng.uniform(0.1, 0.9, whole.shape)]


@pytest.mark.parametrize('flow', [True, False])
@pytest.mark.parametrize('size', [(19, 1, 1024, 2048, 36, 63), (2, 3, 11, 5, 6, 9)])
def test_aggregation(size, flow):
    inputs = aggregation_inputs(np.random.RandomState(0), *size)[:4 if flow else 3]
    assert_close(device.aggregate(*on_device(*inputs)), carried_and_joined(*inputs[:3], size[0], *inputs[3:])[0], 1e-5)


@pytest.mark.parametrize('flow', [True, False])
def test_aggregation_gradients(flow):
    rng = np.random.RandomState(1)
    inputs, grad = aggregation_inputs(rng, 3, 2, 11, 9, 6, 9)[:4 if flow else 3], rng.randn(2, 11, 6, 9)
    gradients = device.aggregate_gradients(*on_device(grad, *inputs))
    for number, value in enumerate(inputs):
        places = [tuple(rng.randint(0, n) for n in value.shape) for _ in range(40)]

        def loss(moved, number=number):
            given = [moved if k == number else other for k, other in enumerate(inputs)]
            return (carried_and_joined(*given[:3], 3, *given[3:])[0] * grad).sum()
        gradient = cupy.asnumpy(gradients[number])
        assert_close(np.array([gradient[place] for place in places]),
                     oracles.central_difference(loss, value, places), 1e-4)


def test_warp_of_flow_that_is_not_finite():
    feature, flow, scale = warp_inputs(np.random.RandomState(2), 1, 1, 4, 3, 5, True)
    flow[0, 0, 1] = [np.nan, np.inf, -np.inf, 1e30, 0]
    out = cupy.asnumpy(device.warp(*on_device(feature, flow, scale)))
    assert np.isnan(out[0, :, 1, 0]).all() and (out[0, :, 1, 1:4] == 0).all() and np.isfinite(out[0, :, [0, 2]]).all()
    gradients = device.warp_gradients(*on_device(np.ones((1, 4, 3, 5)), feature, flow, scale))
    assert np.isfinite(cupy.asnumpy(gradients[0])).all()


def random_rois(rng, count, images, height, width):
    corners = rng.uniform(-40, 1.1 * max(height, width), (count, 2, 2))
    return np.hstack((rng.randint(0, images, (count, 1)), corners.min(axis=1), corners.max(axis=1))).astype(np.float32)


@pytest.mark.parametrize('images, output_dim, pooled, group, size',
                         [(1, 31, 7, 7, (36, 63)), (10, 5, 7, 7, (5, 7)), (2, 2, 6, 3, (9, 4))])
def test_psroi(images, output_dim, pooled, group, size):
    rng = np.random.RandomState(3)
    settings = dict(spatial_scale=1 / 16, output_dim=output_dim, pooled_size=pooled, group_size=group)
    data = rng.randn(images, output_dim * group ** 2, *size).astype(np.float32)
    rois = random_rois(rng, 50, images, size[0] * 16, size[1] * 16)
    rois[:3] = [[-1, 0, 0, 50, 50], [images, 0, 0, 50, 50], [0, np.nan, 0, np.inf, 50]]
    expected = oracles.psroi_pooling(data, rois[3:], **settings)
    out = device.psroi(*on_device(data, rois), **settings)
    assert_close(out[3:], expected, 1e-5)
    assert not out[:2].any() and np.isfinite(cupy.asnumpy(out)).all()
    grad = rng.randn(*out.shape).astype(np.float32)
    grad[:3] = 0
    gradient = cupy.asnumpy(device.psroi_gradient(*on_device(grad, rois), data_shape=data.shape, **settings))
    # The operator is linear in the data: <grad, pool(d)> = <gradient, d> for every d.
    for _ in range(5):
        other = rng.randn(*data.shape)
        expected = (grad[3:] * oracles.psroi_pooling(other, rois[3:], **settings)).sum()
        assert abs((gradient.astype(np.float64) * other).sum() - expected) <= 1e-4 * max(1, abs(expected))


@pytest.mark.parametrize('images, channels, outputs, side, size',
                         [(1, 260, 39, 7, (36, 63)), (3, 19, 5, 2, (5, 7)), (1, 300, 70, 3, (9, 4))])
def test_pooled_scores(images, channels, outputs, side, size):
    rng = np.random.RandomState(6)
    data, bias = rng.randn(images, channels + 5, *size), rng.randn(side ** 2, outputs)
    packed = 0.1 * rng.randn(-(-channels // 8), -(-outputs // 16), side ** 2 * 8, 16)
    b, o, c = np.indices((side ** 2, outputs, channels))
    rois = random_rois(rng, 50, images, size[0] * 16, size[1] * 16)
    rois[:3] = [[-1, 0, 0, 50, 50], [images, 0, 0, 50, 50], [0, np.nan, 0, np.inf, 50]]
    out = device.pooled_scores(*on_device(*(array.astype(np.float32) for array in (data, rois, packed, bias))),
                               first=3, channels=channels, pooled=side, spatial_scale=1 / 16)
    weight = packed[c // 8, o // 16, b * 8 + c % 8, o % 16]
    assert_close(out[3:], oracles.pooled_scores(data[:, 3:3 + channels], rois[3:], weight, bias, 1 / 16), 1e-5)
    assert not out[:2].any() and np.isfinite(cupy.asnumpy(out)).all()


@pytest.mark.parametrize('images, size, before_nms', [(1, (36, 63), 6000), (10, (12, 20), 600), (2, (3, 3), -1)])
def test_proposal(images, size, before_nms):
    rng = np.random.RandomState(4)
    anchors = base_anchors(16, (8, 16, 32), (0.5, 1, 2))
    scores = rng.permutation(images * 18 * size[0] * size[1]).reshape(images, 18, *size).astype(np.float32) / 1e5
    deltas = (rng.randn(images, 36, *size) * 0.3).astype(np.float32)
    im_info = np.tile(np.float32([size[0] * 16 - 10, size[1] * 16 - 20, 1]), (images, 1))
    settings = dict(anchors=anchors, stride=16, before_nms=before_nms, after_nms=100, threshold=0.7)
    expected = oracles.proposal(scores, deltas, im_info, **settings)
    rois = cupy.asnumpy(device.proposal(*on_device(scores, deltas, im_info), **settings))
    # exp rounds differently on the device, so an overlap right at the threshold may be decided otherwise.
    assert (abs(rois - expected).max(axis=1) <= 1e-2).mean() > 0.95
    deltas[:, :, 0] = np.nan
    assert np.isfinite(cupy.asnumpy(device.proposal(*on_device(scores, deltas, im_info), **settings))).all()


def test_targets_and_mining():
    rng = np.random.RandomState(5)
    truth = np.hstack((random_rois(rng, 4, 1, 200, 200)[:, 1:] + [0, 0, 30, 30],
                       rng.randint(1, 6, (4, 1)))).astype(np.float32)
    rois = np.repeat(truth[:, :4], 20, axis=0) + rng.uniform(-15, 15, (80, 4)).astype(np.float32)
    chosen, label, target, weight = (cupy.asnumpy(a)
                                     for a in device.targets(*on_device(np.insert(rois, 0, 0, axis=1), truth[None])))
    candidates = np.vstack((rois, truth[:, :4]))
    overlaps = bbox_overlaps(candidates, truth[:, :4])
    foreground = overlaps.max(axis=1) >= 0.5
    order = np.append(np.flatnonzero(foreground), np.flatnonzero(~foreground))
    np.testing.assert_array_equal(chosen[:, 1:], candidates[order])
    best = overlaps.argmax(axis=1)[order]
    np.testing.assert_array_equal(label, np.where(foreground[order], truth[best, 4], 0))
    count = foreground.sum()
    np.testing.assert_allclose(target[:count, 4:], bbox_transform(candidates[order[:count]], truth[best[:count], :4]),
                               atol=1e-4)
    assert not target[count:].any() and (weight[:count, 4:] == 1).all() and weight.sum() == 4 * count

    score, deltas = rng.randn(84, 6).astype(np.float32), rng.randn(84, 8).astype(np.float32)
    found = [cupy.asnumpy(a)
             for a in device.hard_examples(*on_device(score, deltas, label, target, weight), images=1, keep=30)]
    difference = abs(deltas - target)
    loss = (weight * np.where(difference < 1, difference ** 2 / 2, difference - 0.5)).sum(axis=1)
    loss += np.log(np.exp(score).sum(axis=1)) - score[np.arange(84), label.astype(int)]
    hard = np.isin(np.arange(84), np.argsort(-loss)[:30])
    np.testing.assert_array_equal(found[0], np.where(hard, label, -1))
    np.testing.assert_array_equal(found[1], weight * hard[:, None])


@pytest.mark.parametrize('size', [(19, 64, 128), (2, 1, 1), (255, 3, 5)])
def test_class_map(size):
    rng = np.random.RandomState(9)
    score = rng.randn(*size)
    rows, columns = (np.sort(rng.uniform(-2, n + 1, count)) for n, count in zip(size[1:], (200, 333)))
    score, rows, columns = (array.astype(np.float32) for array in (score, rows, columns))
    found = cupy.asnumpy(device.class_map(*on_device(score, rows, columns)))
    assert np.mean(found == oracles.class_map(score, rows, columns)) > 0.999


@pytest.mark.parametrize('size', [(1, 1, 3, 562, 1000), (3, 1, 3, 7, 9), (2, 2, 1, 1, 1)])
def test_image_pair(size):
    rng = np.random.RandomState(10)
    images, references, *image = size
    current, reference = (rng.randn(count, *image).astype(np.float32) for count in (images, references))
    found = cupy.asnumpy(device.image_pair(*on_device(current, reference), factor=0.3))
    references = np.broadcast_to(oracles.halved(reference), oracles.halved(current).shape)
    expected = np.concatenate([oracles.halved(current), references], axis=1)
    np.testing.assert_allclose(found, 0.3 * expected, atol=1e-5)
