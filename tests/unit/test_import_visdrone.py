"""VisDrone: DET, VID and MOT."""
import re

import pytest

from dff.errors import DataError
from tests.helpers.import_tools import image, run_import, video


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(line + '\n' for line in lines))


def test_images(tmp_path):
    src = tmp_path / 'VisDrone'
    for part in ('train', 'val', 'test-dev'):
        folder = src / ('VisDrone2019-DET-' + part)
        image(folder / 'images/0000002_00005_d_0000014.jpg')
        text(folder / 'annotations/0000002_00005_d_0000014.txt', '10,5,20,30,1,4,0,0',
             '1,2,3,4,1,1,1,2,', '5,5,9,9,0,0,0,0', '5,5,9,9,0,5,0,0', '5,5,9,9,1,11,0,1',
             '5,5,9,9,1,12,0,1', '5,5,x,9,1,1,0,1', '5,5,0,9,1,1,0,1')
    image(src / 'VisDrone2019-DET-train/images/empty.jpg')
    text(src / 'VisDrone2019-DET-train/annotations/empty.txt')
    data = run_import('visdrone', src, tmp_path / 'out')
    name = 'train/VisDrone2019-DET-train/0000002_00005_d_0000014'
    assert data.boxes('DET_train_all') == {
        name: [('car', 10, 5, 29, 34), ('pedestrian', 1, 2, 3, 5), ('others', 5, 5, 13, 13)]}
    assert data.classes == ['pedestrian', 'car', 'others']
    assert data.xml('DET/' + name).count('<occluded>1') == 1
    assert data.clips() == [('val/VisDrone2019-DET-val/0000002_00005_d_0000014', 1)]
    for line in ('2 boxes: regions to ignore', '2 boxes: marked as not to be considered (score 0)',
                 '2 boxes: the category is none of 0 to 11', '2 boxes: a coordinate is no number',
                 '2 boxes: smaller than a pixel', '1 images: of the test part'):
        assert data.said(line), (line, data.lines)


def test_sequences(tmp_path):
    src = tmp_path / 'VisDrone2019-VID-train'
    for name in ('uav0000013_00000_v', 'uav0000013_01073_v'):
        for number in range(1, 4):
            image(src / 'sequences' / name / ('%07d.jpg' % number))
        text(src / 'annotations' / (name + '.txt'), '1,0,10,5,20,30,1,4,0,0',
             '3,0,11,5,20,30,1,4,0,2',
             '1,7,2,2,5,5,1,10,0,0', '2,0,1,1,9,9,0,0,0,0', '9,1,1,1,5,5,1,1,0,0',
             '1,-1,0,0,4,4,1,6,0,0')
    data = run_import('visdrone', src, tmp_path / 'out', val_clips=['uav0000013_01073_v'])
    clip = 'train/uav0000013_00000_v/00000'
    assert data.boxes('VID_train_15frames') == {
        clip + '0': [('car', 10, 5, 29, 34), ('motor', 2, 2, 6, 6), ('truck', 0, 0, 3, 3)],
        clip + '2': [('car', 11, 5, 30, 34)]}
    first, last = data.xml('VID/%s0' % clip), data.xml('VID/%s2' % clip)
    assert re.findall('<trackid>(.*)</trackid>', first) == ['0', '7']
    assert '<trackid>0</trackid>' in last and '<occluded>1' in last
    assert data.clips() == [('val/uav0000013_01073_v', 3)]
    assert data.said('2 frames: labelled, but the clip does not have them (')
    assert data.said('frame 9') and data.said('2 boxes: regions to ignore')


def test_a_video_and_a_sequence_without_frames(tmp_path):
    src = tmp_path / 'src'
    video(tmp_path / 'videos/a.mp4', 3)
    for name in ('a', 'b'):
        text(src / 'annotations' / (name + '.txt'), '3,0,10,5,20,30,1,4,0,0')
    data = run_import('visdrone', src, tmp_path / 'out', frames=str(tmp_path / 'videos'), val=0)
    assert data.boxes('VID_train_15frames') == {'train/a/000002': [('car', 10, 5, 29, 34)]}
    assert data.said('1 sequences: no frames (sequences/<name>)')


@pytest.mark.parametrize('line, found', [
    ('1,2,3', r"expected 'left,top,.*' \(DET\) or 'frame,target,left,"),
    ('{"a": 1}', 'expected'), ('1 2 3 4 5 6 7 8', 'expected')])
def test_texts_of_another_kind(tmp_path, line, found):
    image(tmp_path / 'src/images/a.jpg')
    text(tmp_path / 'src/annotations/a.txt', '', line)
    with pytest.raises(DataError, match=r'a\.txt, line 2: ' + found):
        run_import('visdrone', tmp_path / 'src', tmp_path / 'out', val=0)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('line', ['1,1,5,5,1,1,0', '1,0,1,1,5,5,1,1,0,0', '1,1,5,5,1,x,0,0', '1'])
def test_lines_that_are_not_of_an_image(tmp_path, line):
    image(tmp_path / 'src/images/a.jpg')
    text(tmp_path / 'src/annotations/a.txt', '1,1,5,5,1,1,0,0', line)
    with pytest.raises(DataError, match=r"a\.txt, line 2: expected 'left,top,width"):
        run_import('visdrone', tmp_path / 'src', tmp_path / 'out', val=0)


@pytest.mark.parametrize('line', ['1,1,5,5,1,1,0,0', '1,x,1,1,5,5,1,1,0,0', 'nan,0,1,1,5,5,1,1,0,0',
                                  '1.5,0,1,1,5,5,1,1,0,0', '1' * 400 + ',0,1,1,5,5,1,1,0,0'])
def test_lines_that_are_not_of_a_sequence(tmp_path, line):
    image(tmp_path / 'src/sequences/a/0000001.jpg')
    text(tmp_path / 'src/annotations/a.txt', '1,0,1,1,5,5,1,1,0,0', line)
    with pytest.raises(DataError, match=r"a\.txt, line 2: expected 'frame,target,left"):
        run_import('visdrone', tmp_path / 'src', tmp_path / 'out', val=0)


def test_huge_numbers_and_no_images(tmp_path):
    text(tmp_path / 'src/annotations/a.txt', '1,1,1e400,%s,1,1,0,0' % ('9' * 400),
         '1,1,1e300,5,1,1,0,0')
    with pytest.raises(DataError, match='none of the 1 images that it lists is there'):
        run_import('visdrone', tmp_path / 'src', tmp_path / 'out', val=0)
    image(tmp_path / 'src/images/a.jpg')
    data = run_import('visdrone', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [('pedestrian', 1, 1, 59, 5)]}
    assert data.said('1 boxes: a coordinate is no number')


def test_nothing_there(tmp_path):
    (tmp_path / 'src').mkdir()
    with pytest.raises(DataError, match=r'expected annotations/\*\.txt of VisDrone'):
        run_import('visdrone', tmp_path / 'src', tmp_path / 'out')
    text(tmp_path / 'src/annotations/a.txt', '1,0,1,1,5,5,1,1,0,0')
    with pytest.raises(DataError, match='found no sequence; expected sequences/'):
        run_import('visdrone', tmp_path / 'src', tmp_path / 'out')
