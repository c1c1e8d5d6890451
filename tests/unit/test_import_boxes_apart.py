"""Boxes written after the tools' published descriptions of their exports, not after the readers; each
imported by `auto` or its format and compared by value."""
import json
import zipfile

import pytest

from dff.errors import DataError
from tests.helpers.import_tools import image, run_import, video

HEIGHT, WIDTH = 64, 96


def packed(folder, archive):
    """The zip file `archive` of a folder's files."""
    with zipfile.ZipFile(str(archive), 'w') as stream:
        for path in sorted(folder.rglob('*')):
            if path.is_file():
                stream.write(str(path), path.relative_to(folder).as_posix())
    return archive


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_mot_of_cvat(tmp_path):
    """docs.cvat.ai, format-mot: img1/ and gt/ at the archive's top, class_id from 1 in labels.txt."""
    src = tmp_path / 'src'
    for i in range(3):
        image(src / 'img1' / ('frame_%06d.png' % i), HEIGHT, WIDTH)
    text(src / 'gt/labels.txt', 'cat\ndog\n')
    text(src / 'gt/gt.txt', '1,1,11,21,30,20,1,2,1.0\n3,1,15,21,30,20,1,2,0.5\n2,4,1,1,10,10,0,1,1.0\n')
    data = run_import('auto', packed(src, tmp_path / 'walk.zip'), tmp_path / 'own', val=0)
    assert data.classes == ['dog'] and data.boxes('VID_train_15frames') == {
        'train/walk/000000': [('dog', 10, 20, 39, 39)], 'train/walk/000002': [('dog', 14, 20, 43, 39)]}
    assert '<trackid>1</trackid>' in data.xml('VID/train/walk/000002')
    assert data.said('frames 3')


def test_yolo_of_ultralytics_from_cvat(tmp_path):
    """docs.cvat.ai, format-yolo-ultralytics: data.yaml with lists, images/<part> and labels/<part>."""
    src = tmp_path / 'src'
    text(src / 'data.yaml', 'path: ./\ntrain: train.txt\nval: val.txt\n\nnames:\n  0: person\n  1: bicycle\n')
    for part, name in (('train', 'image1'), ('val', 'image2')):
        image(src / 'images' / part / (name + '.jpg'), HEIGHT, WIDTH)
        text(src / (part + '.txt'), 'data/images/%s/%s.jpg\n' % (part, name))
        text(src / 'labels' / part / (name + '.txt'), '1 0.5 0.5 0.25 0.5\n')
    data = run_import('auto', src, tmp_path / 'own')
    box = ('bicycle', 36, 16, 59, 47)
    assert data.boxes('DET_train_all') == {'train/image1': [box]}
    assert list(data.boxes('VID_val_frames').values()) == [[box]] and data.said('as the data set has them')


def test_voc_of_cvat(tmp_path):
    """docs.cvat.ai, format-voc: labelmap.txt and ImageSets/Main beside; attributes and parts in objects."""
    src = tmp_path / 'src'
    text(src / 'labelmap.txt', "# label : color (RGB) : 'body' parts : actions\nbackground:0,0,0::\ncat:10,20,30::\n")
    for name, part in (('a', 'Train'), ('b', 'Validation')):
        image(src / 'JPEGImages' / (name + '.jpg'), HEIGHT, WIDTH)
        text(src / 'ImageSets/Main' / (part + '.txt'), name + '\n')
        text(src / 'Annotations' / (name + '.xml'),
             '<annotation><folder>JPEGImages</folder><filename>%s.jpg</filename><size><width>%d</width><height>%d</height>'
             '<depth>3</depth></size><segmented>0</segmented><object><name>cat</name><truncated>0</truncated><occluded>1'
             '</occluded><difficult>0</difficult><bndbox><xmin>11.0</xmin><ymin>21.5</ymin><xmax>40.0</xmax><ymax>50.0</ymax>'
             '</bndbox><attributes><attribute><name>rotation</name><value>0.0</value></attribute></attributes></object>'
             '</annotation>' % (name, WIDTH, HEIGHT))
    data = run_import('auto', packed(src, tmp_path / 'task.zip'), tmp_path / 'own')
    assert data.boxes('DET_train_all') == {'train/a': [('cat', 10, 20.5, 39, 49)]}
    assert list(data.boxes('VID_val_frames').values()) == [[('cat', 10, 20.5, 39, 49)]]


