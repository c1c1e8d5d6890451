"""FGFA exported: as a folder for MXNet and as ONNX files, it finds in clips what the test of MXNet finds."""
import itertools
import json
import shutil

import mxnet as mx
import numpy as np
import pytest

import dff
from dff.errors import CheckpointError, ConfigError, DFFError
from dff.runtime import speed
from dff.runtime.onnx_networks import OnnxNetworks
from lib.config.config import update_from_settings
from lib.config.defaults import fgfa_defaults
from lib.inference.detector import VideoDetector
from lib.inference.exported import load_exported
from lib.operator_cxx import loader
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny
from tests.helpers.onnx_tools import export_tiny
from lib.onnx_export.export import export_onnx

REACH = 2


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """(folder with both forms, its Task)."""
    folder = tmp_path_factory.mktemp('fgfa') / 'model'
    task = export_tiny('fgfa_rfcn', folder, TEST__KEY_FRAME_INTERVAL=REACH)
    (line,) = export_onnx(task, str(folder))
    assert 'largest relative difference' in line
    return folder, task


def trained(task, reach=REACH):
    """Detections of clips by the networks that were trained."""
    config = tiny.tiny_config('fgfa_rfcn', TEST__KEY_FRAME_INTERVAL=reach)
    config.dataset.CLASSES = task.config.dataset.CLASSES
    detector = VideoDetector(config, get_symbol_instance(config), *tiny.tiny_params(config), mx.cpu(), thresh=0.05)
    return lambda images: [result.detections for result in detector.run(images)]


def assert_alike(found, wanted):
    assert len(found) == len(wanted) and sum(len(rows) for rows in wanted) > 0
    for mine, rows in zip(found, wanted):
        assert len(mine.detections) == len(rows)
        np.testing.assert_array_equal(mine.detections[:, 0], rows[:, 0])
        np.testing.assert_allclose(mine.detections[:, 1], rows[:, 1], atol=1e-3)
        np.testing.assert_allclose(mine.detections[:, 2:], rows[:, 2:], atol=0.1)


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino', 'mxnet'])
def test_clips_of_all_lengths_and_sizes_that_change(model, backend):
    if backend == 'openvino':
        pytest.importorskip('openvino', reason='openvino is not installed: pip install openvino')
    folder, task = model
    loaded, wanted = dff.load(str(folder), backend=backend, threads=1), trained(task)
    assert loaded.interval == REACH and 'windows of 2 frames to each side' in repr(loaded)
    for clip in (tiny.clip(7), tiny.clip(1), tiny.clip(2), tiny.clip(3) + tiny.clip(2, 96, 64) + tiny.clip(2)):
        found = list(loaded(clip, thresh=0.05, track=False))
        assert [result.index for result in found] == list(range(len(clip))) and all(each.is_key for each in found)
        assert_alike(found, wanted(clip))
    assert_alike([loaded.detect(tiny.frame(0), thresh=0.05)], wanted([tiny.frame(0)]))
    tracked = list(loaded(tiny.clip(3), thresh=0.05))
    assert all(len(each.track_ids) == len(each.detections) for each in tracked)


def test_onnx_takes_any_window(model):
    folder, task = model
    loaded, clip = dff.load(str(folder), backend='onnxruntime', threads=1), tiny.clip(6)
    for reach in (1, 4):
        assert_alike(list(loaded(clip, interval=reach, thresh=0.05, track=False)), trained(task, reach)(clip))


def test_frames_come_late_and_no_more_are_kept_than_the_window_has(model):
    loaded, read = dff.load(str(model[0]), backend='onnxruntime', threads=1), []

    def images():
        for image in tiny.clip(20):
            read.append(image)
            yield image
    window = loaded.networks.window(REACH)
    assert len(window._places) == 2 * REACH + 1
    results = loaded(images(), thresh=0.05)
    next(results)
    assert len(read) < 12      # its own, K more, and what is read ahead


def test_clips_side_by_side(model):
    folder, task = model
    clips, wanted = [tiny.clip(4), tiny.clip(5)[1:]], trained(task)
    one = dff.load(str(folder), backend='onnxruntime', threads=1)
    both = list(zip(*(one(clip, thresh=0.05, track=False) for clip in clips)))
    for clip, found in zip(clips, zip(*both)):
        assert_alike(found, wanted(clip))
    one = dff.load(str(folder), backend='mxnet')
    with pytest.raises(DFFError, match='has one window of frames, which another clip has taken: run one clip to'):
        list(itertools.zip_longest(*(one(clip) for clip in clips)))
    assert_alike(list(one(clips[0], thresh=0.05, track=False)), wanted(clips[0]))


