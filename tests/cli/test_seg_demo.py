"""The segmentation demos, run as users run them, on tiny networks."""
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from dff.sources import open_frames
from dff.writers import open_writer
from tests.helpers import tiny, tiny_seg


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """(yaml path, prefix) of a tiny DFF model."""
    folder = tmp_path_factory.mktemp('model')
    tiny_seg.make_folder(folder / 'set', clips=1, length=2)
    return tiny_seg.write_experiment(folder, 'dff_deeplab'), tiny_seg.prefix(folder, 'dff_deeplab')


@pytest.fixture
def frames(tmp_path):
    """A folder of 5 frames whose names sort wrongly as text."""
    folder = tmp_path / 'frames'
    with open_writer(folder) as write:
        for t in range(5):
            write(tiny.frame(t), 'f%d' % (t + 7))
    return folder


def run_here(model, *arguments):
    """The demo in this process, which saves the seconds of importing MXNet; raises SystemExit after an error."""
    path, prefix = model
    tiny.run_demo_here('dff_deeplab', '--cfg', path, '--model', prefix, '--epoch', 1, *arguments)


def test_folder_to_video_and_class_maps(model, frames, tmp_path):
    path, prefix = model
    status, printed, errors = tiny.run_script('dff_deeplab/demo.py', '--cfg', path, '--model', prefix, '--epoch', 1,
                                              '--input', frames, '--output', tmp_path / 'out.mp4',
                                              '--labels', tmp_path / 'labels', '--interval', 2)
    assert status == 0, errors
    assert 'key frames' in printed and 'other frames' in printed and 'out.mp4' in printed and '5/5' in errors
    assert [image.shape for image in open_frames(tmp_path / 'out.mp4')] == [(64, 96, 3)] * 5
    assert sorted(os.listdir(str(tmp_path / 'labels'))) == ['f10.png', 'f11.png', 'f7.png', 'f8.png', 'f9.png']
    with Image.open(str(tmp_path / 'labels' / 'f7.png')) as image:
        assert image.mode == 'P' and np.asarray(image).shape == (64, 96)
        assert np.asarray(image).max() < len(tiny_seg.CLASSES)


@pytest.mark.slow
def test_video_to_folder_by_the_baseline(model, tmp_path):
    with open_writer(tmp_path / 'in.mp4', 10) as write:
        for t in range(3):
            write(tiny.frame(t), '')
    path = tiny_seg.write_experiment(tmp_path, 'deeplab', dataset__dataset_path=str(model[0].parent / 'set'))
    status, printed, errors = tiny.run_script('deeplab/demo.py', '--cfg', path.name,
                                              '--model', tiny_seg.prefix(tmp_path, 'deeplab'), '--epoch', 1,
                                              '--input', 'in.mp4', '--output', 'out', cwd=tmp_path)
    assert status == 0, errors
    assert sorted(os.listdir(str(tmp_path / 'out'))) == ['000000.jpg', '000001.jpg', '000002.jpg']
    assert 'other frames' not in printed


def test_overlays_show_the_classes(model, frames, tmp_path, monkeypatch):
    run_here(model, '--input', frames, '--output', tmp_path / 'out', '--labels', tmp_path / 'labels')
    frame, picture = (cv2.imread(str(tmp_path / folder / 'f7.jpg')).astype(int) for folder in ('frames', 'out'))
    with Image.open(str(tmp_path / 'labels' / 'f7.png')) as image:
        labels = np.asarray(image)
    changed = np.abs(picture - frame).max(axis=2) > 24
    plain = labels == 0        # its colour is black: the frame shows
    assert changed[~plain].mean() > 0.6 and changed[plain].mean() < 0.5


@pytest.mark.slow
def test_missing_model_and_clip(frames, tmp_path, root):
    status, _, errors = tiny.run_script('dff_deeplab/demo.py', '--input', frames, '--model', tmp_path / 'none',
                                        '--gpus', 'cpu')
    assert status == 2 and 'Traceback' not in errors
    assert 'none-0000.params does not exist' in errors and 'model/README.md' in errors and 'sh init.sh --demo' in errors
    if not (root / 'demo' / 'cityscapes').exists():
        status, _, errors = tiny.run_script('deeplab/demo.py')
        assert status == 2 and 'there is no demo clip at' in errors and '--input' in errors
        assert 'sh init.sh --demo' in errors


@pytest.mark.parametrize('arguments, message', [
    (['--input', 'none'], 'no such folder or video file: none'),
    (['--input', 'file'], 'cannot decode file as video'),
    (['--input', 'frames', '--output', 'frames'], '--output is the same as --input'),
    (['--input', 'frames', '--labels', 'frames'], '--labels is the same as --input'),
    (['--input', 'frames', '--output', 'file/out'], 'cannot write file/out'),
    (['--input', 'frames', '--labels', 'file/labels'], 'cannot write file/labels/f7.png'),
    (['--input', 'frames', '--interval', '0'], "argument --interval: expected a whole number of 1 or more, found '0'"),
    (['--input', 'frames', '--epoch', '4'], 'tiny-0004.params does not exist'),
    (['--input', 'frames', '--set', 'dataset.NUM_CLASSES=3'], 'NUM_CLASSES is 3'),
    (['--input', 'frames', '--set', 'dataset.dataset=ToyVID'], "'ToyVID' has labels for detection"),
])
def test_errors(model, frames, tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / 'file').write_bytes(b'')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        run_here(model, '--output', 'out', *arguments)
    assert end.value.code == 2 and message in capsys.readouterr().err
