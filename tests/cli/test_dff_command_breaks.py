"""The command `dff` where results would destroy something, or cannot be written, or a model is no whole."""
import os
import resource
import shutil
import subprocess
import sys

import cv2
import pytest

import dff
from dff.errors import ConfigError, DataError
from dff.files import atomic_path
from dff.sources import image_frames
from dff.writers import open_writer
from tests.cli.test_dff_command import models, run, video  # noqa: F401  (fixtures)
from tests.helpers import tiny


def test_a_device_stays_a_device(tmp_path):
    fifo = str(tmp_path / 'fifo')
    os.mkfifo(fifo)
    reader = subprocess.Popen(['cat', fifo], stdout=subprocess.PIPE)
    with atomic_path(fifo) as place, open(place, 'w') as stream:
        stream.write('whole')
    assert reader.communicate()[0] == b'whole' and not os.path.isfile(fifo)
    assert os.listdir(str(tmp_path)) == ['fifo']
    with pytest.raises(OSError, match='No space left'):
        with atomic_path('/dev/full') as place, open(place, 'w') as stream:
            stream.write('x')
    assert not os.path.isfile('/dev/full')


def test_standard_output_gets_the_text(root):
    code = ('from dff.files import atomic_path\nwith atomic_path("/dev/stdout") as place:\n'
            '    open(place, "w").write("x")')
    done = subprocess.run([sys.executable, '-c', code], cwd=str(root), stdout=subprocess.PIPE, check=True)
    assert done.stdout == b'x'


@pytest.mark.parametrize('ending', ['.mp4', '.avi'])
def test_a_video_for_which_the_disk_has_no_room_is_an_error(tmp_path, ending):
    path = str(tmp_path / ('o' + ending))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(DataError, match='what came to the disk is not the whole video; is the disk full'):
            with open_writer(path) as write:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
                for image in tiny.clip(20):
                    write(image, '')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(str(tmp_path)) == []


def test_nothing_that_is_read_is_overwritten(models, video, tmp_path, capsys):  # noqa: F811
    frames = tmp_path / 'frames'
    with open_writer(str(frames)) as write:
        for number, image in enumerate(tiny.clip(3)):
            write(image, str(number))
    model = tmp_path / 'model'
    shutil.copytree(models['rfcn'], str(model))
    before = {path: path.read_bytes() for folder in (frames, model) for path in folder.iterdir()}
    for words, error in (
            (['--input', frames / '*.jpg', '--output', frames], 'is the same as --input: it would be overwritten'),
            (['--input', frames, '--output', frames], 'is the same as --input: it would be overwritten'),
            (['--input', frames, '--json', model / 'model.json'], 'is the same as a file of the model'),
            (['--input', frames, '--output', model], 'is the same as the model'),
            (['--input', frames, '--json', tmp_path / 'o', '--csv', tmp_path / 'o'],
             '--csv %s is the same as --json: one would overwrite the other' % (tmp_path / 'o'))):
        assert run(model, *words) == 2
        assert error in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in before}
    assert sorted(os.listdir(str(tmp_path))) == ['frames', 'model']


def test_pictures_of_several_folders_have_names_of_their_own(tmp_path):
    for name in ('a/0.png', 'b/0.png'):
        (tmp_path / name).parent.mkdir()
        cv2.imwrite(str(tmp_path / name), tiny.clip(1)[0])
    source = image_frames([str(tmp_path / 'a/0.png'), str(tmp_path / 'b/0.png')])
    assert [source.name(0), source.name(1)] == ['000000_0', '000001_0']


@pytest.mark.parametrize('thresh', ['1.5', 'nan', '-3'])
def test_thresholds_that_are_no_scores(models, video, tmp_path, capsys, thresh):  # noqa: F811
    assert run(models['rfcn'], '--input', video, '--json', tmp_path / 'o', '--thresh=' + thresh) == 2
    assert 'thresh must be a score from 0 to 1' in capsys.readouterr().err


def test_networks_that_do_not_fit_each_other(models, video, tmp_path, capsys):  # noqa: F811
    shutil.copytree(models['dff_rfcn'], str(tmp_path / 'model'))
    shutil.copy(os.path.join(models['dff_deeplab'], 'current.onnx'), str(tmp_path / 'model'))
    assert run(tmp_path / 'model', '--input', video, '--json', tmp_path / 'o') == 2
    assert 'error: the network current.onnx cannot be computed: it does not fit' in capsys.readouterr().err
    assert os.listdir(str(tmp_path)) == ['model']


def test_values_of_other_types(models):  # noqa: F811
    model = dff.load(models['rfcn'])
    for values, error in (({'interval': '3'}, "whole number, 1 or more, found '3'"),
                          ({'interval': 1.5}, 'found 1.5'), ({'thresh': 'a'}, "from 0 to 1, found 'a'")):
        with pytest.raises(ConfigError, match=error):
            model(tiny.clip(1), **values)
    for threads in ('2', 1.5, -5):
        with pytest.raises(ConfigError, match='threads must be a whole number, 0 or more'):
            dff.load(models['rfcn'], threads=threads)
    with pytest.raises(ConfigError, match="there is no provider '0'"):
        dff.load(models['rfcn'], providers=0)
    assert 'MXNet' in dff.load(models['rfcn'], backend='mxnet', providers=0).engine


def test_an_array_that_is_too_narrow(models):  # noqa: F811
    with pytest.raises(DataError, match='a frame is 5000 x 1 pixels, too narrow'):
        dff.load(models['rfcn']).detect(tiny.clip(1)[0][:1].repeat(100, 1)[:, :5000])
