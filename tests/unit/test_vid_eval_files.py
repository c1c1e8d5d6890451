"""Evaluation: the files of detections, and the command."""
import json
import os
import re
import subprocess
import sys

import pytest

from dff.errors import DataError
from lib.dataset.formats.classes import load_classes
from lib.dataset.sets.imagenet_vid import ImageNetVID
from lib.evaluation import detections as detections_module
from lib.evaluation.detections import read_detections
from lib.evaluation.outcomes import outcomes
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml
from tests.helpers.marks import slow
from tests.helpers.tiny import run_here
from tools import evaluate_vid

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data', 'vid_eval.json')


@pytest.fixture
def two_frames(tmp_path):
    """A data set of two frames, a cat in each, and a function that writes detections."""
    folder = DatasetFolder(tmp_path / 'a folder')
    folder.image_set('VID_val_videos', 'v 1 0 2')
    folder.image_set('VID_val_frames', 'v/000001 2')
    for i in range(2):
        folder.image('VID', 'v/%06d' % i, annotation(object_xml('cat', 1, 2, 30, 20)))
    (folder.path / 'classes.txt').write_text('cat\ndog\n')

    def write(*lines):
        (tmp_path / 'detections.txt').write_text('\n'.join(lines))
        return str(tmp_path / 'detections.txt')
    return ImageNetVID('VID_val_videos', str(folder.path), load_classes(['cat', 'dog'])), write


def test_some_frames_only(two_frames):
    dataset, write = two_frames
    file = write('1 1 0.9 1 2 30 20', '2 1 0.8 50 2 59 20', '2 2 0.8 50 2 59 20')
    assert dataset.evaluate(file).mean_ap == 0.5
    first = dataset.evaluate(file, numbers=(1, 1))
    assert (first.ap['cat'], first.frames, first.ignored, first.detections['cat']) == (1.0, 1, 2, 1)
    assert '2 detections are of frames that are not evaluated' in first.lines()
    assert dataset.evaluate(file, numbers=(2, 9)).ap == {'cat': 0.0, 'dog': None}
    listed = ImageNetVID('VID_val_frames', dataset.path, load_classes(['cat', 'dog'])).evaluate(file)
    assert listed.as_dict() == dataset.evaluate(file, numbers=(2, 2)).as_dict()
    with pytest.raises(DataError,
                       match='nothing to evaluate: no box of a listed class in the 0 frames numbered 5 to 9'):
        dataset.evaluate(file, numbers=(5, 9))


@pytest.mark.parametrize('measure', [lambda dataset, file: dataset.evaluate(file),
                                     lambda dataset, file: outcomes(dataset.ground_truth(), file, dataset.classes)])
def test_detections_of_another_image_set(two_frames, measure):
    dataset, write = two_frames
    file = write('3 1 0.9 1 2 30 20', '70 2 0.8 50 2 59 20')
    with pytest.raises(DataError, match='^%s: none of its 2 detections is of the 2 frames that are evaluated, numbered '
                       '1 to 2; give the image set and the data that were tested$' % re.escape(file)):
        measure(dataset, file)
    assert dataset.evaluate(file, numbers=(1, 2)).mean_ap == 0      # of a part there may be none


def test_classes_without_ground_truth_are_named(two_frames):
    dataset, write = two_frames
    for line, expected in (('1 2 0.9 1 2 30 20', 'no ground truth, left out of the mean, having detections: dog'),
                           ('1 1 0.9 1 2 30 20', 'no ground truth, counted as 0, having no detections: dog')):
        assert expected in dataset.evaluate(write(line)).lines()


def test_an_empty_file_is_no_detection(two_frames):
    dataset, write = two_frames
    assert dataset.evaluate(write()).mean_ap == 0