def test_what_windows_refuse(model):
    folder, _ = model
    loaded = dff.load(str(folder), backend='onnxruntime', threads=1)
    with pytest.raises(ConfigError, match='joins windows of frames and has no key frames, which the policy middle'):
        loaded(tiny.clip(2), policy='middle')
    with pytest.raises(ConfigError, match='this model joins the 2 frames after each: run it on a video'):
        loaded.stream()
    with pytest.raises(ConfigError, match='whole number, 1 or more, found 0'):
        loaded(tiny.clip(1), interval=0)
    with pytest.raises(ConfigError, match='at most 2047 frames to each side .*, found 2048'):
        loaded(tiny.clip(1), interval=2048)
    in_mxnet = dff.load(str(folder), backend='mxnet')
    with pytest.raises(ConfigError, match='is fixed when it is loaded, to 2 frames to each side; found 3'):
        in_mxnet(tiny.clip(1), interval=3)
    config = tiny.tiny_config('fgfa_rfcn', TEST__KEY_FRAME_INTERVAL=3)
    network, params, _ = load_exported(str(folder), get_symbol_instance(config))
    with pytest.raises(ConfigError, match='exported for windows of 2 frames to each side, found 3: export it with'):
        VideoDetector(config, network, *params, mx.cpu())
    # More than the operator joins.
    with pytest.raises(ConfigError, match='at most 2047 frames to each side .*, found 2048'):
        VideoDetector(config, get_symbol_instance(config), *tiny.tiny_params(config), mx.cpu(), interval=2048)
    config = fgfa_defaults()
    update_from_settings(config, ['TEST.KEY_FRAME_INTERVAL=2047'])
    with pytest.raises(ConfigError, match='KEY_FRAME_INTERVAL is 2048, but a window of FGFA has at most 2047 frames'):
        update_from_settings(config, ['TEST.KEY_FRAME_INTERVAL=2048'])


def test_a_folder_whose_networks_are_others(model, tmp_path):
    folder, task = model
    index = json.loads((folder / 'model.json').read_text())
    assert index['networks'] == ['feature', 'flow', 'window']
    config = tiny.tiny_config('dff_rfcn')
    with pytest.raises(CheckpointError, match='the networks in it are not those of resnet_v1_flownet_rfcn'):
        load_exported(str(folder), get_symbol_instance(config))


def harmed(folder, target, name, edit):
    """A copy of `folder` at `target` with edit(tree) of one of its files, loaded."""
    shutil.copytree(str(folder), str(target))
    path = target / name
    tree = json.loads(path.read_text())
    edit(tree)
    path.write_text(json.dumps(tree))
    if name != 'model.json':
        index = json.loads((target / 'model.json').read_text())
        (target / 'model.json').write_text(json.dumps(dict(index, operators=sorted({'built_in', name.split('.')[1]}))))
    return lambda: dff.load(str(target), backend='mxnet')


def test_a_folder_made_to_do_harm(model, tmp_path):
    """Refused in one line, before anything is bound."""
    def attributes(op, **values):
        def edit(tree):
            node = next(node for node in tree['nodes'] if node['op'] == op)
            node['attrs'].update(values)
        return edit
    cases = [('window.built_in.json', attributes('tile', reps='(2, 1, 1, 1)'), 'window.built_in.json is refused'),
             ('window.built_in.json', attributes('take', axis='1'), "has axis '1', expected from 0 to 0"),
             ('flow.built_in.json', attributes('Convolution', num_filter='3'), 'parameter flow_conv1_weight has shape'),
             ('model.json', lambda index: index['settings']['TEST'].update(KEY_FRAME_INTERVAL=3), 'is refused'),
             ('model.json', lambda index: index.update(networks=['flow', 'window']), 'of another version')]
    if loader.load():
        cases += [('window.native.json', attributes('DFFAggregate', frames='1'), 'window.native.json is refused'),
                  ('window.native.json', attributes('DFFAggregate', has_flow='0'), "has has_flow '0', expected from 1")]
    for number, (name, edit, message) in enumerate(cases):
        with pytest.raises(CheckpointError, match=message) as error:
            harmed(model[0], tmp_path / str(number), name, edit)()
        assert str(error.value).isprintable()


def test_an_output_that_passes_an_input_on_is_left_out(model, tmp_path):
    loaded = harmed(model[0], tmp_path / 'model', 'feature.built_in.json',
                    lambda tree: tree['heads'].append([0, 0, 0]))()
    assert_alike(list(loaded(tiny.clip(2), thresh=0.05, track=False)), trained(model[1])(tiny.clip(2)))


def test_the_speed_is_that_of_a_window_of_different_frames(model, monkeypatch):
    pairs, run = [], OnnxNetworks.run
    monkeypatch.setattr(OnnxNetworks, 'run', lambda self, name, feeds: (
        pairs.append(name) if name == 'pair' else None, run(self, name, feeds))[1])
    figures = speed.measure(str(model[0]), threads=1, size=(64, 96))
    assert all(figure.current is None and figure.frame == figure.key > 0 for figure in figures)
    by_onnx = sum(figure.engine in ('onnxruntime', 'openvino') for figure in figures)
    assert len(pairs) == by_onnx * speed.ROUNDS * (2 * REACH + 1)