def test_coco_of_a_cvat_project(tmp_path):
    """A file for each subset, images/<subset>/, attributes with occluded and track_id."""
    src = tmp_path / 'src'
    for part in ('Train', 'Validation'):
        image(src / 'images' / part / 'frame_000000.png', HEIGHT, WIDTH)
        text(src / 'annotations' / ('instances_%s.json' % part), {
            'licenses': [{'name': '', 'id': 0, 'url': ''}], 'info': {}, 'categories': [
                {'id': 1, 'name': 'cat', 'supercategory': ''}], 'images': [
                {'id': 1, 'width': WIDTH, 'height': HEIGHT, 'file_name': 'frame_000000.png', 'license': 0}],
            'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'segmentation': [], 'area': 600.0, 'iscrowd': 0,
                             'bbox': [10.0, 20.0, 30.0, 20.0], 'attributes': {
                                 'occluded': True, 'rotation': 0.0, 'track_id': 5, 'keyframe': True}}]})
    data = run_import('auto', src, tmp_path / 'own')
    (name, boxes), = data.boxes('DET_train_all').items()
    assert boxes == [('cat', 10, 20, 39, 39)] and '<trackid>5</trackid>' in data.xml('DET/' + name)
    assert list(data.boxes('VID_val_frames').values()) == [boxes]


def label_studio(**more):
    value = {'x': 10.0, 'y': 25.0, 'width': 50.0, 'height': 50.0, 'rotation': 0, 'rectanglelabels': ['Car']}
    return dict({'id': 9, 'type': 'rectanglelabels', 'from_name': 'label', 'to_name': 'image', 'origin': 'manual',
                 'image_rotation': 0, 'original_width': WIDTH, 'original_height': HEIGHT, 'value': value}, **more)


def test_label_studio(tmp_path):
    """A cancelled annotation counts for nothing, a brush has no box; uploads have a prefix, pictures not."""
    src = tmp_path / 'src'
    image(src / 'a.jpg', HEIGHT, WIDTH)
    wrong = label_studio(value={'x': 1, 'y': 1, 'width': 9, 'height': 9, 'rotation': 0, 'rectanglelabels': ['Bus']})
    brush = {'type': 'brushlabels', 'original_width': WIDTH, 'original_height': HEIGHT,
             'value': {'format': 'rle', 'rle': [0, 1], 'brushlabels': ['Car']}}
    text(src / 'project-1-at-2026.json', [{
        'id': 1, 'data': {'image': '/data/upload/3/0a1b2c3d-a.jpg'}, 'predictions': [], 'annotations': [
            {'id': 1, 'was_cancelled': True, 'result': [wrong]},
            {'id': 2, 'was_cancelled': False, 'result': [label_studio(), brush]}]}])
    data = run_import('auto', src, tmp_path / 'own', val=0)
    assert list(data.boxes('DET_train_all').values()) == [[('Car', 9.6, 16, 56.6, 47)]]
    assert any('brushlabels' in line or 'left out' in line for line in data.lines)


def test_yolo_of_label_studio(tmp_path):
    """classes.txt and notes.json beside images/ and labels/, names with the prefix of their upload."""
    src = tmp_path / 'src'
    text(src / 'classes.txt', 'Bus\nCar\n')
    text(src / 'notes.json', {'categories': [{'id': 0, 'name': 'Bus'}, {'id': 1, 'name': 'Car'}], 'info': {}})
    image(src / 'images/0a1b2c3d-a.jpg', HEIGHT, WIDTH)
    text(src / 'labels/0a1b2c3d-a.txt', '1 0.5 0.5 0.25 0.5\n')
    data = run_import('auto', src, tmp_path / 'own', val=0)
    assert list(data.boxes('DET_train_all').values()) == [[('Car', 36, 16, 59, 47)]]


def test_kitti_of_cvat(tmp_path):
    """docs.cvat.ai, format-kitti: <subset>/image_2 and <subset>/label_2, label_colors.txt at the top."""
    src = tmp_path / 'src'
    text(src / 'label_colors.txt', '# label : color (RGB)\n0 0 0 background\n10 20 30 car\n')
    for name in ('image1', 'image2'):
        image(src / 'default/image_2' / (name + '.png'), HEIGHT, WIDTH)
        text(src / 'default/label_2' / (name + '.txt'),
             'car 0.0 0 -1 10.0 20.0 40.0 40.0 -1 -1 -1 -1 -1 -1 -1\n')
    data = run_import('auto', src, tmp_path / 'own', val=0)
    boxes = data.boxes('DET_train_all')
    assert len(boxes) == 2 and all([box[0] for box in found] == ['car'] for found in boxes.values())
    assert [found[0][1:] for found in boxes.values()] == [(10, 20, 40, 40)] * 2


