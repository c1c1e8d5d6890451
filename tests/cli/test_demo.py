"""The demo scripts, run as users run them, on tiny networks."""
import json
import os

import cv2
import numpy as np
import pytest

from dff.drawing import class_colour, draw_detections
from dff.sources import open_frames
from dff.writers import open_writer
from tests.helpers import tiny


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """{task: (yaml path, prefix)} of tiny models."""
    folder = tmp_path_factory.mktemp('models')
    return {task: (tiny.write_experiment(folder, task, clips=1, length=2), tiny.prefix(folder, task))
            for task in ('rfcn', 'dff_rfcn')}


@pytest.fixture
def frames(tmp_path):
    """A folder of 7 frames whose names sort wrongly as text."""
    folder = tmp_path / 'frames'
    with open_writer(folder) as write:
        for t in range(7):
            write(tiny.frame(t), 'f%d' % (t + 5))
    return folder


def run_demo(models, task, *arguments, script='demo', cwd=None):
    """As users do: (status, stdout, stderr)."""
    path, prefix = models[task]
    return tiny.run_script('%s/%s.py' % (task, script), '--cfg', path, '--model', prefix, '--epoch', 1,
                           '--thresh', 0.05, *arguments, cwd=cwd)


def run_here(models, task, *arguments):
    """The same in this process, which saves the seconds of importing MXNet; raises SystemExit after an error."""
    path, prefix = models[task]
    tiny.run_demo_here(task, '--cfg', path, '--model', prefix, '--epoch', 1, '--thresh', 0.05, *arguments)


def read_json(path):
    with open(str(path), encoding='utf-8') as stream:
        return json.load(stream)


def test_key_frames_on_both_sides(models, frames, tmp_path, capsys):
    given = ['--input', frames, '--output', tmp_path / 'out', '--json', tmp_path / 'out.json', '--interval', 4]
    run_here(models, 'dff_rfcn', *given, '--set', 'TEST.KEY_FRAME_POLICY=both')
    found = read_json(tmp_path / 'out.json')['frames']
    assert [frame['key'] for frame in found] == [False, False, True, False, False, False, True]
    with pytest.raises(SystemExit):
        run_here(models, 'rfcn', *given, '--set', 'TEST.AGGREGATE=recursive')
    assert 'TEST.AGGREGATE: recursive joins features of key frames' in capsys.readouterr().err


def test_folder_to_video_and_json(models, frames, tmp_path):
    status, printed, errors = run_demo(models, 'dff_rfcn', '--input', frames, '--output', tmp_path / 'out.mp4',
                                       '--fps', 7, '--json', tmp_path / 'new' / 'out.json')
    assert status == 0, errors
    assert 'key frames' in printed and 'other frames' in printed and 'fps' in printed and 'out.mp4' in printed
    assert '7/7' in errors, 'a progress bar'
    video = open_frames(tmp_path / 'out.mp4')
    assert len(list(video)) == 7 and video.fps == 7
    found = read_json(tmp_path / 'new' / 'out.json')
    assert found['classes'] == ['__background__', 'ball', 'crate', 'cone', 'star', 'bus']
    assert [frame['name'] for frame in found['frames']] == ['f%d' % i for i in range(5, 12)]
    assert [frame['key'] for frame in found['frames']] == [True, False, False] * 2 + [True]
    boxes = [box for frame in found['frames'] for box in frame['detections']]
    assert boxes
    assert all(box['class'] in found['classes'][1:] and 0.05 <= box['score'] <= 1 and len(box['box']) == 4
               for box in boxes)


@pytest.mark.slow
def test_video_to_folder_at_another_interval(models, tmp_path):
    with open_writer(tmp_path / 'in.mp4', 10) as write:
        for t in range(5):
            write(tiny.frame(t), '')
    status, _, errors = run_demo(models, 'dff_rfcn', '--input', 'in.mp4', '--output', 'out', '--json', 'out.json',
                                 '--interval', 4, cwd=tmp_path)
    assert status == 0, errors
    assert sorted(os.listdir(str(tmp_path / 'out'))) == ['%06d.jpg' % i for i in range(5)]
    assert [frame['key'] for frame in read_json(tmp_path / 'out.json')['frames']] == [True, False, False, False, True]


