"""Which layers native operators compute: measured once a processor, kept beside the parameters, else by the rule."""
import json
import logging
import os
import threading
import time

import mxnet as mx
import numpy as np
import pytest

from lib.graph import layer_times, native_layers
from lib.graph.graph import Graph
from lib.graph.inference_graph import for_inference
from lib.precision import layer_choice, record as records
from lib.inference.detector import VideoDetector
from lib.precision.layer_choice import MeasuredChoice, choice_for
from lib.operator_cxx import loader
from lib.symbols.registry import get_symbol_instance
from tests.helpers import symbol_tools, tiny

@pytest.fixture(autouse=True)
def winograd_is_tried(monkeypatch):
    """In small layers, too."""
    monkeypatch.setattr(native_layers, 'HOPELESS', float('inf'))


pytestmark = pytest.mark.skipif(not loader.load(), reason='the native operators are not built (sh init.sh builds them)')
SHAPE = (1, 4, 9, 11)


def network():
    """Two convolutions and a deconvolution: by the rule, so small, the deconvolution alone is native."""
    value = mx.sym.Variable('data')
    for name in ('conv_a', 'conv_b'):
        value = mx.sym.Convolution(value, num_filter=8, kernel=(3, 3), pad=(1, 1), name=name)
        value = mx.sym.LeakyReLU(value, slope=0.1, name=name + '_relu')
    return mx.sym.Deconvolution(value, num_filter=8, kernel=(4, 4), stride=(2, 2), pad=(1, 1), no_bias=True, name='up')


def parameters():
    rng = np.random.RandomState(0)
    symbol = network()
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(data=SHAPE)[0]))
    return {name: rng.randn(*shape).astype(np.float32) for name, shape in shapes.items() if name != 'data'}


def operators(choose):
    """(operators of the rewritten network that are convolutions of any kind, its output)."""
    symbol, args, _ = for_inference(network(), {'data': SHAPE}, parameters(), {}, choose=choose)
    data = {'data': np.random.RandomState(1).randn(*SHAPE)}
    output = list(symbol_tools.run(symbol, data, args, {})[0].values())[0]
    return [node.op for node in Graph(symbol).nodes() if 'onv' in node.op or node.op == 'DFFWinograd'], output


@pytest.fixture
def measured(monkeypatch):
    """Names of the layers that were measured; {operator: ms in each way} says what is found."""
    found, times = [], {'Convolution': (2.0, 1.0), 'Deconvolution': (1.0, 2.0, 2.0)}      # onednn, winograd, products

    def milliseconds(layer):
        found.append(layer_choice.name_of(layer))
        return dict(zip(native_layers.WAYS, times[layer.node.op]))
    monkeypatch.setattr(layer_choice, 'milliseconds', milliseconds)
    monkeypatch.setattr(layer_choice, 'SMALLEST', 0)
    return found, times


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'm.speed.json'


def test_the_faster_one_is_used_and_kept(path, measured, caplog):
    caplog.set_level(logging.INFO)
    plain, expected = operators(native_layers.by_rule)
    assert plain == ['Convolution', 'Convolution', 'DFFDeconvolution']
    first, output = operators(MeasuredChoice(str(path)))
    assert first == ['DFFWinograd', 'DFFWinograd', 'Deconvolution']
    assert symbol_tools.relative_difference(output, expected) < 1e-5
    assert caplog.text.count('3 layers measured in') == 1
    assert 'kept in %s: 3 of them are computed otherwise than by the rule' % path in caplog.text

    assert len(measured[0]) == 3
    second, again = operators(MeasuredChoice(str(path)))
    assert len(measured[0]) == 3 and second == first
    np.testing.assert_array_equal(output, again)


def test_a_deconvolution_by_winograd_computes_the_same(path, measured):
    _, expected = operators(native_layers.by_rule)
    measured[1].update(Deconvolution=(2.0, 1.0, 2.0))
    found, output = operators(MeasuredChoice(str(path)))
    assert found == ['DFFWinograd'] * 3 and output.shape == expected.shape
    assert symbol_tools.relative_difference(output, expected) < 1e-5


