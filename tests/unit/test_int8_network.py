"""Networks whose layers hand on bytes: which layers do, and that results are near to those of float32."""
import mxnet as mx
import numpy as np
import pytest

from lib.graph.graph import Graph, output_shapes
from lib.graph.int8_network import on_bytes
from lib.graph.int8_weights import LARGEST, SMALLEST, scale_of
from lib.graph.quantised_graph import Ranges, fused, widened
from lib.operator_cxx import loader

pytestmark = pytest.mark.skipif(not loader.load(), reason='the native library is not built')
SHAPE = (2, 6, 17, 22)


def conv(data, name, filters, **settings):
    settings = dict(dict(kernel=(3, 3), pad=(1, 1)), **settings)
    return mx.sym.Convolution(data, num_filter=filters, name=name, **settings)


def relu(data):
    return mx.sym.Activation(data, act_type='relu')


def leaky(data):
    return mx.sym.LeakyReLU(data, act_type='leaky', slope=0.1)


def residual():
    """A unit of ResNet whose shortcut is a convolution, and one whose shortcut is its input."""
    body = mx.sym.Pooling(relu(conv(mx.sym.Variable('data'), 'a', 8, stride=(2, 2))), kernel=(3, 3), stride=(2, 2),
                          pad=(1, 1), pool_type='max')
    body = relu(conv(body, 'b', 16, kernel=(1, 1), pad=(0, 0)) + conv(relu(conv(body, 'c', 8)), 'd', 16))
    body = relu(body + conv(relu(conv(body, 'e', 8, pad=(2, 2), dilate=(2, 2))), 'f', 16))
    return conv(body, 'g', 5)


def decoder():
    """Two levels of FlowNet; the skip connection is read three times, the prediction outside, too."""
    skip = leaky(conv(mx.sym.Variable('data'), 'a', 8))
    deep = leaky(conv(skip, 'b', 12, stride=(2, 2)))
    flow = conv(deep, 'c', 2)
    settings = dict(kernel=(4, 4), stride=(2, 2), pad=(1, 1), no_bias=False)
    doubled = [mx.sym.slice_like(mx.sym.Deconvolution(source, num_filter=filters, name=name, **settings), skip,
                                 axes=(2, 3))
               for source, filters, name in ((deep, 8, 'up'), (flow, 2, 'up_flow'))]
    merged = mx.sym.Concat(skip, leaky(doubled[0]), doubled[1], dim=1)
    mean = mx.sym.Pooling(merged, pool_type='avg', kernel=(2, 2), stride=(2, 2), pooling_convention='full')
    return mx.sym.Group([conv(mean, 'd', 9), mx.sym.slice_axis(flow, axis=1, begin=0, end=1)])


def sliced():
    """Two layers that read halves of one map, which is an output as well."""
    body = relu(conv(mx.sym.Variable('data'), 'a', 16))
    halves = [mx.sym.slice_axis(body, axis=1, begin=begin, end=begin + 8) for begin in (0, 8)]
    return mx.sym.Group([body, conv(halves[0], 'b', 3), mx.sym.softmax(conv(halves[1], 'c', 4), axis=1)])


def compared(is_read_whole=False):
    """Two images side by side, as in the correlation network: both are compared, one is read again, or both are."""
    body = mx.sym.Reshape(conv(mx.sym.Variable('data'), 'a', 8), shape=(-1, 16, 0, 0))
    current, reference = (mx.sym.slice_axis(body, axis=1, begin=begin, end=begin + 8) for begin in (0, 8))
    matches = leaky(mx.sym.DFFCorrelation(current, reference, max_displacement=1))
    merged = mx.sym.Concat(leaky(current), leaky(conv(matches, 'b', 4)), dim=1)
    outputs = [conv(merged, 'c', 5), mx.sym.slice_axis(conv(merged, 'd', 4), axis=1, begin=0, end=2)]
    return mx.sym.Group(outputs + [conv(body, 'e', 3)] if is_read_whole else outputs)


def warped():
    """A warped feature of which one half goes to a convolution, the other to the scores of regions."""
    data = mx.sym.Variable('data')
    maps = [conv(data, name, filters) for name, filters in (('a', 8), ('b', 2), ('c', 8))]
    body = mx.sym.DFFFlowWarp(*maps, has_scale=1)
    rois = mx.sym.concat(mx.sym.zeros((4, 1)), mx.sym.Reshape(mx.sym.arange(0, 16), shape=(4, 4)) * 3, dim=1)
    weight, bias = mx.sym.Variable('weight', shape=(1, 1, 32, 16)), mx.sym.Variable('bias', shape=(4, 5))
    scores = mx.sym.DFFPooledScores(body, rois, weight, bias, spatial_scale=0.5, pooled_size=2, outputs=5,
                                    first_channel=4, channels=4)
    return mx.sym.Group([conv(mx.sym.slice_axis(body, axis=1, begin=0, end=4), 'd', 3), scores])


