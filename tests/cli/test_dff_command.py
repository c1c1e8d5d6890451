"""The command `dff`, and dff.load, with models in onnxruntime and in MXNet."""
import json
import os
import shutil
import subprocess
import sys

import pytest

import dff
from dff.errors import CheckpointError, ConfigError, SetupError
from dff.runtime import backends, command
from dff.sources import open_frames
from dff.writers import open_writer
from tests.helpers import tiny, tiny_seg
from tests.helpers.damage import hole_in, write_video

MXNET_FILES = '.json', '.params'


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """{task: folder} with MXNet's files and, where onnxruntime is, ONNX files."""
    from tests.helpers.onnx_tools import export_tiny
    from lib.onnx_export.export import export_onnx
    folders = {}
    for name in ('rfcn', 'dff_rfcn', 'dff_deeplab'):
        folders[name] = str(tmp_path_factory.mktemp('model') / name)
        export_onnx(export_tiny(name, folders[name]), folders[name])
    return folders


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """A clip of 5 frames."""
    path = str(tmp_path_factory.mktemp('video') / 'clip.mp4')
    with open_writer(path) as write:
        for t, image in enumerate(tiny.clip(5)):
            write(image, str(t))
    return path


def run(*words):
    """The command in this process; (status, stdout, stderr) of capsys are read by the caller."""
    try:
        command.main(['run'] + [str(word) for word in words])
    except SystemExit as end:
        return end.code
    return 0


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize('task', ['rfcn', 'dff_rfcn', 'dff_deeplab'])
def test_all_engines_find_the_same(models, video, task, engine):
    pytest.importorskip(engine, reason='%s is not installed: pip install %s' % (engine, engine))
    found = {}
    for backend in ('mxnet', engine):
        model = dff.load(models[task], backend=backend)
        found[backend] = [result.as_dict() for result in model(video, interval=2, thresh=0.15)]
        if task == 'dff_rfcn':
            stream = model.stream(interval=2, thresh=0.15)
            alone = [stream(image) for image in tiny.clip(3)]
            assert [result.is_key for result in alone] == [True, False, True]
    one, other = found['mxnet'], found[engine]
    assert [each['key'] for each in one] == [each['key'] for each in other]
    if task == 'dff_deeplab':
        for a, b in zip(one, other):
            assert all(abs(count - b['pixels'].get(name, 0)) <= 6 for name, count in a['pixels'].items())
        return
    assert sum(len(each['detections']) for each in one) > 5
    for a, b in zip(one, other):
        if engine == 'openvino':
            # Its last digits differ, and of two regions that overlap by 0.7 it keeps the other one.
            assert all(any(each['class'] == mine['class'] and each['box'] == pytest.approx(mine['box'], abs=0.5)
                           for each in b['detections']) for mine in a['detections'])
            continue
        for mine, theirs in zip(a['detections'], b['detections']):
            assert (mine['class'], mine['track']) == (theirs['class'], theirs['track'])
            assert mine['box'] == pytest.approx(theirs['box'], abs=0.05)


def test_engines_and_what_they_say(models):
    assert dff.load(models['rfcn']).engine == 'onnxruntime (CPU)'
    assert dff.load(models['rfcn'], providers=['CUDA', 'CPU']).engine == 'onnxruntime (CPU)'
    assert dff.load(models['rfcn'], backend='mxnet', providers='cpu').engine.endswith('(cpu(0))')
    with pytest.raises(ConfigError, match="no backend 'torch'; choose from onnxruntime, openvino, mxnet"):
        dff.load(models['rfcn'], backend='torch')


def test_openvino(models, tmp_path):
    pytest.importorskip('openvino', reason='OpenVINO is not installed: pip install openvino')
    assert dff.load(models['rfcn'], backend='openvino', threads=1).engine == 'OpenVINO (CPU)'
    with pytest.raises(SetupError, match='OpenVINO has no device NPU or GPU here; it has .*CPU'):
        dff.load(models['rfcn'], backend='openvino', providers=['NPU', 'GPU'])
    with pytest.raises(CheckpointError, match='holds neither frame.onnx nor key.onnx'):
        dff.load(str(tmp_path), backend='openvino')
    (tmp_path / 'frame.onnx').write_bytes(b'x')
    with pytest.raises(CheckpointError, match='frame.onnx cannot be used'):
        dff.load(str(tmp_path), backend='openvino')


