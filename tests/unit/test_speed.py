"""dff speed, and which engine dff.load takes by what it recorded."""
import json

import numpy as np
import pytest

from dff.errors import CheckpointError, ConfigError, DataError, SetupError
from dff.frames import made_up_clip
from dff.runtime import backends, command, machine, speed, speed_record
from dff.runtime.backends import Options, candidates, open_backend
from dff.runtime.speed_record import Figure, ranked, read_figures, record
from tests.helpers.fake_model import fake_backend

ENGINES = ['onnxruntime', 'openvino', 'mxnet']


def figure(engine, frame, **changes):
    """A Figure of this machine."""
    own = Figure(machine.processor(), machine.cores(), 0, 'float32', engine, machine.version_of(engine),
                 [96, 160], frame * 2, frame / 2, frame)
    return own._replace(**changes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An exported folder of both forms, with nothing in its files; all engines are installed."""
    for name in ('key.onnx', 'current.onnx', 'model.json'):
        (tmp_path / name).write_text('')
    monkeypatch.setattr(backends, 'is_installed', lambda engine: True)
    return tmp_path


@pytest.fixture
def opened(monkeypatch):
    """The engines that are opened, in order; none computes anything."""
    found = []

    def opener(engine):
        def call(model, options):
            found.append(engine)
            return fake_backend(engine)
        return call
    monkeypatch.setattr(backends, 'OPENERS', {engine: opener(engine) for engine in ENGINES})
    return found


def order(folder, engines=ENGINES, threads=0, precision='float32'):
    """(engines as they are tried, the notes)."""
    notes = []
    return ranked(str(folder), engines, threads, precision, notes.append), notes


def test_the_fastest_is_taken(tmp_path):
    record(str(tmp_path), [figure('onnxruntime', 30.0), figure('openvino', 10.0), figure('mxnet', 20.0)])
    assert order(tmp_path) == (['openvino', 'mxnet', 'onnxruntime'], [])
    assert order(tmp_path, ['onnxruntime', 'mxnet']) == (['mxnet', 'onnxruntime'], [])


def test_without_a_record_the_first_with_a_line(tmp_path):
    found, notes = order(tmp_path)
    assert found == ENGINES
    assert notes == ['onnxruntime computes, the first of onnxruntime, openvino, mxnet here: it is not recorded which '
                     'one is the fastest. Measure with: dff speed %s' % tmp_path]
    assert order(tmp_path, ['mxnet']) == (['mxnet'], []), 'there is nothing to choose'


@pytest.mark.parametrize('changes', [
    {'processor': 'another'}, {'cores': 999}, {'threads': 3}, {'precision': 'int8'}, {'version': 'x 0.1'}])
def test_figures_of_other_circumstances_are_not_believed(tmp_path, changes):
    record(str(tmp_path), [figure('onnxruntime', 30.0, **changes), figure('openvino', 10.0, **changes)])
    found, notes = order(tmp_path)
    assert found == ENGINES and len(notes) == 1
    assert 'of other engines, or of another processor, version, number of threads or precision' in notes[0]


def test_threads_and_precision_have_figures_of_their_own(tmp_path):
    record(str(tmp_path), [figure('onnxruntime', 1.0), figure('openvino', 2.0)])
    record(str(tmp_path), [figure('onnxruntime', 2.0, threads=2), figure('openvino', 1.0, threads=2)])
    record(str(tmp_path), [figure('onnxruntime', 3.0), figure('openvino', 4.0)])
    assert [each.frame for each in read_figures(str(tmp_path))] == [2.0, 1.0, 3.0, 4.0]
    assert order(tmp_path, threads=2)[0][0] == 'openvino' and order(tmp_path)[0][0] == 'onnxruntime'


def test_an_engine_that_was_not_measured(tmp_path):
    record(str(tmp_path), [figure('onnxruntime', 30.0), figure('openvino', 10.0)])
    found, notes = order(tmp_path)
    assert found == ['openvino', 'onnxruntime', 'mxnet']
    assert notes == ['the speed of mxnet is not recorded: it is left out. Measure with: dff speed %s' % tmp_path]


GOOD = figure('openvino', 1.0)._asdict()


@pytest.mark.parametrize('content, reason', [
    ('{', 'it cannot be read'), ('\xff', 'it cannot be read'), ('[]', 'it is not of format 1'),
    ('[' * 100000, 'it cannot be read'), ('{"format": 2}', 'it is not of format 1'),
    ('{"format": 1}', 'it has no list of figures'), (' ' * (1 << 20) + '{}', 'it cannot be read')] + [
    (json.dumps({'format': 1, 'figures': [row]}), reason) for row, reason in [
        (3, 'has not the fields'), ({}, 'has not the fields'), (dict(GOOD, more=1), 'has not the fields'),
        (dict(GOOD, engine=3), 'engine is no text'), (dict(GOOD, engine='torch'), 'of no engine that there is'),
        (dict(GOOD, size=[1]), 'no whole numbers'), (dict(GOOD, cores='2'), 'no whole numbers'),
        (dict(GOOD, frame=0), 'no number above 0'), (dict(GOOD, frame='1'), 'no number above 0'),
        (dict(GOOD, key=float('nan')), 'no number above 0'), (dict(GOOD, current=True), 'no number above 0')]])
def test_a_damaged_record_is_ignored_with_a_line(tmp_path, content, reason):
    (tmp_path / 'speed.json').write_bytes(content.encode('latin-1'))
    found, notes = order(tmp_path)
    assert found == ENGINES and len(notes) == 1
    assert 'speed.json is ignored, ' in notes[0] and reason in notes[0]
    record(str(tmp_path), [figure('mxnet', 1.0), figure('openvino', 2.0)])
    assert order(tmp_path)[0][0] == 'mxnet', 'a new one takes its place'


def test_a_record_that_cannot_be_written(tmp_path):
    (tmp_path / 'speed.json').mkdir()
    with pytest.raises(DataError, match='cannot write .*speed.json'):
        record(str(tmp_path), [figure('mxnet', 1.0)])


def test_candidates(folder, monkeypatch):
    assert candidates(str(folder), Options()) == ENGINES
    assert candidates(str(folder), Options(precision='int8')) == ENGINES[:2]
    assert candidates(str(folder), Options(providers=['CPU'])) == ['onnxruntime']
    assert candidates(str(folder / 'prefix'), Options(cfg='x.yaml')) == ['mxnet']
    monkeypatch.setattr(backends, 'is_installed', lambda engine: engine == 'mxnet')
    assert candidates(str(folder), Options()) == ['mxnet']
    monkeypatch.setattr(backends, 'is_installed', lambda engine: False)
    assert candidates(str(folder), Options()) == ['onnxruntime'], 'whose message says what to install'
    (folder / 'key.onnx').unlink()
    assert candidates(str(folder), Options()) == ['mxnet']
    (folder / 'model.json').unlink()
    with pytest.raises(CheckpointError, match='holds no model'):
        candidates(str(folder), Options())


def test_what_is_installed(tmp_path, monkeypatch):
    assert machine.is_installed('mxnet')
    spec = machine.importlib.util.find_spec
    (tmp_path / 'lib').mkdir()
    (tmp_path / 'lib' / '__init__.py').write_text('')
    other = machine.importlib.util.spec_from_file_location(
        'lib', str(tmp_path / 'lib' / '__init__.py'), submodule_search_locations=[str(tmp_path / 'lib')])
    monkeypatch.setattr(machine.importlib.util, 'find_spec', lambda name: other if name == 'lib' else spec(name))
    assert not machine.is_installed('mxnet'), 'a folder lib of another project'
    monkeypatch.setattr(machine.importlib.util, 'find_spec', lambda name: None)
    assert not machine.is_installed('onnxruntime')
    assert machine.version_of('mxnet').startswith('mxnet') and machine.processor()


def test_load_takes_the_fastest_and_the_user_has_the_last_word(folder, opened):
    record(str(folder), [figure('onnxruntime', 30.0), figure('openvino', 10.0), figure('mxnet', 20.0)])
    open_backend(folder)
    open_backend(folder, 'mxnet')
    open_backend(folder, None, Options(providers=['CPU']))
    assert opened == ['openvino', 'mxnet', 'onnxruntime']


def test_a_broken_engine_gives_way_to_the_next(folder, opened, monkeypatch):
    def broken(model, options):
        raise SetupError('it is broken')
    monkeypatch.setitem(backends.OPENERS, 'openvino', broken)
    record(str(folder), [figure('onnxruntime', 30.0), figure('openvino', 10.0), figure('mxnet', 20.0)])
    notes = []
    open_backend(folder, note=notes.append)
    assert opened == ['mxnet'] and notes == ['openvino cannot be used, mxnet is taken: it is broken']
    with pytest.raises(SetupError, match='it is broken'):
        open_backend(folder, 'openvino')


def test_measuring(folder, opened, capsys, monkeypatch):
    command.main(['speed', str(folder), '--threads', '2'])
    printed = capsys.readouterr().out.splitlines()
    figures = read_figures(str(folder))
    assert {each.engine for each in figures} == set(ENGINES) and len(printed) == 5
    assert all(each.is_of(2, 'float32') and each.size == [90, 160] for each in figures)
    for each in figures:
        assert each.frame == pytest.approx((each.key + 3 * each.current) / 4, abs=2e-3)
    fastest = min(figures, key=lambda each: each.frame).engine
    assert printed[-1].endswith('dff run take %s' % fastest) and ranked(
        str(folder), ENGINES, 2, 'float32', print)[0] == fastest
    with pytest.raises(SystemExit):
        command.main(['speed', str(folder), '--size', '0x9'])
    assert '--size must be height and width' in capsys.readouterr().err


def test_measuring_takes_turns(monkeypatch):
    monkeypatch.setattr(speed.time, 'sleep', lambda seconds: None)
    calls, clock = [], iter(range(1000))
    monkeypatch.setattr(speed.time, 'perf_counter', lambda: float(next(clock)))

    class Networks:
        def __init__(self, name):
            self.name = name

        def key(self, frame):
            calls.append((self.name, 'key', frame))
            return None, frame

        def current(self, frame, state):
            calls.append((self.name, frame, state))
    times = {name: {'key': [], 'current': []} for name in 'ab'}
    speed.take_turns({name: Networks(name) for name in 'ab'}, [1, 2], times)
    assert calls == [('a', 'key', 1), ('a', 2, 1), ('b', 'key', 1), ('b', 2, 1)]
    assert times['b'] == {'key': [1.0], 'current': [1.0]}


@pytest.mark.parametrize('text', ['1000', '562x', 'x562', '8x100', '100x9000', '-1x100'])
def test_sizes_that_are_none(text):
    with pytest.raises(ConfigError, match='as 562x1000; found %s' % text):
        speed.frame_size(text)


def test_a_made_up_clip_moves():
    first, second = made_up_clip((60, 80), 2)
    assert first.shape == (60, 80, 3) and first.dtype == np.uint8
    assert (second[:-4, :-8] == first[4:, 8:]).all() and first.std() > 20
    assert speed_record.FILE == 'speed.json'