def test_layers_of_equal_shape_and_settings_are_measured_once(path, measured):
    layer = mx.sym.Variable('data')
    for number in range(3):
        layer = mx.sym.Convolution(layer, num_filter=4, kernel=(3, 3), pad=(1, 1), name='conv%d' % number)
    shapes = dict(zip(layer.list_arguments(), layer.infer_shape(data=SHAPE)[0]))
    args = {name: np.ones(shape, np.float32) for name, shape in shapes.items() if name != 'data'}
    symbol, _, _ = for_inference(layer, {'data': SHAPE}, args, {}, choose=MeasuredChoice(str(path)))
    settings = 'dilate 1x1, kernel 3x3, num_filter 8, slope 1.0, stride 1x1'      # filters widened
    assert measured[0] == ['Convolution of 1x%dx9x11: %s' % (width, settings) for width in (4, 8)]
    assert sum(node.op == 'DFFWinograd' for node in Graph(symbol).nodes()) == 3


def test_the_rules_choice_stays_where_the_other_is_hardly_faster(path, measured):
    measured[1].update(Convolution=(1.04, 1.0), Deconvolution=(1.0, 1.01, 1.04))
    assert operators(MeasuredChoice(str(path)))[0] == ['Convolution', 'Convolution', 'DFFDeconvolution']


def test_what_cannot_be_faster_is_not_measured(path, measured, monkeypatch):
    monkeypatch.setattr(native_layers, 'HOPELESS', 1.5)
    monkeypatch.setitem(measured[1], 'Deconvolution', (1.0, 2.0))
    monkeypatch.setattr(native_layers, 'WAYS', ('onednn', 'products'))
    assert operators(MeasuredChoice(str(path)))[0] == ['Convolution', 'Convolution', 'Deconvolution']
    assert [name.partition(' ')[0] for name in measured[0]] == ['Deconvolution']


def test_small_layers_follow_the_rule_and_leave_no_file(path, measured, monkeypatch):
    monkeypatch.setattr(layer_choice, 'SMALLEST', 2e7)
    assert operators(MeasuredChoice(str(path)))[0] == ['Convolution', 'Convolution', 'DFFDeconvolution']
    assert measured[0] == [] and not path.exists()


def test_parameters_of_no_file_follow_the_rule():
    assert choice_for('the parameters given') is native_layers.by_rule
    assert choice_for('') is native_layers.by_rule


def test_all_epochs_of_a_prefix_share_a_record(tmp_path, measured):
    for epoch in ('0001', '0012', '12345', '0003-000500', 'best'):
        operators(choice_for(str(tmp_path / ('m-%s.params' % epoch))))
    assert len(measured[0]) == 3 and os.listdir(str(tmp_path)) == ['m.speed.json']


def test_the_record_of_another_processor_is_kept_but_not_used(path, measured, monkeypatch):
    monkeypatch.setattr(layer_choice, 'processor_kind', lambda: 'other')
    operators(MeasuredChoice(str(path)))
    monkeypatch.setattr(layer_choice, 'processor_kind', lambda: 'this')
    measured[1].update(Convolution=(1.0, 2.0), Deconvolution=(2.0, 2.0, 1.0))
    assert operators(MeasuredChoice(str(path)))[0] == ['Convolution', 'Convolution', 'DFFDeconvolution']
    assert len(measured[0]) == 6 and set(json.loads(path.read_text())['processors']) == {'this', 'other'}
    monkeypatch.setattr(layer_choice, 'processor_kind', lambda: 'other')
    assert operators(MeasuredChoice(str(path)))[0] == ['DFFWinograd', 'DFFWinograd', 'Deconvolution']
    assert len(measured[0]) == 6


