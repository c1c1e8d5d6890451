"""The record of an int8 calibration: tampered with, old, or where nothing can be written."""
import json
import os
import shutil

import mxnet as mx
import numpy as np
import pytest

from lib.precision import int8_record, precision, record as records
from lib.inference.detector import VideoDetector
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny


def run(source):
    """Detections of a short clip in int8."""
    cfg = tiny.tiny_config('dff_rfcn', TEST__PRECISION='int8')
    detector = VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu(), source=str(source))
    found = list(detector.detect(tiny.clip(4)))
    assert detector.arithmetic() == {'key': 'int8', 'current': 'int8'}
    return found


@pytest.fixture
def int8_is_faster(monkeypatch):
    monkeypatch.setattr(precision, '_milliseconds', lambda networks, shapes: [2.0, 1.0])


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """(path of a record, what was detected with it)"""
    folder = tmp_path_factory.mktemp('int8')
    patch = pytest.MonkeyPatch()
    patch.setattr(precision, '_milliseconds', lambda networks, shapes: [2.0, 1.0])
    found = run(folder / 'm-0001.params')
    patch.undo()
    return folder / 'm-0001.int8.json', found


@pytest.fixture
def record(tmp_path, whole):
    """A copy of the record, for tmp_path/m-0001.params."""
    path = tmp_path / 'm-0001.int8.json'
    shutil.copy(str(whole[0]), str(path))
    return path


def rewrite(path, change, sealed):
    """Change the record at `path` by change(its tree, its networks).

    sealed: with a checksum that fits, as a forger would.
    """
    tree = json.loads(path.read_text())
    change(tree, tree['networks'])
    if sealed:
        tree['sha256'] = records._checksum(tree)
    path.write_text(json.dumps(tree))


def each(networks, name, value):
    for network in networks.values():
        network[name] = value


def data_is(networks, ends):
    for network in networks.values():
        network['ranges']['data'] = ends


def same_networks(one, two):
    """Whether two records hold the same, but for tensors that a network has and does not use, which are not set."""
    one, two = (json.loads(path.read_text())['networks'] for path in (one, two))
    assert one.keys() == two.keys()
    for role in one:
        assert one[role]['errors'] == two[role]['errors'] and one[role]['inputs'] == two[role]['inputs']
        assert one[role]['ranges'].keys() == two[role]['ranges'].keys()
        assert one[role]['ranges']['data'] == two[role]['ranges']['data']


FORMS = {
    'no networks': lambda tree, networks: tree.pop('networks'),
    'networks of another kind': lambda tree, networks: tree.update(networks=[1]),
    'a network of another kind': lambda tree, networks: networks.update({role: None for role in networks}),
    'no ranges': lambda tree, networks: [network.pop('ranges') for network in networks.values()],
    'ranges of text': lambda tree, networks: [each(networks, 'ranges', {'data': ['a', 'b']})],
    'one end': lambda tree, networks: [each(networks, 'ranges', {'data': [1.0]})],
    'ends the wrong way round': lambda tree, networks: data_is(networks, [3.0, -3.0]),
    'a number of 400 digits': lambda tree, networks: data_is(networks, [-1, 10 ** 400]),
    'what no byte can stand for': lambda tree, networks: data_is(networks, [-1, 2e9]),
    'no number': lambda tree, networks: data_is(networks, [float('nan'), 1]),
    'layers as a list': lambda tree, networks: each(networks, 'float_layers', ['conv1']),
    'layers that are none': lambda tree, networks: each(networks, 'float_layers', {'there is none': 'x'}),
    'no inputs': lambda tree, networks: [network.pop('inputs') for network in networks.values()],
    'inputs of numbers': lambda tree, networks: each(networks, 'inputs', [1, 2]),
    'times of text': lambda tree, networks: each(networks, 'milliseconds', {'cpu': 'fast'}),
    'half of the times': lambda tree, networks: each(networks, 'milliseconds', {'x': {'int8': 1}}),
    'errors of text': lambda tree, networks: [network['errors'].update(conv1='small') for network in networks.values()],
    'another headroom': lambda tree, networks: tree.update(headroom=1.0),
    'another version': lambda tree, networks: tree.pop('method'),
}