def both(symbol, float_layers=()):
    """(outputs in float32, outputs of the int8 network, its operators)."""
    rng = np.random.RandomState(0)
    shapes = symbol.infer_shape(data=SHAPE)[0]
    params = {name: mx.nd.array(rng.randn(*shape) / np.sqrt(max(1, np.prod(shape[1:]))))
              for name, shape in zip(symbol.list_arguments(), shapes) if name != 'data'}
    network, arguments, plain = fused(symbol, {'data': SHAPE}, params, {}, 'test')
    data, ranges = rng.randn(*SHAPE).astype(np.float32), Ranges()
    executor = network.bind(mx.cpu(), dict(arguments, data=mx.nd.array(data)), grad_req='null')
    executor.set_monitor_callback(ranges, monitor_all=True)
    exact = [output.asnumpy() for output in executor.forward()]
    int8, values = on_bytes(plain, network, arguments, output_shapes(plain, {'data': SHAPE}), widened(ranges.found),
                            float_layers)
    values = {name: mx.nd.array(value, dtype=value.dtype) for name, value in dict(values, data=data).items()}
    found = [output.asnumpy() for output in int8.bind(mx.cpu(), values, grad_req='null').forward()]
    return exact, found, [node.op for node in Graph(int8).nodes() if node.op != 'null']


@pytest.mark.parametrize('network, float_operators', [
    (residual, {'slice_axis'}), (decoder, {'slice_axis', '_mul_scalar'}),
    (sliced, {'slice_axis', 'softmax', '_mul_scalar'}),
    (compared, {'slice_axis', '_mul_scalar'}),
    (warped, {'Concat', '_zeros', '_arange', 'Reshape', '_mul_scalar', 'slice_axis'})])
def test_results_are_near_and_layers_are_native(network, float_operators):
    exact, found, operators = both(network())
    assert {operator for operator in operators if not operator.startswith('DFFInt8')} <= float_operators
    for a, b in zip(exact, found):
        assert a.shape == b.shape and 0 < np.sqrt(np.mean((a - b) ** 2)) < 0.04 * np.sqrt(np.mean(a ** 2))


def test_a_map_that_is_read_reshaped_as_well_has_floats():
    exact, found, operators = both(compared(is_read_whole=True))
    assert 'Reshape' in operators and 'DFFInt8Slice' in operators and 'Convolution' not in operators
    for a, b in zip(exact, found):
        assert np.sqrt(np.mean((a - b) ** 2)) < 0.04 * np.sqrt(np.mean(a ** 2))


def test_a_layer_that_stays_float_reads_and_makes_floats():
    exact, found, operators = both(residual(), ['e'])
    assert operators.count('Convolution') == 1 and operators.count('DFFInt8Convolution') == 6
    assert np.sqrt(np.mean((exact[0] - found[0]) ** 2)) < 0.04 * np.sqrt(np.mean(exact[0] ** 2))


@pytest.mark.parametrize('low, high', [
    (-1.0, 3.0), (0.5, 2.0), (-4.0, -1.0), (0.0, 0.0), (-1e-9, 1e-9), (-1e-13, 0.0), (0.0, 1e-310), (-1e-321, 0.0)])
def test_bytes_hold_the_range_and_zero(low, high):
    scale = scale_of(low, high)
    assert 0 <= scale.zero <= 255 and scale.scale > 0
    ends = [(byte - scale.zero) * scale.scale for byte in (0, 255)]
    assert ends[0] <= min(low, 0) + 0.5 * scale.scale and ends[1] >= max(high, 0) - 0.5 * scale.scale


def test_ranges_as_far_apart_as_they_may_be_make_attributes_that_operators_take():
    largest, smallest = 1.5 * LARGEST / 255, SMALLEST / 255
    matches = mx.nd.DFFInt8Correlation(*[mx.nd.ones((1, 2, 2, 4), dtype='uint8')] * 2, max_displacement=1, in_zero=0,
                                       zero=0, slope=1, factor=repr((2 * largest) ** 2 / smallest))
    assert set(matches.asnumpy().ravel()) == {0, 255}
    assert (mx.nd.DFFInt8Quantise(mx.nd.ones((1, 4, 1, 1)), begin=0, count=4, zero=0,
                                  scale=repr(1 / smallest)).asnumpy() == 255).all()
