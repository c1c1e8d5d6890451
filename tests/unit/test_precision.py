"""int8: calibrated once, recorded beside the parameters, near to float32,
given up where it is slower or too inexact."""
import json
import logging

import mxnet as mx
import numpy as np
import pytest

from dff.errors import ConfigError
from lib.graph.graph import Graph
from lib.graph.quantised_graph import Ranges, fused, layer_errors, quantised
from lib.precision import precision
from lib.inference.detector import VideoDetector
from lib.operator_cxx import loader
from lib.symbols.registry import get_symbol_instance
from tests.helpers import symbol_tools, tiny


def detector(source, seed=0, **changes):
    cfg = tiny.tiny_config('dff_rfcn', TEST__PRECISION='int8', **changes)
    return VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg, seed), mx.cpu(), source=str(source))


@pytest.fixture
def int8_is_faster(monkeypatch):
    monkeypatch.setattr(precision, '_milliseconds', lambda networks, shapes: [2.0, 1.0, 0.5][:len(networks)])


def read(path):
    return json.loads(path.read_text())


def test_calibrated_once_and_recorded(tmp_path, int8_is_faster, monkeypatch, caplog):
    source, record = tmp_path / 'model-0001.params', tmp_path / 'model-0001.int8.json'
    first = list(detector(source).detect(tiny.clip(7)))
    assert len(first) == 7 and [result.index for result in first] == list(range(7))
    networks = read(record)['networks'].values()
    assert sorted(tuple(network['inputs']) for network in networks) == [
        ('data', 'data_key', 'feat_key', 'im_info'), ('data', 'im_info')]
    assert all(len(network['errors']) > 10 and network['ranges'] and network['milliseconds'] for network in networks)
    assert 'ranges of the network' in caplog.text

    caplog.clear()
    before = record.read_bytes()
    monkeypatch.setattr(precision, 'layer_errors', None)      # would be called to calibrate
    second = list(detector(source).detect(tiny.clip(7)))
    assert record.read_bytes() == before and 'ranges' not in caplog.text
    for a, b in zip(first, second):
        np.testing.assert_allclose(a.detections, b.detections, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize('native', [True, False])
@pytest.mark.parametrize('changes', [
    {}, tiny.STRIDE_8, {'network__FLOW_PASSES': 2}, dict(tiny.STRIDE_8, network__FLOW_INPUT_SCALE=0.25)])
def test_int8_networks_are_bound_and_are_near_to_float32(tmp_path, int8_is_faster, monkeypatch, changes, native):
    if native and not loader.load():
        pytest.skip('the native library is not built')
    monkeypatch.setattr(precision, 'is_fast', lambda: native)
    int8 = detector(tmp_path / 'a.params', **changes)
    list(int8.detect(tiny.clip(6)))
    assert int8.arithmetic() == {'key': 'int8', 'current': 'int8'}
    cfg = tiny.tiny_config('dff_rfcn', **changes)
    float32 = VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu())
    assert float32.arithmetic() == {'key': 'float32', 'current': 'float32'}
    key = float32.networks.pools['key'].last_inputs()
    noise = 30 * np.random.RandomState(0).randn(*key['data'].shape)
    for name in key:
        key[name] = mx.nd.array(noise if name == 'data' else [[64, 96, 1]])
    a, b = (each.networks.pools['key'].forward(key).outputs[0].asnumpy() for each in (float32, int8))
    assert 0 < abs(a - b).mean() < 0.1 * abs(a).mean()


@pytest.mark.parametrize('computed', [True, False])
def test_what_int8_cannot_compute_stays_float32(computed, caplog):
    weight = mx.sym.Variable('weight', shape=(8, 3, 3, 3)) * 2 if computed else None
    body = mx.sym.Convolution(mx.sym.Variable('data'), weight, num_filter=8, kernel=(3, 3), no_bias=True, name='conv')
    if not computed:       # the convolution is read twice
        body = mx.sym.BatchNorm(body, name='norm') + body
    shapes, rng = {'data': (1, 3, 8, 8)}, np.random.RandomState(0)
    args = {name: rng.rand(*shape).astype(np.float32)
            for name, shape in zip(body.list_arguments(), body.infer_shape(**shapes)[0]) if name != 'data'}
    auxs = {name: np.ones(8, np.float32) for name in body.list_auxiliary_states()}
    rewritten = precision.Int8({}, 'none').rewrite(body, shapes, mx.cpu(), args, auxs, 'none')
    assert rewritten.monitor is None and precision.arithmetic(rewritten.symbol) == 'float32'
    assert 'int8: the network with inputs data has a batch norm that is in no convolution' in caplog.text


