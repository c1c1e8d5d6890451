"""YouTube-VIS: clips whose frames a file lists."""
import json

import pytest

from dff.errors import DataError
from tests.helpers.import_tools import image, run_import


def write(path, tree):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree), encoding='utf-8')
    return path


def vis(videos, annotations, **more):
    return dict({'info': {}, 'licenses': [], 'categories': [
        {'id': 1, 'name': 'person', 'supercategory': 'object'},
        {'id': 26, 'name': 'giant panda', 'supercategory': 'object'}], 'videos': [
        dict({'id': i, 'width': 60, 'height': 40, 'length': len(names), 'file_names': names}, **m)
        for i, (names, m) in enumerate(videos, 1)], 'annotations': [
        dict({'id': i, 'iscrowd': 0, 'areas': [], 'height': 40, 'width': 60,
              'segmentations': [{'counts': [1], 'size': [40, 60]}]}, **a)
        for i, a in enumerate(annotations, 11)]}, **more)


def names_of(clip, count):
    return ['%s/%05d.jpg' % (clip, 5 * i) for i in range(count)]


@pytest.fixture
def src(tmp_path):
    """Its own folders: train.json, train/JPEGImages/<video>, valid.json without labels."""
    root = tmp_path / 'src'
    for name in names_of('0043f083b5', 3) + names_of('00ad5016a4', 2):
        image(root / 'train/JPEGImages' / name)
    videos = [(names_of('0043f083b5', 3), {}), (names_of('00ad5016a4', 2), {})]
    write(root / 'train.json', vis(videos, [
        {'video_id': 1, 'category_id': 26, 'bboxes': [[5, 6, 20.5, 10], None, [0, 0, 60, 40]]},
        {'video_id': 1, 'category_id': 1, 'bboxes': [None, [1, 2, 3, 4], []]},
        {'video_id': 2, 'category_id': 1, 'bboxes': [[1, 1, 9, 9], [2, 1, 9, 9]], 'iscrowd': 1},
        {'video_id': 2, 'category_id': 1, 'bboxes': [[1, 1, 9, 9], [2, 1, 9, 9]]}]))
    write(root / 'valid.json', {k: v for k, v in vis([(names_of('x', 1), {})], []).items()
                                if k != 'annotations'})
    write(root / 'meta.json', {'videos': {}})
    return root


def test_youtube_vis(src, tmp_path):
    data = run_import('youtube-vis', src, tmp_path / 'out', val_clips=['00ad5016a4'])
    assert data.classes == ['person', 'giant_panda giant panda']
    assert data.boxes('VID_train_15frames') == {
        'train/0043f083b5/000000': [('giant panda', 5, 6, 24.5, 15)],
        'train/0043f083b5/000001': [('person', 1, 2, 3, 5)],
        'train/0043f083b5/000002': [('giant panda', 0, 0, 59, 39)]}
    assert data.clips() == [('val/00ad5016a4', 2)]
    tracks = [data.xml('VID/train/0043f083b5/%06d' % i) for i in range(3)]
    assert [text.count('<trackid>11<') for text in tracks] == [1, 0, 1]
    assert '<trackid>12<' in tracks[1]
    for text in ('1 tracks: iscrowd', '1 files: without annotations', '1 files: no YouTube-VIS'):
        assert data.said(text)


def test_youtube_vis_parts_and_missing_images(src, tmp_path):
    """The file says the part; frames whose image is missing are counted, the others keep theirs."""
    image(src / 'valid/JPEGImages/x/00000.jpg')
    write(src / 'valid.json', vis([(names_of('x', 1), {})], [
        {'video_id': 1, 'category_id': 1, 'bboxes': [[3, 3, 5, 5]]}]))
    (src / 'train/JPEGImages/0043f083b5/00005.jpg').unlink()
    data = run_import('youtube-vis', src, tmp_path / 'out')
    assert data.clips() == [('val/x', 1)] and data.said('1 images: the file is missing')
    assert data.boxes('VID_val_frames') == {'val/x/000000': [('person', 3, 3, 7, 7)]}
    boxes = data.boxes('VID_train_15frames')
    assert boxes['train/0043f083b5/000001'] == [('giant panda', 0, 0, 59, 39)]


@pytest.mark.parametrize('change, text', [
    ({'videos': 3}, "the list 'videos' is not there; a YouTube-VIS file has"),
    ({'annotations': [3]}, 'annotations, entry 0: expected an object, found int'),
    ({'categories': None}, 'categories: expected a list of objects, found NoneType'),
    ({'categories': [{'id': 1}]}, 'a category needs id and name'),
    ({'videos': [{'id': [1]}]}, 'a video needs an id'),
    ({'videos': [{'id': 1, 'file_names': 'a.jpg'}]}, 'video 1: expected file_names'),
    ({'videos': [{'id': 1, 'file_names': ['..']}]}, 'names no file'),
    ({'videos': [{'id': 1, 'file_names': ['../../secret/0.jpg']}]}, 'none of the images'),
    ({'videos': [{'id': 1, 'file_names': []}]}, 'none of the images'),
])
def test_youtube_vis_bad_files(tmp_path, change, text):
    image(tmp_path / 'secret/0.jpg')
    file = write(tmp_path / 'src/a/train.json', dict(vis([(['v/0.jpg'], {})], []), **change))
    with pytest.raises(DataError, match=text):
        run_import('youtube-vis', file, tmp_path / 'out', val=0)


def test_youtube_vis_wrong_values_are_counted(tmp_path):
    image(tmp_path / 'src/v/0.jpg')
    good = {'video_id': 1, 'category_id': 1, 'bboxes': [[1, 2, 3, 4]]}
    bad = [dict(good, **more) for more in (
        {'video_id': 9}, {'category_id': []}, {'bboxes': None}, {'bboxes': [[1, 2, 3, 4]] * 2},
        {'bboxes': [{'x': 1}]}, {'bboxes': [[1, 'x', 3, 4]]}, {'bboxes': [[1, 2, 10 ** 400, 4]]})]
    write(tmp_path / 'src/a.json', vis([(['v/0.jpg'], {})], [good] + bad))
    data = run_import('youtube-vis', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.boxes('VID_train_15frames') == {'train/v/000000': [('person', 1, 2, 3, 5)]}
    for text in ('2 tracks: their category_id or video_id', '2 tracks: bboxes is not a list',
                 '1 boxes: neither', '2 boxes: a coordinate is no number'):
        assert data.said(text)


def test_youtube_vis_of_other_images(tmp_path):
    image(tmp_path / 'src/v/0.jpg', 40, 40)
    file = write(tmp_path / 'src/a.json', vis([(['v/0.jpg'], {})], [
        {'video_id': 1, 'category_id': 1, 'bboxes': [[1, 2, 3, 4]]}]))
    with pytest.raises(DataError, match='their size is not the one'):
        run_import('youtube-vis', file, tmp_path / 'out', val=0)