def test_the_flow_comes_out_of_both(models):
    from dff.frames import prepare
    flows = []
    for backend in ('mxnet', 'onnxruntime'):
        model = dff.load(models['dff_rfcn'], backend=backend)
        first, second = (prepare(image, model._backend.form) for image in tiny.clip(2))
        _, state = model.networks.key(first)
        flows.append(model.networks.current(second, state).flow)
    assert flows[0].shape == (2, 4, 6) and abs(flows[0]).max() > 0
    assert flows[1] == pytest.approx(flows[0], rel=1e-3, abs=1e-5)


def test_a_checkpoint_with_its_settings(tmp_path):
    path = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=1, length=2)
    model = dff.load(tiny.prefix(tmp_path, 'dff_rfcn'), cfg=str(path), epoch=1)
    assert model.interval == 3 and model.classes[1:3] == ['ball', 'crate']
    assert len(list(model(tiny.clip(2)))) == 2
    path = tiny.write_experiment(tmp_path, 'dff_rfcn', TEST__KEY_FRAME_POLICY='flow', TEST__KEY_FRAME_MISMATCH=0.001)
    model = dff.load(tiny.prefix(tmp_path, 'dff_rfcn'), cfg=str(path), epoch=1)
    assert [result.is_key for result in model(tiny.clip(3))] == [True] * 3, 'nothing follows the flow so well'
    with pytest.raises(CheckpointError, match='no model at .*prefix of a checkpoint with cfg'):
        dff.load(tiny.prefix(tmp_path, 'dff_rfcn'))


def test_both_sides_and_joined_key_frames(models, tmp_path):
    path = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=1, length=2, TEST__KEY_FRAME_POLICY='both')
    model = dff.load(tiny.prefix(tmp_path, 'dff_rfcn'), cfg=str(path), epoch=1)
    results = list(model(tiny.clip(7), thresh=0.1))
    assert [result.is_key for result in results] == [False, True, False] * 2 + [True]
    assert sum(len(result.scores) for result in results) > 5
    for backend in ('mxnet', 'onnxruntime'):
        with pytest.raises(ConfigError, match="which this model in .* does not have: pass policy='middle'"):
            dff.load(models['dff_rfcn'], backend=backend)(tiny.clip(3), policy='both')


def test_segmentation_in_mxnet(tmp_path):
    tiny_seg.make_folder(tmp_path / 'set', clips=1, length=2)
    path = tiny_seg.write_experiment(tmp_path, 'deeplab')
    model = dff.load(tiny_seg.prefix(tmp_path, 'deeplab'), cfg=str(path), epoch=1)
    assert next(model(tiny.clip(1))).label_map.shape == (64, 96)


def test_without_mxnet(models, tmp_path, monkeypatch):
    for name in os.listdir(models['rfcn']):
        if name.endswith(MXNET_FILES):
            shutil.copy(os.path.join(models['rfcn'], name), str(tmp_path / name))
    find = backends.importlib.util.find_spec
    monkeypatch.setattr(backends.importlib.util, 'find_spec', lambda name: None if name == 'lib' else find(name))
    with pytest.raises(SetupError, match='runs in MXNet, and lib is missing: run this from a checkout'):
        dff.load(str(tmp_path))
    monkeypatch.setitem(sys.modules, 'openvino', None)
    with pytest.raises(SetupError, match='pip install openvino'):
        dff.load(models['rfcn'], backend='openvino')


def test_the_command_writes_everything(models, video, tmp_path, capsys):
    status = run(models['dff_rfcn'], '--input', video, '--output', tmp_path / 'o.mp4', '--json', tmp_path / 'o.json',
                 '--mot', tmp_path / 'o.txt', '--csv', tmp_path / 'o.csv', '--interval', 2, '--thresh', 0.15,
                 '--frames', 4, '--show', '--fps', 5, '--track')
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert printed.out.startswith('4 frames; ms a frame: ') and printed.out.count('written: ') == 4
    assert 'detection, computed by onnxruntime (CPU)' in printed.err
    if not os.environ.get('DISPLAY'):
        assert '--show has no effect: there is no display' in printed.err
    assert open_frames(tmp_path / 'o.mp4').fps == 5
    frames = json.loads((tmp_path / 'o.json').read_text())['frames']
    assert [frame['key'] for frame in frames] == [True, False, True, False]
    assert all(each['track'] > 0 for frame in frames for each in frame['detections'])
    assert len((tmp_path / 'o.txt').read_text().splitlines()) == sum(len(frame['detections']) for frame in frames)


