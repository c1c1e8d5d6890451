"""What int8 is calibrated by: the values that whole networks at once gave, in a part of their memory."""
import ctypes
import gc
import weakref

import mxnet as mx
import numpy as np
import pytest

from lib.graph import steps as step_by_step
from lib.graph.graph import Graph
from lib.graph.quantised_graph import Ranges, _round_tensor, _rounded_filters, fused, layer_errors
from lib.graph.steps import steps
from lib.precision import precision
from lib.inference.detector import VideoDetector
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny


class EveryTensor:
    """Ranges as they were measured at first: by MXNet, of every tensor that it shows, parameters too."""

    def __init__(self):
        self.found = {}

    def __call__(self, name, handle):
        name = name.decode() if isinstance(name, bytes) else name
        array = mx.nd.NDArray(ctypes.cast(handle, mx.base.NDArrayHandle), writable=False)
        low, high = float(array.min().asscalar()), float(array.max().asscalar())
        before = self.found.get(name, (low, high))
        self.found[name] = (min(low, before[0]), max(high, before[1]))


def errors_at_once(symbol, arguments, inputs):
    """layer_errors as one graph with an output for each convolution, as it was at first."""
    inner, errors, names, rounded = symbol.get_internals(), [], [], {}
    for node in Graph(symbol).nodes():
        if node.op != 'Convolution':
            continue
        source, exact = (inner[name if name in inner.list_outputs() else name + '_output']
                         for name in (node.input(0).name, node.name))
        weight = node.input(1).name + '_int8'
        rounded[weight] = mx.nd.array(_rounded_filters(arguments[node.input(1).name].asnumpy(), (1, 2, 3)))
        settings = {key: node.get(key)
                    for key in ('num_filter', 'kernel', 'stride', 'dilate', 'pad', 'num_group', 'no_bias')
                    if node.get(key) is not None}
        operands = [_round_tensor(source), mx.sym.Variable(weight)] + [inner[each.name] for each, _ in node.inputs[2:]]
        difference = mx.sym.Convolution(*operands, name=node.name + '_int8', **settings) - exact
        errors.append(mx.sym.sqrt(mx.sym.mean(mx.sym.square(difference)) / (mx.sym.mean(mx.sym.square(exact)) + 1e-20)))
        names.append(node.name)
    network = mx.sym.Concat(*errors, dim=0)
    values = dict(arguments, **rounded, **inputs)
    executor = network.bind(mx.cpu(), {name: values[name] for name in network.list_arguments()}, grad_req='null')
    return dict(zip(names, executor.forward()[0].asnumpy().astype(float).tolist()))


def dff_network(kind):
    """(symbol, {input: shape}, parameters) of a tiny DFF R-FCN."""
    cfg = tiny.tiny_config('dff_rfcn')
    symbol = get_symbol_instance(cfg).test_networks(cfg)[kind]
    shapes = {'data': (1, 3, 64, 96), 'im_info': (1, 3), 'data_key': (1, 3, 64, 96), 'feat_key': (1, 32, 4, 6)}
    return symbol, {name: shapes[name] for name in shapes if name in symbol.list_arguments()}, tiny.tiny_params(cfg)


def drawn(shapes, seed):
    """{input: NDArray} of random images and features."""
    rng = np.random.RandomState(seed)
    values = {name: mx.nd.array(30 * rng.randn(*shape)) for name, shape in shapes.items()}
    return dict(values, im_info=mx.nd.array([[64, 96, 1]]))