@pytest.mark.skipif(not loader.load(), reason='the native library is not built')
@pytest.mark.parametrize('times, mark', [([3.0, 1.0, 2.0], 'quantize'), ([3.0, 2.0, 1.0], 'DFFInt8')])
def test_the_faster_kind_of_int8_layers_serves(tmp_path, monkeypatch, times, mark):
    monkeypatch.setattr(precision, 'is_fast', lambda: True)
    monkeypatch.setattr(precision, '_milliseconds', lambda networks, shapes: times)
    source = tmp_path / 'a.params'
    networks = detector(source)
    list(networks.detect(tiny.clip(4)))
    for pool in networks.networks.pools.values():
        marks = {name for node in Graph(pool.symbol).nodes() for name in ('quantize', 'DFFInt8') if name in node.op}
        assert marks == {mark}
    recorded = [each['milliseconds'] for each in read(tmp_path / 'a.int8.json')['networks'].values()]
    assert [list(machine.values()) for machine in recorded] == [[dict(zip(('float32', 'int8', 'native'), times))]] * 2


@pytest.mark.slow
def test_other_values_are_refused(tmp_path):
    cfg = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=1, length=4)
    status, _, err = tiny.run_script('experiments/dff_rfcn/dff_rfcn_test.py', '--cfg', cfg,
                                     '--set', 'TEST.PRECISION=float16')
    assert status == 2 and "TEST.PRECISION must be float32 or int8, found 'float16'" in err


@pytest.mark.slow
def test_a_record_of_other_parameters_is_made_anew(tmp_path, int8_is_faster, caplog):
    source = tmp_path / 'model-0001.params'
    list(detector(source).detect(tiny.clip(4)))
    before = read(tmp_path / 'model-0001.int8.json')
    list(detector(source, seed=1).detect(tiny.clip(4)))
    after = read(tmp_path / 'model-0001.int8.json')
    assert 'was made for other parameters' in caplog.text
    assert before['parameters'] != after['parameters'] and set(before['networks']) == set(after['networks'])


