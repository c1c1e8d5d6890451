"""KITTI: object detection and tracking."""
import pytest

from dff.errors import DataError
from tests.helpers.import_tools import image, run_import, video

SPACE = ' 1.89 0.48 1.20 1.84 1.47 8.41 0.01'
CAR = 'Car 0.00 0 1.85 10.00 5.00 29.50 34.25' + SPACE


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(line + '\n' for line in lines))


def test_detection(tmp_path):
    training = tmp_path / 'object/training'
    for number in range(3):
        image(training / ('image_2/%06d.png' % number))
        image(training / ('image_3/%06d.png' % number))
    text(training / 'calib/000000.txt', 'P0: 7.070493000000e+02 0.0')
    text(training / 'label_2/000000.txt', CAR, 'Person_sitting 0.5 2 0 0 0 4 5' + SPACE,
         'DontCare -1 -1 -10 1.00 1.00 9.00 9.00 -1 -1 -1 -1000 -1000 -1000 -10',
         'Cyclist 0 3 0 1 1 2 2' + SPACE + ' 0.97')
    text(training / 'label_2/000001.txt')
    data = run_import('kitti', tmp_path / 'object', tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {
        'train/000000': [('Car', 10, 5, 29.5, 34.25), ('Person_sitting', 0, 0, 4, 5),
                         ('Cyclist', 1, 1, 2, 2)]}
    assert data.classes == ['Car', 'Person_sitting', 'Cyclist']
    assert data.xml('DET/train/000000').count('<occluded>1') == 1
    assert data.said('1 boxes: DontCare') and data.said('4 images: no annotation')


def test_tracking(tmp_path):
    training = tmp_path / 'tracking/training'
    for name in ('0000', '0001'):
        for number in range(3):
            image(training / ('image_02/%s/%06d.png' % (name, number)))
            image(training / ('image_03/%s/%06d.png' % (name, number)), grey=9)
        text(training / ('label_02/%s.txt' % name), '0 0 ' + CAR,
             '2 0 ' + CAR.replace('10.00', '11.0'),
             '0 3 Pedestrian 0 2 0 1 2 3 4' + SPACE, '7 3 Pedestrian 0 2 0 1 2 3 4' + SPACE,
             '0 -1 DontCare -1 -1 -10.0 2 2 8 8 -1000 -1000 -1000 -10 -1 -1 -1')
    data = run_import('kitti', tmp_path / 'tracking', tmp_path / 'out', val_clips=['training/0001'])
    clip = 'train/0000/00000'
    assert data.boxes('VID_train_15frames') == {
        clip + '0': [('Car', 10, 5, 29.5, 34.25), ('Pedestrian', 1, 2, 3, 4)],
        clip + '2': [('Car', 11, 5, 29.5, 34.25)]}
    first = data.xml('VID/%s0' % clip)
    assert '<trackid>0</trackid>' in first and '<trackid>3</trackid>' in first
    assert first.count('<occluded>1') == 1
    assert data.clips() == [('val/0001', 3)] and data.said('2 boxes: DontCare')
    assert data.said('2 frames: labelled, but the clip does not have them (')


def test_tracking_of_videos_and_frames_elsewhere(tmp_path):
    for name in ('a', 'b', 'c'):
        text(tmp_path / 'label_02' / (name + '.txt'), '2 0 ' + CAR)
    video(tmp_path / 'frames/a.mp4', 4)
    image(tmp_path / 'frames/b/000002.png')
    data = run_import('kitti', tmp_path / 'label_02', tmp_path / 'out', val=0,
                      frames=str(tmp_path / 'frames'))
    assert data.boxes('VID_train_15frames') == {
        'train/a/000002': [('Car', 10, 5, 29.5, 34.25)],
        'train/b/000000': [('Car', 10, 5, 29.5, 34.25)]}
    assert data.said('1 sequences: no frames (image_02/<name>) and no video of their name (c)')


@pytest.mark.parametrize('lines, found', [
    (['0 1 2'], r"line 1: expected 'type truncated .*' \(detection\) or 'frame track type"),
    (['{"a": 1}'], 'line 1: expected'),
    ([CAR, '', CAR + ' 1 2'], "line 3: expected 'type truncated"),
    ([CAR, '0 0 ' + CAR], "line 2: expected 'type"),
    ([CAR.replace('Car', '3')], "line 1: expected 'type"),
    ([CAR, 'Car'], "line 2: expected 'type")])
def test_texts_of_another_kind(tmp_path, lines, found):
    image(tmp_path / 'src/image_2/a.png')
    text(tmp_path / 'src/label_2/a.txt', *lines)
    with pytest.raises(DataError, match=r'a\.txt, ' + found):
        run_import('kitti', tmp_path / 'src', tmp_path / 'out', val=0)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('line', [CAR, 'x 0 ' + CAR, 'nan 0 ' + CAR, '0 y ' + CAR, '0 0.5 ' + CAR,
                                  '9' * 400 + ' 0 ' + CAR, '0 0 ' + CAR.replace('Car', '5')])
def test_lines_that_are_not_of_a_sequence(tmp_path, line):
    image(tmp_path / 'src/image_02/a/000000.png')
    text(tmp_path / 'src/label_02/a.txt', '0 0 ' + CAR, line)
    with pytest.raises(DataError, match=r"a\.txt, line 2: expected 'frame track type"):
        run_import('kitti', tmp_path / 'src', tmp_path / 'out', val=0)


def test_values_that_cannot_be(tmp_path):
    image(tmp_path / 'src/image_2/a.png')
    text(tmp_path / 'src/label_2/a.txt', CAR, CAR.replace('10.00', 'nan'), CAR.replace('5.00', 'x'),
         CAR.replace('29.50', '1e400'), CAR.replace('29.50', '1e300'), CAR.replace('29.50', '2'))
    data = run_import('kitti', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [('Car', 10, 5, 29.5, 34.25),
                                                       ('Car', 10, 5, 59, 34.25)]}
    assert data.said('3 boxes: a coordinate is no number') and data.said('1 boxes: smaller')


def test_nothing_there(tmp_path):
    (tmp_path / 'src').mkdir()
    with pytest.raises(DataError, match=r'expected label_2/\*\.txt \(detection\)'):
        run_import('kitti', tmp_path / 'src', tmp_path / 'out')
    text(tmp_path / 'src/label_02/a.txt', '0 0 ' + CAR)
    with pytest.raises(DataError, match='found no sequence; expected image_02/'):
        run_import('kitti', tmp_path / 'src', tmp_path / 'out')
    text(tmp_path / 'other/label_2/a.txt', CAR)
    with pytest.raises(DataError, match='none of the 1 images that it lists is there'):
        run_import('kitti', tmp_path / 'other', tmp_path / 'out')