def test_other_versions_of_the_operators_are_measured_anew(path, measured, monkeypatch):
    operators(MeasuredChoice(str(path)))
    monkeypatch.setattr(layer_choice.sources, 'digest', lambda: 'other sources')
    operators(MeasuredChoice(str(path)))
    assert len(measured[0]) == 6
    entry, = json.loads(path.read_text())['processors'].values()
    assert entry['made_with'] == 'MXNet %s, operators other sources' % mx.__version__ and len(entry['layers']) == 3


def rewrite(path, change, sealed):
    """Change the record by change(its tree, the times of its first layer); sealed: with a checksum that fits."""
    tree = json.loads(path.read_text())
    entry, = tree['processors'].values()
    change(tree, entry, next(iter(entry['layers'].values())))
    if sealed:
        tree['sha256'] = records._checksum(tree)
    path.write_text(json.dumps(tree))


WRONG = {
    'text': lambda tree, entry, times: times.update(winograd='1'),
    'zero': lambda tree, entry, times: times.update(winograd=0),
    'negative': lambda tree, entry, times: times.update(winograd=-1.0),
    'a boolean': lambda tree, entry, times: times.update(winograd=True),
    'not a number': lambda tree, entry, times: times.update(winograd=float('nan')),
    'infinite': lambda tree, entry, times: times.update(winograd=float('inf')),
    'one time': lambda tree, entry, times: times.pop('winograd'),
    'another algorithm': lambda tree, entry, times: times.update(magic=1.0),
    'no layers': lambda tree, entry, times: entry.pop('layers'),
    'layers in a list': lambda tree, entry, times: entry.update(layers=[]),
    'versions': lambda tree, entry, times: entry.update(made_with=1),
    'processors in a list': lambda tree, entry, times: tree.update(processors=[]),
    'no processors': lambda tree, entry, times: tree.pop('processors'),
}


@pytest.mark.parametrize('form', sorted(WRONG))
def test_a_record_of_wrong_values_is_not_used(path, measured, form, caplog):
    first = operators(MeasuredChoice(str(path)))[0]
    rewrite(path, WRONG[form], True)
    assert operators(MeasuredChoice(str(path)))[0] == first and len(measured[0]) == 6
    assert caplog.text.count('%s holds values of a kind that is not expected: layers are measured again' % path) == 1
    caplog.clear()
    operators(MeasuredChoice(str(path)))
    assert not caplog.records and len(measured[0]) == 6


@pytest.mark.parametrize('content', [b'', b'[]', b'{', b'\xff\xfe', b'{"a": ' + b'[' * 100000])
def test_what_is_no_record_is_made_anew(path, measured, content, caplog):
    path.write_bytes(content)
    operators(MeasuredChoice(str(path)))
    assert 'is damaged, was changed, or is of an older version: layers are measured again' in caplog.text
    assert len(measured[0]) == 3 and json.loads(path.read_text())['processors']


def test_a_changed_time_is_noticed(path, measured, caplog):
    operators(MeasuredChoice(str(path)))
    rewrite(path, lambda tree, entry, times: times.update(winograd=9.0), False)
    operators(MeasuredChoice(str(path)))
    assert 'was changed' in caplog.text and len(measured[0]) == 6


@pytest.mark.parametrize('refused', ['write_json', 'access', 'flock', 'missing'])
def test_where_nothing_can_be_written_the_rule_decides(path, measured, monkeypatch, refused, caplog):
    def refuse(*_):
        raise PermissionError(13, 'Permission denied')
    if refused == 'write_json':
        monkeypatch.setattr(records, 'write_json', refuse)      # root may write everywhere
    elif refused == 'access':
        monkeypatch.setattr(layer_choice.os, 'access', lambda *_: False)
    elif refused == 'flock':
        monkeypatch.setattr(layer_choice.fcntl, 'flock', refuse)
    else:
        path = path.parent / 'missing' / 'm.speed.json'
    choose = MeasuredChoice(str(path))
    for _ in range(2):
        assert operators(choose)[0] == ['Convolution', 'Convolution', 'DFFDeconvolution']
    assert [each.getMessage() for each in caplog.records] == [
        'cannot write %s (%s): the rule decides which layers native operators compute'
        % (path, 'No such file or directory' if refused == 'missing' else 'Permission denied')]
    assert len(measured[0]) == (3 if refused == 'write_json' else 0)


