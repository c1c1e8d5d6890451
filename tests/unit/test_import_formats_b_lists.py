"""BDD100K: lists of frames."""
import json

import pytest

from dff.errors import DataError
from tests.helpers.import_tools import image, run_import


def write(path, tree):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree), encoding='utf-8')
    return path


def label(identity, category, *corners, **more):
    attributes = dict({'occluded': False, 'truncated': False, 'crowd': False}, **more)
    return {'id': identity, 'category': category, 'attributes': attributes,
            'box2d': dict(zip(('x1', 'y1', 'x2', 'y2'), corners))}


def frame(video, index, *labels, **more):
    return dict({'name': '%s-%07d.jpg' % (video, index + 1), 'videoName': video,
                 'frameIndex': index, 'labels': list(labels)}, **more)


def test_bdd100k_tracks(tmp_path):
    """The folders of the tracking set: corners as they stand, text ids become numbers."""
    src = tmp_path / 'bdd100k'
    for part, video in (('train', 'b1c66a42-6f7d68ca'), ('val', 'b1cac6a7-04e33135')):
        write(src / 'labels/box_track_20' / part / (video + '.json'), [
            frame(video, 1, label('00000009', 'car', 3, 4, 30.5, 20, occluded=True),
                  label('00000010', 'pedestrian', 1, 1, 9, 9, crowd=True)),
            frame(video, 0, label('00000010', 'pedestrian', 0, 0, 59, 39),
                  label('00000009', 'car', 2, 4, 29, 20)),
            frame(video, 2, labels=None)])
        for i in (1, 2, 3):
            image(src / 'images/track' / part / video / ('%s-%07d.jpg' % (video, i)))
    data = run_import('bdd100k', src, tmp_path / 'out')
    assert data.classes == ['car', 'pedestrian'] and data.clips() == [('val/b1cac6a7-04e33135', 3)]
    start = 'train/b1c66a42-6f7d68ca/%06d'
    assert data.boxes('VID_train_15frames') == {
        start % 0: [('pedestrian', 0, 0, 59, 39), ('car', 2, 4, 29, 20)],
        start % 1: [('car', 3, 4, 30.5, 20)]}
    second = data.xml('VID/' + start % 1)
    assert '<trackid>0<' in second and '<occluded>1<' in second
    assert '<trackid>0<' in data.xml('VID/' + start % 0) and data.said('2 boxes: crowd')


def test_bdd100k_images(tmp_path):
    """A list of images, Scalabel's object with frames and config, and the file of an image."""
    src = tmp_path / 'src'
    for name in 'abcd':
        image(src / ('images/100k/train/%s.jpg' % name))
    lane = {'category': 'lane', 'id': 3, 'poly2d': [{'vertices': [[1, 2]]}]}
    write(src / 'labels/bdd100k_labels_images_train.json', [
        {'name': 'a.jpg', 'attributes': {'weather': 'clear'}, 'timestamp': 10000,
         'labels': [label(0, 'bus', 1, 2, 3, 4), lane]}])
    write(src / 'labels/det_train.json', {
        'frames': [{'name': 'b.jpg', 'size': {'width': 120, 'height': 80},
                    'labels': [label('1', 'car', 0, 0, 59, 39)]}],
        'config': {'categories': [{'name': 'rider'}, {'name': 'car'}]}})
    write(src / 'labels/100k/train/c.json', {
        'name': 'c', 'attributes': {}, 'frames': [{'timestamp': 10000, 'objects': [
            {'category': 'car', 'id': 1, 'attributes': {}, 'box2d': {
                'x1': 5, 'y1': 6, 'x2': 7, 'y2': 8}}]}]})
    data = run_import('bdd100k', src, tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {
        'train/a': [('bus', 1, 2, 3, 4)], 'train/b': [('car', 0, 0, 29, 19)],
        'train/c': [('car', 5, 6, 7, 8)]}
    assert data.said('1 labels: without box2d') and data.said('labelled at another size')


def test_bdd100k_frames_are_those_of_their_video(tmp_path):
    """Frames of several videos may have the same names; a missing one is not taken from another."""
    src = tmp_path / 'src'
    for name in ('x/0001.jpg', 'y/0001.jpg', 'x/0002.jpg'):
        image(src / name)
    write(src / 'a.json', [
        dict(frame(video, i, label(1, 'car', at, 1, 9, 9)), name='000%d.jpg' % (i + 1))
        for video, at in (('x', 1), ('y', 2)) for i in (0, 1)] + [frame('x', 1)])
    data = run_import('bdd100k', src, tmp_path / 'out', val=0)
    assert data.boxes('VID_train_15frames') == {
        'train/x/000000': [('car', 1, 1, 9, 9)], 'train/x/000001': [('car', 1, 1, 9, 9)],
        'train/y/000000': [('car', 2, 1, 9, 9)]}
    assert data.said('1 images: the file is missing') and data.said('has the same frameIndex')


@pytest.mark.parametrize('tree, text', [
    (3, 'expected a list of objects, found int; a BDD100K or Scalabel file'),
    ({'images': []}, 'frames: expected a list of objects, found NoneType'),
    ([{'labels': []}], 'frame 0: expected a name'),
    ([{'name': 'a.jpg', 'labels': 7}], 'labels: expected a list'),
    ([{'name': 'a.jpg', 'labels': [7]}], 'labels, entry 0: expected an object'),
    ({'name': 'a', 'frames': []}, 'expected the one frame of an image, found 0'),
    ([{'name': '../../secret/b.jpg', 'labels': []}], 'none of the 1 images'),
    ([{'name': '/', 'labels': []}], 'names no file'),
    ([frame('../../secret', 0, name='b.jpg')], 'none of the images'),
    ([], 'none of the images'),
])
def test_bdd100k_bad_files(tmp_path, tree, text):
    image(tmp_path / 'secret/b.jpg')
    image(tmp_path / 'src/in/a.jpg')
    file = write(tmp_path / 'src/in/x.json', tree)
    with pytest.raises(DataError, match=text):
        run_import('bdd100k', file, tmp_path / 'out', val=0)


def test_bdd100k_wrong_values_are_counted(tmp_path):
    image(tmp_path / 'src/a.jpg')
    bad = [label(1, 'car', 'x', 0, 9, 9), label(1, 'car', 0, 0, 10 ** 400, 9), {'box2d': {}},
           label(1, 'car', 0, 0), {'category': 'car', 'box2d': [1, 2, 3, 4]},
           {'category': ['car'], 'box2d': {}}, dict(label(1, 'car', 1, 2, 3, 4), attributes=3)]
    file = write(tmp_path / 'src/x.json', [dict(frame('v', 0, *bad), name='a.jpg', videoName=[1])])
    data = run_import('bdd100k', file, tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [('car', 1, 2, 3, 4)]}
    assert data.said('3 boxes: a coordinate is no number')
    assert data.said('3 boxes: without category')