@pytest.mark.slow
@pytest.mark.parametrize('task', ['rfcn', 'dff_rfcn'])
def test_the_batch_demo_finds_the_same(models, frames, tmp_path, task):
    run_here(models, task, '--input', frames, '--output', tmp_path / 'demo',
             '--json', tmp_path / 'demo.json')
    status, printed, errors = run_demo(models, task, '--input', frames, '--output', tmp_path / 'batch',
                                       '--json', tmp_path / 'batch.json', script='demo_batch')
    assert status == 0 and 'fps' in printed, errors
    found = [read_json(tmp_path / name)['frames'] for name in ('demo.json', 'batch.json')]
    assert len(found[0]) == len(found[1]) == 7
    for one, other in zip(*found):
        assert (one['name'], one['key'], len(one['detections'])) == (other['name'], other['key'],
                                                                     len(other['detections']))
        for a, b in zip(one['detections'], other['detections']):
            assert a['class'] == b['class'] and a['score'] == pytest.approx(b['score'], abs=2e-4)
            assert a['box'] == pytest.approx(b['box'], abs=0.05)


def test_missing_model(frames, tmp_path):
    status, _, errors = tiny.run_script('dff_rfcn/demo.py', '--input', frames, '--model', tmp_path / 'none',
                                        '--gpus', 'cpu')
    assert status == 2 and 'Traceback' not in errors
    assert 'none-0000.params does not exist' in errors and 'model/README.md' in errors and 'sh init.sh --demo' in errors


@pytest.mark.slow
def test_missing_demo_clip(root):
    if (root / 'demo' / 'ILSVRC2015_val_00007010').exists():
        pytest.skip('the demo clip is there')
    status, _, errors = tiny.run_script('rfcn/demo.py')
    assert status == 2 and 'ILSVRC2015_val_00007010 of ImageNet VID' in errors and '--input' in errors
    assert 'sh init.sh --demo' in errors


@pytest.mark.parametrize('arguments, message', [
    (['--input', 'none'], 'no such folder or video file: none'),
    (['--input', 'empty'], 'no frames in empty: expected files ending in .jpeg, .jpg, .png'),
    (['--input', 'broken'], 'cannot decode image broken/2.jpg'),
    (['--input', 'frames', '--output', 'frames'], '--output is the same as --input'),
    (['--input', 'frames', '--output', 'file/out'], 'cannot write file/out'),
    (['--input', 'frames', '--output', 'file/out.mp4'], 'cannot write file/out.mp4'),
    (['--input', 'frames', '--output', 'out.gif'], 'error: --output out.gif: files ending in .gif are not written.'),
    (['--input', 'frames', '--output', 'out.mp4', '--fps', '0'], '--fps must be above 0 and at most 1000'),
    (['--input', 'frames', '--fps', '7'], '--fps is for a video: let --output name one'),
    (['--input', 'frames', '--output', 'out', '--json', 'empty'], 'cannot write empty'),
    (['--input', 'frames', '--thresh', 'x'], "argument --thresh: expected a score from 0 to 1, found 'x'"),
    (['--input', 'frames', '--thresh', '7'], "argument --thresh: expected a score from 0 to 1, found '7'"),
    (['--input', 'frames', '--interval', '0'], "argument --interval: expected a whole number of 1 or more, found '0'"),
    (['--input', 'frames', '--epoch', '4'], 'tiny-0004.params does not exist'),
    (['--input', 'frames', '--set', 'TEST.NMZ=1'], "there is no setting 'TEST.NMZ'"),
])
def test_errors(models, frames, tmp_path, monkeypatch, capsys, arguments, message):
    for name in ('empty', 'broken'):
        (tmp_path / name).mkdir()
    (tmp_path / 'file').write_bytes(b'')
    cv2.imwrite(str(tmp_path / 'broken' / '1.jpg'), tiny.frame(0))
    (tmp_path / 'broken' / '2.jpg').write_bytes(b'x')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        run_here(models, 'rfcn', '--output', 'out', *arguments)
    assert end.value.code == 2 and message in capsys.readouterr().err


def test_drawing_keeps_the_frame_and_uses_class_colours():
    image = tiny.frame(0)
    before = image.copy()
    detections = np.array([[1, 0.9, 10, 30, 40, 60], [2, 0.4, -5, -9, 200, 200]], np.float32)
    drawn = draw_detections(image, detections, ['bg', 'ball', 'bus'], thresh=0.5)
    np.testing.assert_array_equal(image, before)
    assert tuple(drawn[45, 10]) == class_colour(1)
    assert not (drawn == class_colour(2)).all(axis=2).any()
    assert len({class_colour(i) for i in range(1, 31)}) == 30