def test_frames_that_cannot_be_read_are_said_and_move_no_others(models, tmp_path, capsys):
    path = tmp_path / 'a.avi'
    write_video(path, 12)
    hole_in(path, 4, 6)
    assert run(models['rfcn'], '--input', path, '--json', tmp_path / 'o.json') == 0
    assert 'a.avi: 9 of 12 frames could be read: there are holes before frame 7' in capsys.readouterr().err
    frames = json.loads((tmp_path / 'o.json').read_text())['frames']
    assert [frame['frame'] for frame in frames] == [0, 1, 2, 3, 7, 8, 9, 10, 11]
    notes = []
    list(dff.load(models['rfcn'])(str(path), on_note=notes.append))
    assert len(notes) == 1 and notes[0].startswith('warning: ')


@pytest.mark.parametrize('words,error', [
    (['--json', 'o.json'], 'no such folder or video file: nothing.mp4'),
    ([], 'name --output, --json, --mot, --csv or --show'),
    (['--json', 'o.json', '--frames', '0'], '--frames must be 1 or more'),
    (['--json', 'o.json', '--fps', '7'], '--fps is for a video'),
    (['--output', 'o.webm', '--fps', '-7'], '--fps must be above 0'),
    (['--json', 'o.json', '--frames', '2', '--seq-nms'], "--frames stops before the clip's end, for which --seq-nms"),
    (['--json', 'o.json', '--track', '--seq-nms'], '--track: ids follow the detections of each frame'),
    (['--json', 'o.json', '--provider', 'TPU'], "there is no provider 'TPU'"),
    (['--json', 'o.json', '--interval', '0'], 'interval must be a whole number, 1 or more')])
def test_one_line_for_what_is_wrong(models, capsys, words, error):
    assert run(models['dff_rfcn'], '--input', 'nothing.mp4', *words) == 2
    assert error in capsys.readouterr().err


def test_more_that_is_wrong(models, video, tmp_path, capsys):
    assert run(models['dff_deeplab'], '--input', video, '--mot', tmp_path / 'o.txt') == 2
    assert '--mot is for detections' in capsys.readouterr().err
    assert run(models['dff_deeplab'], '--input', video, '--csv', tmp_path / 'o.csv', '--track') == 2
    assert '--track is for detections' in capsys.readouterr().err
    assert run(models['rfcn'], '--input', video, '--output', video) == 2
    assert 'it would be overwritten' in capsys.readouterr().err
    assert run(tmp_path, '--input', video, '--json', tmp_path / 'o.json') == 2
    assert 'holds no model: expected model.json' in capsys.readouterr().err


def test_as_a_program(models, video, tmp_path, root):
    done = subprocess.run([sys.executable, '-m', 'dff', 'run', models['rfcn'], '--input', video, '--json',
                           str(tmp_path / 'o.json')], cwd=str(root), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    assert done.returncode == 0 and done.stdout.startswith('5 frames'), done.stderr


@pytest.mark.parametrize('backend', ['mxnet', 'onnxruntime'])
def test_seq_nms_gives_what_the_demo_gives(models, video, tmp_path, backend):
    demo, own = tmp_path / 'demo.json', tmp_path / 'own.json'
    status, _, err = tiny.run_script('dff_rfcn/demo.py', '--model', models['dff_rfcn'], '--input', video, '--output',
                                     tmp_path / 'out.mp4', '--json', demo, '--thresh', 0.15, '--seq-nms')
    assert status == 0, err
    assert run(models['dff_rfcn'], '--backend', backend, '--input', video, '--json', own, '--thresh', 0.15,
               '--seq-nms') == 0
    wanted, found = (json.loads(path.read_text())['frames'] for path in (demo, own))
    assert sum(len(frame['detections']) for frame in wanted) > 5
    for one, other in zip(wanted, found):
        assert one['name'] == other['name'] and len(one['detections']) == len(other['detections'])
        for mine, theirs in zip(one['detections'], other['detections']):
            assert mine['class'] == theirs['class'] and mine['score'] == pytest.approx(theirs['score'], abs=1e-3)
            assert mine['box'] == pytest.approx(theirs['box'], abs=0.05)


def test_the_speed_is_recorded_and_the_fastest_taken(models, video, tmp_path, capsys):
    shutil.copytree(models['dff_rfcn'], str(tmp_path / 'm'))
    command.main(['speed', str(tmp_path / 'm')])
    out = capsys.readouterr().out
    assert 'key frame' in out and 'mxnet' in out and 'onnxruntime' in out
    notes = []
    model = dff.load(str(tmp_path / 'm'), on_note=notes.append)
    fastest = out.split()[-1]
    assert model.engine.lower().startswith(fastest) and notes == []
    assert dff.load(str(tmp_path / 'm'), backend='mxnet').engine.startswith('MXNet')
    dff.load(str(tmp_path / 'm'), threads=7, on_note=notes.append)
    assert len(notes) == 1 and 'another processor, version, number of threads' in notes[0]
