"""Datumaro: items with annotations."""
import json

import pytest

from dff.errors import DataError
from tests.helpers.import_tools import image, run_import, video


def write(path, tree):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree), encoding='utf-8')
    return path


def datumaro(*items, **more):
    return dict({'dm_format_version': '1.0', 'media_type': 2, 'info': {}, 'categories': {
        'label': {'labels': [{'name': name, 'parent': '', 'attributes': []}
                             for name in ('traffic light', 'person')],
                  'attributes': ['occluded']}, 'points': {'items': []}},
        'items': list(items)}, **more)


def item(name, *annotations, **more):
    return dict({'id': name, 'annotations': list(annotations), 'attr': {}, 'image': {
        'path': name + '.jpg', 'size': [40, 60]}}, **more)


def bbox(label, x, y, width, height, **attributes):
    return {'id': 0, 'type': 'bbox', 'attributes': dict({'occluded': False}, **attributes),
            'group': 0, 'label_id': label, 'z_order': 0, 'bbox': [x, y, width, height]}


def test_datumaro_stills(tmp_path):
    """Its own folders: annotations/<subset>.json, images/<subset>; subsets are parts."""
    src = tmp_path / 'src'
    for path in ('train/a', 'train/b', 'train/c', 'Validation/a'):
        image(src / ('images/%s.jpg' % path))
    polygon = {'type': 'polygon', 'label_id': 1, 'points': [5, 9, 30.5, 2, 20, 30]}
    write(src / 'annotations/train.json', datumaro(
        item('a', bbox(0, 5, 6, 20.5, 10), {'type': 'mask', 'label_id': 0, 'rle': {}}),
        item('b', polygon, bbox(1, 20, 15, 20, 10, rotation=90.0)), item('c')))
    write(src / 'annotations/Validation.json', datumaro(
        item('a', bbox(1, 0, 0, 60, 40), bbox(1, 1, 1, 9, 9, is_crowd=True), media={'path': 'x'})))
    data = run_import('datumaro', src, tmp_path / 'out')
    assert data.classes == ['traffic_light traffic light', 'person']
    assert data.boxes('DET_train_all') == {
        'train/a': [('traffic light', 5, 6, 24.5, 15)],
        'train/b': [('person', 5, 2, 29.5, 29), ('person', 25, 10, 34, 29)]}
    assert data.clips() == [('val/a', 1)]
    assert data.boxes('VID_val_frames') == {'val/a/000000': [('person', 0, 0, 59, 39)]}
    for text in ('1 annotations: mask, no boxes', '1 boxes: polygons became', '1 boxes: is_crowd',
                 '1 boxes: turned rectangles became'):
        assert data.said(text)


def test_datumaro_of_cvat(tmp_path):
    """Tracks of a video: attributes.track_id, keyframe; frames by name or by attr.frame."""
    src = tmp_path / 'walk'
    for name in ('frame_000000', 'frame_000001', 'x'):
        image(src / ('images/default/%s.jpg' % name))
    write(src / 'annotations/default.json', datumaro(
        item('frame_000000', bbox(1, 1, 2, 10, 10, track_id=4, keyframe=True), attr={'frame': 0}),
        item('frame_000001', bbox(1, 2, 2, 10, 10, track_id=4, keyframe=False, occluded=True),
             attr={'frame': 1}, image={'path': '', 'size': [40, 60]}),
        item('x', bbox(0, 1, 1, 9, 9), attr={'frame': 7})))
    data = run_import('datumaro', src, tmp_path / 'out', clips=True, val_clips=['x'])
    first, second = (data.xml('VID/train/walk/%06d' % i) for i in (0, 1))
    for tag, values in (('trackid', '44'), ('generated', '01'), ('occluded', '01')):
        for text, value in zip((first, second), values):
            assert '<%s>%s<' % (tag, value) in text
    assert data.boxes('VID_train_15frames')['train/walk/000001'] == [('person', 2, 2, 11, 11)]
    assert data.clips() == [('val/x', 1)]


def test_datumaro_frames_of_a_video(tmp_path):
    video(tmp_path / 'src/videos/walk.mp4', 4)
    write(tmp_path / 'src/annotations/train.json', datumaro(*[
        {'id': 'walk_%d' % i, 'annotations': [bbox(0, i, 0, 9, 9)],
         'video_frame': {'video_path': '/home/x/walk.mp4', 'frame_index': i}} for i in (0, 2)]))
    data = run_import('datumaro', tmp_path / 'src', tmp_path / 'out', clips=True, val=0)
    boxes = data.boxes('VID_train_15frames')
    assert sorted(box for found in boxes.values() for box in found) == [
        ('traffic light', 0, 0, 8, 8), ('traffic light', 2, 0, 10, 8)]


@pytest.mark.parametrize('tree, text', [
    ([], 'categories.label.labels: expected a list of objects, found NoneType; a Datumaro file'),
    (datumaro(items=3), 'items: expected a list of objects, found int'),
    (datumaro({'annotations': []}), 'item 0: expected an id'),
    (datumaro(item('a', 3)), 'item a, annotations, entry 0: expected an object'),
    (datumaro(categories={'label': {'labels': [{}]}}), 'labels, entry 0: expected a name'),
    (datumaro({'id': '../../secret/b'}), 'none of the 1 images'),
    (datumaro(item('x', image={'path': '/../../secret/b.jpg'})), 'none of the 1 images'),
    (datumaro({'id': '..'}), 'names no file'),
    (datumaro(), 'none of the 0 images'),
])
def test_datumaro_bad_files(tmp_path, tree, text):
    image(tmp_path / 'secret/b.jpg')
    file = write(tmp_path / 'src/in/x.json', tree)
    with pytest.raises(DataError, match=text):
        run_import('datumaro', file, tmp_path / 'out', val=0)


def test_datumaro_wrong_values_are_counted(tmp_path):
    image(tmp_path / 'src/a.jpg')
    good = bbox(0, 1, 2, 3, 4)
    bad = [dict(good, **more) for more in (
        {'bbox': [1, 2]}, {'bbox': None}, {'bbox': [1, 'x', 3, 4]}, {'bbox': [1, 10 ** 400, 3, 4]},
        {'label_id': 2}, {'label_id': -1}, {'label_id': None}, {'type': ['bbox']},
        {'attributes': {'rotation': 'x'}}, {'type': 'polygon', 'points': [1, 2, 3]},
        {'type': 'polygon', 'points': [1, 2, 3, 'x']})]
    last = dict(good, attributes={'track_id': 'x', 'occluded': 'no'})
    file = write(tmp_path / 'src/x.json', datumaro(item('a', *bad, last, image={
        'path': 3, 'size': ['x', {}]}, attr=[1])))
    data = run_import('datumaro', file, tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [('traffic light', 1, 2, 3, 5)]}
    for text in ('3 boxes: bbox is not', '4 boxes: a coordinate is no number',
                 '3 boxes: label_id is none', "1 annotations: ['bbox'], no boxes"):
        assert data.said(text)


def test_datumaro_of_other_images(tmp_path):
    image(tmp_path / 'src/a.jpg', 40, 40)
    file = write(tmp_path / 'src/x.json', datumaro(item('a', bbox(0, 1, 2, 3, 4))))
    with pytest.raises(DataError, match='their size is not the one'):
        run_import('datumaro', file, tmp_path / 'out', val=0)