@pytest.mark.parametrize('line, expected', [
    ('1 1 0.9 1 2 30', "expected 'frame_number class_index score x1 y1 x2 y2', found '1 1 0.9 1 2 30'"),
    ('1 1 0.9 1 2 30 20 5', 'expected '),
    ('1 1 0.9 1 2 30 20,5', 'expected '),
    ('1 1 high 1 2 30 20', 'expected '),
    ('1 1 nan 1 2 30 20', 'expected '),
    ('1 1 0.9 1 2 inf 20', 'expected '),
    ('1.5 1 0.9 1 2 30 20', 'expected '),
    ('-1 1 0.9 1 2 30 20', 'expected '),
    ('1 3 0.9 1 2 30 20', 'class index 3 is not one of 1 to 2, the classes of the class list; found '),
    ('1 0 0.9 1 2 30 20', 'class index 0 is not one of 1 to 2'),
])
@pytest.mark.parametrize('block', [20, 1 << 20])
def test_malformed_detections(two_frames, monkeypatch, line, expected, block):
    dataset, write = two_frames
    monkeypatch.setattr(detections_module, 'BLOCK', block)
    with pytest.raises(DataError) as error:
        dataset.evaluate(write('1 1 0.9 1 2 30 20', '1 1 0.8 1 2 30 20', line, '1 1 0.7 1 2 30 20'))
    assert 'detections.txt, line 3: ' + expected in str(error.value)


def test_a_short_and_a_long_line_do_not_make_up_for_each_other(two_frames):
    dataset, write = two_frames
    with pytest.raises(DataError, match='detections.txt, line 1: expected'):
        dataset.evaluate(write('1 1 0.9 1 2 30', '20 1 1 0.8 1 2 30 20'))


def test_other_white_space_and_number_forms(two_frames):
    dataset, write = two_frames
    expected = read_detections(write('1 1 0.9 1 2 30 20', '2 1 0.25 1 2 30 20'), 3)
    found = read_detections(write('1\t1  0.9 1e0 2 30. 20\r', '', ' 2 1.0 2.5e-1 +1 2 30 20 '), 3)
    assert all((a == b).all() for a, b in zip(expected[1], found[1])) and len(found[2].frames) == 0


def test_missing_detections(two_frames):
    with pytest.raises(DataError, match='cannot read the detections file none.txt: No such file'):
        two_frames[0].evaluate('none.txt')


def run_tool(root, *arguments):
    return subprocess.run([sys.executable, str(root / 'tools' / 'evaluate_vid.py')] + list(arguments),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                          cwd=os.path.dirname(DATA))


def test_command_line(two_frames, tmp_path):
    dataset, write = two_frames
    file = write('1 1 0.9 1 2 30 20', '2 2 0.8 50 2 59 20')
    common = ['--detections', file, '--image_set', 'VID_val_videos']
    done = run_here(evaluate_vid.main, '--dataset', dataset.path, '--classes', dataset.path + '/classes.txt',
                    '--json', str(tmp_path / 'out' / 'r.json'), *common)
    assert done.stderr == '' and done.returncode == 0
    assert done.stdout.splitlines()[0] == 'AP for cat = 0.5000'
    assert done.stdout.splitlines()[-1] == 'Mean AP@0.5 = 0.5000'
    with open(str(tmp_path / 'out' / 'r.json')) as stream:
        assert json.load(stream) == {'mean_ap': 0.5, 'ap': {'cat': 0.5, 'dog': None},
                                     'ground_truths': {'cat': 2, 'dog': 0}, 'detections': {'cat': 1, 'dog': 1},
                                     'frames': 2, 'ignored_detections': 0}
    settings = 'dataset:\n  dataset_path: "%s"\n  root_path: "%s"\n  CLASSES: [cat, dog]\n  NUM_CLASSES: 3\n'
    (tmp_path / 'x.yaml').write_text(settings % (dataset.path, tmp_path))
    done = run_here(evaluate_vid.main, '--cfg', str(tmp_path / 'x.yaml'), '--detections', file, '--numbers', '1-1')
    assert done.stdout.splitlines()[0] == 'AP for cat = 1.0000'


@pytest.mark.parametrize('arguments, expected', [
    ([], 'give either --cfg FILE.yaml or --dataset FOLDER'),
    slow(['--dataset', 'x'], '--dataset needs --image_set, for instance VID_val_videos'),
    slow(['--cfg', 'x.yaml', '--classes', 'c'],
         '--classes goes with --dataset; with --cfg, dataset.CLASSES says the classes'),
    slow(['--cfg', 'x.yaml', '--numbers', '9-1'], "--numbers: expected FIRST-LAST, as in 51-101; found '9-1'"),
])
def test_command_line_errors(root, arguments, expected):
    done = run_tool(root, '--detections', 'd.txt', *arguments)
    assert (done.returncode, done.stderr) == (2, 'error: %s\n' % expected)