def test_a_process_that_keeps_the_lock_is_not_waited_for_for_ever(path, measured, monkeypatch, caplog):
    monkeypatch.setattr(layer_choice, 'PATIENCE', 0.2)
    with layer_choice.SpeedRecord(str(path)).locked():
        assert operators(MeasuredChoice(str(path)))[0] == ['Convolution', 'Convolution', 'DFFDeconvolution']
    assert caplog.messages == ['cannot write %s (another process has had its folder for 0 s): the rule decides which '
                               'layers native operators compute' % path] and not measured[0]


def test_of_those_that_start_together_one_measures(path, measured, monkeypatch):
    quick = layer_choice.milliseconds
    monkeypatch.setattr(layer_choice, 'milliseconds', lambda layer: time.sleep(0.05) or quick(layer))
    layers = []
    for_inference(network(), {'data': SHAPE}, parameters(), {},
                  choose=lambda found: layers.extend(found) or ['onednn'] * len(found))
    chosen = []
    threads = [threading.Thread(target=lambda: chosen.append(MeasuredChoice(str(path))(layers))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert chosen == [['winograd', 'winograd', 'onednn']] * 4 and len(measured[0]) == 3


@pytest.mark.parametrize('node', [
    dict(op='Convolution', kernel=(3, 3), pad=(1, 1)), dict(op='Convolution', kernel=(3, 3), pad=(2, 2), dilate=(2, 2)),
    dict(op='Convolution', kernel=(5, 5), pad=(2, 2), stride=(2, 2), no_bias=True),
    dict(op='Deconvolution', kernel=(4, 4), pad=(1, 1), stride=(2, 2))])
@pytest.mark.parametrize('largest', [1e10, 1e5])
@pytest.mark.parametrize('slope', [None, 0.1])
def test_what_is_measured_is_the_layer_in_each_way(node, largest, slope, monkeypatch):
    monkeypatch.setattr(layer_times, 'LARGEST', largest)
    settings = dict(node, num_filter=16, name='layer')
    symbol = getattr(mx.sym, settings.pop('op'))(mx.sym.Variable('data'), **settings)
    if slope is not None:
        symbol = mx.sym.LeakyReLU(symbol, slope=slope)
    layers = []
    shape = (2, 24, 13, 10)
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(data=shape)[0]))
    args = {name: np.ones(shape, np.float32) for name, shape in shapes.items() if name != 'data'}
    for_inference(symbol, {'data': shape}, args, {}, choose=lambda found: layers.extend(found) or ['onednn'])
    layer, = layers
    assert layer.slope == (1.0 if slope is None else slope)
    times = layer_times.milliseconds(layer)
    assert set(times) == set(layer.ways) == set(native_layers.WAYS[:2 if layer.node.op == 'Convolution' else 3])
    assert all(0 < each < 1e4 for each in times.values())
    for way in layer.ways:
        executor = layer_times._bound(layer, way)
        names = [each.op for each in Graph(executor._symbol).nodes() if each.op != 'null']
        assert names[1] == (layer.node.op if way == 'onednn' else layer.operator(way)[0])
        channels = 24 if largest == 1e10 else max(1, int(24e5 / layer.multiply_adds()))
        assert executor.arg_dict['data'].shape[1] == channels
        assert executor.forward()[0].shape == layer.out_shape


def test_the_same_command_twice_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(layer_choice, 'SMALLEST', 0)
    cfg, found = tiny.tiny_config('dff_rfcn'), []
    for _ in range(2):
        detector = VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu(),
                                 source=str(tmp_path / 'm-0001.params'))
        found.append([result.detections for result in detector.detect(tiny.clip(4))])
        monkeypatch.setattr(layer_choice, 'milliseconds', None)      # what is measured already
    assert len(found[0]) == 4
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)