@pytest.mark.parametrize('kind', ['key', 'current'])
def test_ranges_and_errors_are_those_of_the_whole_network(kind):
    symbol, shapes, params = dff_network(kind)
    network, arguments, plain = fused(symbol, shapes, *params, 'test')
    found = []
    for monitor in (EveryTensor(), Ranges(arguments)):
        executor = network.bind(mx.cpu(), dict(arguments, **drawn(shapes, 0)), grad_req='null')
        executor.set_monitor_callback(monitor, monitor_all=True)
        for seed in range(3):
            executor.forward(is_train=False, **drawn(shapes, seed))
            mx.nd.waitall()
        # A pooling layer's workspace is memory that inference never writes: what lies there may be of any size.
        found.append({name: ends for name, ends in monitor.found.items() if not name.endswith('_workspace')})
    assert found[0] == found[1] and len(found[0]) > 50
    assert {ends for name, ends in monitor.found.items() if name.endswith('_workspace')} <= {(0.0, 0.0)}
    errors = layer_errors(plain, arguments, drawn(shapes, 0))
    assert 0.001 < errors.pop('rfcn_cls_rfcn_bbox') < 0.05
    assert len(errors) > 10 and list(errors) == list(errors_at_once(plain, arguments, drawn(shapes, 0)))
    assert errors == pytest.approx(errors_at_once(plain, arguments, drawn(shapes, 0)), rel=1e-5)


def chain(layers):
    """(symbol, parameters) of 1x1 convolutions of 4 channels, one after the other."""
    value = mx.sym.Variable('data')
    for number in range(layers):
        value = mx.sym.Convolution(value, num_filter=4, kernel=(1, 1), name='conv%d' % number)
    names = ['conv%d' % number for number in range(layers)]
    return value, {name + ending: mx.nd.ones(shape) / 4 for name in names
                   for ending, shape in (('_weight', (4, 4, 1, 1)), ('_bias', (4,)))}


class Outputs(list):
    """A list that weak references can name."""


def test_steps_let_go_of_what_nothing_reads_any_more(monkeypatch):
    symbol, arguments = chain(12)
    skipped = mx.sym.broadcast_add(symbol, symbol.get_internals()['conv2_output'], name='sum')
    expected = skipped.bind(mx.cpu(), dict(arguments, data=mx.nd.ones((1, 4, 5, 5))), grad_req='null').forward()[0]
    alive, most, computed = [], 0, step_by_step._computed
    monkeypatch.setattr(step_by_step, '_computed', lambda *args: Outputs(computed(*args)))
    for _, operands, outputs in steps(skipped, dict(arguments, data=mx.nd.ones((1, 4, 5, 5)))):
        alive.append(weakref.ref(outputs))
        last = outputs[0].asnumpy()
        del operands, outputs
        most = max(most, sum(ref() is not None for ref in alive))
    # Its own, and conv2's, which the sum reads at the end.
    assert len(alive) == 13 and most == 2
    np.testing.assert_array_equal(last, expected.asnumpy())


def test_the_networks_that_were_measured_are_gone_before_others_are_made(tmp_path, monkeypatch):
    cfg = tiny.tiny_config('dff_rfcn', TEST__PRECISION='int8')
    source = str(tmp_path / 'a.params')
    detector = VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu(), source=source)
    pools, seen = [weakref.ref(pool) for pool in detector.networks.pools.values()], []

    def errors(*arguments):
        gc.collect()
        seen.append([pool() for pool in pools])
        return layer_errors(*arguments)
    monkeypatch.setattr(precision, 'layer_errors', errors)
    monkeypatch.setattr(precision, '_milliseconds', lambda networks, shapes: [2.0, 1.0])
    list(detector.detect(tiny.clip(4)))
    assert seen == [[None, None]] * 2 and set(detector.networks.pools) == {'key', 'current'}


def test_no_float32_network_is_made_where_a_record_says_that_int8_is_faster(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, '_milliseconds', lambda networks, shapes: [2.0, 1.0])
    cfg = tiny.tiny_config('dff_rfcn', TEST__PRECISION='int8')

    def detector():
        return VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu(),
                             source=str(tmp_path / 'a.params'))
    list(detector().detect(tiny.clip(4)))
    monkeypatch.setattr(precision, 'for_inference', None)
    assert detector().arithmetic() == {'key': 'int8', 'current': 'int8'}
