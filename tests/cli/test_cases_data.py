"""Detection data as users have it: what would make a result wrong stops training and testing
before the first batch, by one message."""

import os

import pytest

from dff.errors import ConfigError, DataError
from lib.apps import commands
from tests.helpers import tiny
from tests.helpers.own_data import CLIP, LENGTH, OwnData, both_refuse, run_test
from tests.helpers.dataset_tools import annotation, object_xml

@pytest.fixture
def data(tmp_path):
    return OwnData(tmp_path / 'own')


def test_good_data_is_silent(data, caplog):
    assert (
        len(data.train()) == LENGTH
        and len(data.test()) == LENGTH
        and data.found(decode=True) == {}
    )
    assert not [record for record in caplog.records if record.levelname == 'WARNING']


# ---- boxes in other forms


def test_fractions_are_named(data):
    for clip in ('train/a', CLIP):
        data.annotate(clip, data.xml((0.1, 0.2, 0.5, 0.75), (0, 0.5, 1, 1)))
    both_refuse(
        data,
        r'line 1: .*CLIP.000000.xml: cat at 0.1 0.2 0.5 0.75 in a frame of 60 x 40: all boxes of '
        r'the file are within 0 to 1',
    )
    assert len(data.found()['boxes are fractions']) == 2 * LENGTH


def test_one_file_of_fractions_among_good_ones(data):
    (data.path / 'Annotations/VID/val/v/000004.xml').write_text(
        data.xml((0.1, 0.2, 0.5, 0.75), (0, 0.5, 1, 1))
    )
    with pytest.raises(DataError, match='val/v/000004.xml: cat at 0.1'):
        data.test()


def test_a_box_of_one_pixel_is_no_fraction(data, caplog):
    data.annotate('train/a', data.xml((0, 0, 1, 1), (1, 1, 1, 1)))
    data.train()
    assert 'suspicious' not in caplog.text


def test_width_and_height_in_the_place_of_corners(data):
    for clip in ('train/a', CLIP):
        data.annotate(clip, data.xml((5, 5, 20, 20), (30, 10, 21, 21)))
    both_refuse(
        data,
        '6 of 12 boxes end before they begin, as where width and height are given as '
        'xmax and ymax',
    )
    assert len(data.found()['box form']) == 2


def test_centre_width_and_height(data):
    for clip in ('train/a', CLIP):
        data.annotate(clip, data.xml((15, 15, 20, 20), (40, 20, 39, 21)))
    both_refuse(
        data,
        'boxes end before they begin, as where centre, width and height are given as '
        'corners',
    )


def test_thin_boxes_are_counted_in_one_line(data, caplog):
    data.annotate('train/a', data.xml((5, 5, 5.4, 24)))
    data.train()
    (line,) = [record.message for record in caplog.records if record.levelname == 'WARNING']
    assert (
        line.startswith('VID_train_x: suspicious: box thin, 6 times (')
        and 'cat at 5 5 5.4 24 in a frame of 60 x 40' in line
    )
    assert line.endswith('`python tools/check_dataset.py --cfg FILE` lists all')


def test_boxes_counted_from_1_and_boxes_in_a_corner(data):
    for clip in ('train/a', CLIP):
        data.annotate(clip, data.xml((1, 1, 60, 40)))
    assert (
        '6 reach exactly one pixel over the right or lower edge: they seem to be counted from 1'
        in data.found()['boxes from 1'][0]
    )
    small = [object_xml('cat', 2, 2, 20, 15), object_xml('dog', 12, 5, 28, 18)] * 2
    data.annotate('train/a', annotation(*small))
    found = data.found()
    assert (
        'all 24 boxes are in the upper left of their frames, within 47 % of the width and 45 % of '
        'the height'
        in (found['boxes in a corner'][0])
    )


# ---- annotations that are missing


@pytest.mark.parametrize('all_of_them', [True, False])
def test_missing_annotations_are_said_before_the_first_frame(tmp_path, capsys, all_of_them):
    path = tiny.write_experiment(tmp_path, 'rfcn', clips=1, length=3)
    for file in sorted((tmp_path / 'toy_vid' / 'Annotations' / 'VID' / 'val').rglob('*.xml'))[
        None if all_of_them else -1 :
    ]:
        file.unlink()
    with pytest.raises(
        DataError,
        match=r'the annotation .*\.xml does not exist\. To detect without an evaluation: '
        '--set TEST.DETECT_ONLY=true',
    ):
        run_test(path)
    results = run_test(path, DETECT_ONLY=True)
    assert (
        'mAP' not in results
        and os.path.getsize(results['detections']) > 0
        and results['frames'] == 3
    )
    assert (
        'detections: %s\nnot evaluated (TEST.DETECT_ONLY)' % results['detections']
        in capsys.readouterr().out
    )


def test_a_test_set_without_a_box_is_said_before_the_first_frame(data):
    data.annotate(CLIP, annotation(object_xml('cow', 5, 5, 20, 20)))
    with pytest.raises(DataError, match='nothing to evaluate: no box of a listed class in the 6 '
                       'frames .cat, dog'):
        data.test()


def test_the_line_with_the_detections_stands_before_the_evaluation(tmp_path, capsys):
    results = run_test(tiny.write_experiment(tmp_path, 'rfcn', clips=1, length=3))
    printed = capsys.readouterr().out
    assert printed.index('detections: %s' % results['detections']) < printed.index('AP for ball')


def test_the_test_set_is_looked_at_before_the_training(tmp_path, monkeypatch, capsys):
    path = tiny.write_experiment(tmp_path, 'rfcn', clips=1, length=3)
    next((tmp_path / 'toy_vid' / 'Annotations' / 'VID' / 'val').rglob('*.xml')).unlink()
    monkeypatch.setattr(commands, 'train_net', lambda *_: pytest.fail('training began'))
    monkeypatch.setattr('sys.argv', ['x', '--cfg', str(path)])
    with pytest.raises(SystemExit):
        commands.train_and_test(tiny.fresh_task('rfcn'), '')
    assert 'To detect without an evaluation' in capsys.readouterr().err


# ---- lists


@pytest.mark.parametrize(
    'name, lines',
    [
        ('VID_double', ['val/v/000000  1', 'val/v/000001\t2']),
        ('VID_ext', ['val/v/000000.JPEG 1', 'val/v/000001.jpeg 2']),
        ('VID_back', ['val\\v\\000000 1', 'val\\v\\000001 2']),
        ('VID_train_back', ['val\\v  1 0 6', ' val/v 1\t1 6']),
    ],
)
def test_lists_of_other_tools(data, name, lines):
    data.image_set(name, *lines)
    records = data.train(image_set=name)
    assert [record.image for record in records] == [str(data.frame(CLIP, i)) for i in range(2)]
    assert [record.image for record in data.train(image_set='VID_train_x + %s' % name)][-2:] == [
        record.image for record in records
    ]
    with pytest.raises(ConfigError, match='must name image sets, joined by +'):
        data.train(image_set=' + ')