def test_bdd100k_of_2018(tmp_path):
    """Its first release: attributes, a timestamp, lanes and areas as poly2d among the labels."""
    src = tmp_path / 'src'
    image(src / 'b1c66a42-6f7d68ca.jpg', HEIGHT, WIDTH)
    text(src / 'bdd100k_labels_images_val.json', [{
        'name': 'b1c66a42-6f7d68ca.jpg', 'attributes': {'weather': 'overcast'}, 'timestamp': 10000, 'labels': [
            {'category': 'traffic sign', 'attributes': {'occluded': True, 'truncated': False}, 'manualShape': True,
             'box2d': {'x1': 10.0, 'y1': 20.0, 'x2': 39.0, 'y2': 39.0}, 'id': 0},
            {'category': 'drivable area', 'attributes': {}, 'poly2d': [{'vertices': [[1, 2], [3, 4], [5, 1]],
                                                                       'types': 'LLL', 'closed': True}], 'id': 1}]}])
    data = run_import('auto', src, tmp_path / 'own', val=1)
    assert list(data.boxes('VID_val_frames').values()) == [[('traffic sign', 10, 20, 39, 39)]]
    assert data.said('left out:') and data.classes == ['traffic_sign traffic sign']


def test_outlines_of_ultralytics(tmp_path):
    """class x1 y1 x2 y2 ...: the box around it, and a line."""
    src = tmp_path / 'src'
    text(src / 'data.yaml', 'names: [cat]\ntrain: ../train/images\nval: ../valid/images\n')
    for part in ('train', 'valid'):
        image(src / part / ('images/a%s.jpg' % part[0]), HEIGHT, WIDTH)
        text(src / part / ('labels/a%s.txt' % part[0]), '0 0.25 0.25 0.75 0.25 0.75 0.75 0.5 0.9375\n')
    data = run_import('auto', src, tmp_path / 'own')
    assert list(data.boxes('DET_train_all').values()) == [[('cat', 24, 16, 71, 59)]]
    assert data.said('outline') and len(data.boxes('VID_val_frames')) == 1


def test_cvat_for_video_of_a_job(tmp_path):
    """<job> in <meta>, frames of a range with a step, a shape outside, one interpolated."""
    src = tmp_path / 'src'
    video(src / 'walk.mp4', 9, HEIGHT, WIDTH)
    box = ('<box frame="%d" keyframe="%d" outside="%d" occluded="0" xtl="%d" ytl="20" xbr="%d" ybr="40" '
           'z_order="0"></box>')
    text(src / 'annotations.xml', '<annotations><version>1.1</version><meta><job><id>4</id><size>3</size><mode>'
         'interpolation</mode><start_frame>2</start_frame><stop_frame>6</stop_frame><frame_filter>step=2</frame_filter><labels><label>'
         '<name>cat</name></label></labels></job><dumped>2026</dumped><original_size><width>%d</width><height>%d</height>'
         '</original_size><source>walk.mp4</source></meta><track id="0" label="cat" source="manual">%s%s%s</track>'
         '</annotations>' % (WIDTH, HEIGHT, box % (2, 1, 0, 10, 30), box % (4, 0, 0, 12, 32), box % (6, 1, 1, 12, 32)))
    data = run_import('auto', src, tmp_path / 'own', val=0, per_clip=0)
    boxes = {name[-6:]: found for name, found in data.boxes('VID_train_allframes').items()}
    assert boxes == {'000002': [('cat', 10, 20, 29, 39)], '000004': [('cat', 12, 20, 31, 39)]}


def test_what_is_no_export(tmp_path):
    text(tmp_path / 'src/package.json', {'name': 'x', 'version': '1'})
    image(tmp_path / 'src/a.png', HEIGHT, WIDTH)
    with pytest.raises(DataError, match='no format fits'):
        run_import('auto', tmp_path / 'src', tmp_path / 'own')