@pytest.mark.parametrize('form', sorted(FORMS))
@pytest.mark.parametrize('sealed', [False, True], ids=['plain', 'with a checksum'])
def test_a_record_that_was_changed_is_not_used(record, form, sealed, caplog):
    rewrite(record, FORMS[form], sealed)
    method = json.loads(record.read_text())
    method = dict({name: method.get(name) for name in ('frames', 'key_frame_interval', 'mxnet', 'largest_error')},
                  method='smallest and largest value of every tensor', headroom=1.5)
    found = int8_record.Int8Record(str(record), json.loads(record.read_text())['parameters'], method, 0.1)
    assert found.networks == {} and len(caplog.records) == 1
    assert caplog.records[0].getMessage().startswith('%s ' % record) and 'int8 is calibrated again' in caplog.text


@pytest.mark.parametrize('content', [b'', b'[]', b'{', b'\xff\xfe', b'{"networks": ' + b'[' * 100000, b'{"sha256": {}}',
                                     b'{"a": ' + b'[' * 800 + b']' * 800 + b'}'])
def test_what_is_no_record_is_not_used(tmp_path, content, caplog):
    path = tmp_path / 'm.int8.json'
    path.write_bytes(content)
    assert int8_record.Int8Record(str(path), 'digest', {}, 0.1).networks == {}
    assert 'is damaged, was changed, or is of an older version: int8 is calibrated again' in caplog.text


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='there are no pipes')
def test_a_pipe_is_no_record(tmp_path, caplog):
    """Opening it would wait for a writer, for ever."""
    path = tmp_path / 'm.int8.json'
    os.mkfifo(str(path))
    record = int8_record.Int8Record(str(path), 'digest', {}, 0.1)
    record.save()
    record.save()
    assert record.networks == {} and caplog.messages == [
        '%s is damaged, was changed, or is of an older version: int8 is calibrated again' % path,
        'cannot write %s (it is a device or a pipe, no regular file): int8 runs all the same, and is calibrated again '
        'in the next run' % path]


@pytest.mark.slow
@pytest.mark.parametrize('change', [
    lambda tree, networks: [network['ranges'].pop('data') for network in networks.values()],
    lambda tree, networks: [network['errors'].pop(sorted(network['errors'])[0]) for network in networks.values()],
    lambda tree, networks: each(networks, 'inputs', ['others']),
], ids=['a range', 'a layer', 'inputs'])
def test_what_does_not_fit_the_network_is_made_anew(record, whole, change, caplog, int8_is_faster):
    rewrite(record, change, sealed=True)
    detected = run(record.parent / 'm-0001.params')
    assert caplog.text.count('does not fit the network with inputs') == 2
    for a, b in zip(detected, whole[1]):
        np.testing.assert_allclose(a.detections, b.detections, rtol=1e-5, atol=1e-4)
    same_networks(record, whole[0])


@pytest.mark.slow
def test_a_changed_record_is_made_anew_and_written(record, whole, caplog, int8_is_faster):
    rewrite(record, lambda tree, networks: data_is(networks, [-1, 1]), False)
    run(record.parent / 'm-0001.params')
    assert 'was changed, or is of an older version: int8 is calibrated again' in caplog.text
    same_networks(record, whole[0])


def test_where_nothing_can_be_written_int8_runs_without_a_record(tmp_path, monkeypatch, caplog, int8_is_faster):
    def refuse(*_):
        raise PermissionError(13, 'Permission denied')
    monkeypatch.setattr(records, 'write_json', refuse)      # root may write everywhere
    assert len(run(tmp_path / 'm-0001.params')) == 4
    assert caplog.text.count('cannot write %s (Permission denied): int8 runs all the same, and is '
                             'calibrated again in the next run' % (tmp_path / 'm-0001.int8.json')) == 1
    assert os.listdir(str(tmp_path)) == []


def test_what_1_0_0_recorded_of_workspaces_is_taken(record):
    """It was memory as it was."""
    def workspaces(tree, networks):
        for network in networks.values():
            network['ranges'].update({name: [-2e9, 2e9] for name in network['ranges'] if name.endswith('_workspace')})
    rewrite(record, workspaces, True)
    tree = json.loads(record.read_text())
    head = {name: value for name, value in tree.items() if name not in ('networks', 'sha256', 'parameters')}
    assert '_workspace": [-2' in json.dumps(tree)
    assert int8_record.Int8Record(str(record), tree['parameters'], head, 0.1).networks == tree['networks']