def test_a_network_that_is_slower_in_int8_stays_float32(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(precision, '_milliseconds', lambda networks, shapes: [1.0, 2.0, 3.0][:len(networks)])
    slow = detector(tmp_path / 'a.params')
    list(slow.detect(tiny.clip(4)))
    assert 'int8 is slower than float32 on this processor (2.0 and 1.0 ms' in caplog.text
    assert slow.arithmetic()['key'] == 'float32'


def test_times_of_other_operators_do_not_count(tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr(precision, '_milliseconds',
                        lambda networks, shapes: measured.append(1) or [3.0, 2.0, 1.0][:len(networks)])
    for digest, count in (('a' * 64, 2), ('a' * 64, 2), ('b' * 64, 4)):
        monkeypatch.setattr(precision.sources, 'digest', lambda digest=digest: digest)
        list(detector(tmp_path / 'a.params').detect(tiny.clip(4)))
        assert len(measured) == count
        names = [list(network['milliseconds']) for network in read(tmp_path / 'a.int8.json')['networks'].values()]
        assert all(len(each) == 1 and each[0].endswith('operators ' + digest[:16]) for each in names)


def test_layers_with_large_errors_stay_float(tmp_path, int8_is_faster, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    real = precision.layer_errors
    monkeypatch.setattr(precision, 'layer_errors', lambda *args: dict(real(*args), rfcn_cls=0.5))
    list(detector(tmp_path / 'a.params').detect(tiny.clip(4)))
    kept = [network['float_layers'] for network in read(tmp_path / 'a.int8.json')['networks'].values()]
    assert kept == [{'rfcn_cls': 'error 0.500 of its output'}] * 2
    assert 'layers stay float: rfcn_cls' in caplog.text


def test_a_clip_of_one_frame_leaves_the_other_network_in_float32(tmp_path, int8_is_faster):
    one = detector(tmp_path / 'a.params')
    assert len(list(one.detect(tiny.clip(1)))) == 1
    assert one.arithmetic() == {'key': 'int8', 'current': 'float32'}
    assert len(list(one.detect(tiny.clip(3)))) == 3


def test_batches_have_no_int8():
    cfg = tiny.tiny_config('dff_rfcn', TEST__PRECISION='int8')
    with pytest.raises(ConfigError, match='the batch network runs in float32: TEST.PRECISION is int8'):
        VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu(), batch=True)


def test_errors_of_layers_are_those_of_int8_convolutions():
    data = mx.sym.Variable('data')
    symbol = mx.sym.Convolution(mx.sym.Activation(data, act_type='relu'), num_filter=8, kernel=(3, 3), name='conv')
    rng = np.random.RandomState(0)
    args = {'conv_weight': mx.nd.array(rng.randn(8, 8, 3, 3)), 'conv_bias': mx.nd.zeros(8)}
    values = {'data': mx.nd.array(rng.randn(1, 8, 12, 12))}
    network, arguments, plain = fused(symbol, {'data': (1, 8, 12, 12)}, args, {}, 'test')
    predicted = layer_errors(plain, arguments, values)['conv']
    ranges = Ranges()
    executor = network.bind(mx.cpu(), dict(arguments, **values), grad_req='null')
    executor.set_monitor_callback(ranges, monitor_all=True)
    exact = executor.forward()[0].asnumpy()
    int8, params = quantised(network, arguments, ranges.found, [])
    out = symbol_tools.run(int8, {'data': values['data'].asnumpy()}, params)[0].popitem()[1]
    measured = np.sqrt(np.mean((out - exact) ** 2) / np.mean(exact ** 2))
    assert 0.2 * predicted < measured < 5 * predicted < 0.1


def test_a_concat_of_images_stays_float_in_silence(capfd):
    data = mx.sym.Variable('data')
    convolved = [mx.sym.Convolution(data, num_filter=8, kernel=(1, 1), name=name) for name in 'ab']
    symbol = mx.sym.Concat(*convolved, dim=0)
    shapes = zip(symbol.list_arguments(), symbol.infer_shape(data=(1, 8, 6, 6))[0])
    rng = np.random.RandomState(0)
    args = {name: mx.nd.array(rng.randn(*shape)) for name, shape in shapes if name != 'data'}
    values = rng.randn(1, 8, 6, 6).astype(np.float32)
    exact = symbol_tools.run(symbol, {'data': values}, args)[0].popitem()[1]
    network, arguments, _ = fused(symbol, {'data': values.shape}, args, {}, 'test')
    ranges = Ranges()
    executor = network.bind(mx.cpu(), dict(arguments, data=mx.nd.array(values)), grad_req='null')
    executor.set_monitor_callback(ranges, monitor_all=True)
    executor.forward()[0].wait_to_read()
    int8, params = quantised(network, arguments, ranges.found, [])
    out = symbol_tools.run(int8, {'data': values}, params)[0].popitem()[1]
    assert out.shape == (2, 8, 6, 6) and abs(out - exact).max() < 0.03 * abs(exact).max()
    assert capfd.readouterr().err == ''


def test_values_beyond_those_of_the_calibration_are_not_cut_off():
    symbol = mx.sym.Convolution(mx.sym.Activation(mx.sym.Variable('data'), act_type='relu'), num_filter=8,
                                kernel=(3, 3), name='conv')
    rng = np.random.RandomState(0)
    args = {'conv_weight': mx.nd.array(rng.randn(8, 8, 3, 3)), 'conv_bias': mx.nd.zeros(8)}
    values = rng.randn(1, 8, 12, 12).astype(np.float32)
    network, arguments, _ = fused(symbol, {'data': values.shape}, args, {}, 'test')
    ranges = Ranges()
    executor = network.bind(mx.cpu(), dict(arguments, data=mx.nd.array(values)), grad_req='null')
    executor.set_monitor_callback(ranges, monitor_all=True)
    exact = 1.4 * executor.forward()[0].asnumpy()
    int8, params = quantised(network, arguments, ranges.found, [])
    out = symbol_tools.run(int8, {'data': 1.4 * values}, params)[0].popitem()[1]
    assert abs(out - exact).max() < 0.03 * abs(exact).max()


@pytest.mark.parametrize('native', [True, False])
@pytest.mark.parametrize('layer, factor, kind', [
    ('feat_conv_3x3_weight', 1e12, 'key'), ('Convolution5_weight', float('nan'), 'current')])
def test_values_that_no_byte_can_stand_for_stay_float32(tmp_path, int8_is_faster, monkeypatch, caplog, layer, factor,
                                                        kind, native):
    """As after a training that diverged."""
    monkeypatch.setattr(precision, 'is_fast', lambda: native and loader.load())
    tiny_params = tiny.tiny_params

    def diverged(cfg, seed):
        arg_params, aux_params = tiny_params(cfg, seed)
        arg_params[layer] *= factor
        return arg_params, aux_params
    monkeypatch.setattr(tiny, 'tiny_params', diverged)
    int8 = detector(tmp_path / 'a.params')
    assert len(list(int8.detect(tiny.clip(7)))) == 7
    assert int8.arithmetic()[kind] == 'float32'
    assert 'and bytes are for what is within 1e+09: the network with inputs data, ' in caplog.text
    assert 'NaN' not in (tmp_path / 'a.int8.json').read_text()


@pytest.mark.skipif(not loader.load(), reason='the native library is not built')
@pytest.mark.parametrize('layer', ['feat_conv_3x3_weight', 'conv1_weight'])
def test_layers_that_make_almost_nothing_are_in_int8(tmp_path, int8_is_faster, monkeypatch, layer):
    """As those whose weights decayed: scales of such bytes are far from those of others."""
    monkeypatch.setattr(precision, 'is_fast', lambda: True)
    tiny_params = tiny.tiny_params

    def decayed(cfg, seed):
        arg_params, aux_params = tiny_params(cfg, seed)
        arg_params[layer] *= 1e-20
        return arg_params, aux_params
    monkeypatch.setattr(tiny, 'tiny_params', decayed)
    int8 = detector(tmp_path / 'a.params')
    assert len(list(int8.detect(tiny.clip(7)))) == 7 and int8.arithmetic() == {'key': 'int8', 'current': 'int8'}
