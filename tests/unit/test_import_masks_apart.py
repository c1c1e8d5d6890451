"""Label maps and outlines written after the tools' published descriptions of their exports, not after
the readers; each imported by `auto` or its format and compared pixel by pixel."""
import json
import zipfile

import numpy as np
import pytest

from dff.errors import DataError
from lib.dataset.importers.importer import recognise
from tests.helpers.mask_tools import HEIGHT, WIDTH, import_masks, mask, picture, squares


def packed(folder, archive):
    """The zip file `archive` of a folder's files."""
    with zipfile.ZipFile(str(archive), 'w') as stream:
        for path in sorted(folder.rglob('*')):
            if path.is_file():
                stream.write(str(path), path.relative_to(folder).as_posix())
    return archive


def all_equal(labels, expected):
    return bool(labels) and all(label.shape == expected.shape and (label == expected).all()
                                for label in labels.values())


def test_cvat_with_a_background_that_is_not_black(tmp_path):
    """docs.cvat.ai, format-smask: the zip file, one channel whose values are the lines of labelmap.txt, and colours."""
    colours = np.array([[0, 128, 0], [10, 10, 128], [10, 128, 10]], np.uint8)
    for name, grey in (('colour', False), ('grey', True)):
        src = tmp_path / name
        picture(src / 'JPEGImages/image1.png')
        mask(src / 'SegmentationClass/image1.png', squares(0, 1, 2) if grey else colours[squares(0, 1, 2)])
        mask(src / 'SegmentationObject/image1.png', colours[squares(0, 2, 1)])
        (src / 'ImageSets/Segmentation').mkdir(parents=True)
        (src / 'ImageSets/Segmentation/default.txt').write_text('image1\n')
        (src / 'labelmap.txt').write_text('# label : color (RGB) : \'body\' parts : actions\nbackground:0,128,0::\n'
                                          'aeroplane:10,10,128::\nbicycle:10,128,10::\n')
        data = import_masks('auto', packed(src, tmp_path / (name + '.zip')), tmp_path / 'own' / name, val=0)
        assert data.classes == ['background 0 128 0', 'aeroplane 10 10 128', 'bicycle 10 128 10']
        assert all_equal(data.labels(), squares(0, 1, 2)) and data.said('1 converted to JPEG')


def test_labelme2voc(tmp_path):
    """Palette files of labelme's own converter: 255 is __ignore__; pictures of the masks lie beside."""
    palette = np.random.RandomState(0).randint(0, 256, (256, 3))
    src = tmp_path / 'src'
    for name in ('2011_000003', '2011_000006'):
        picture(src / 'JPEGImages' / (name + '.jpg'))
        picture(src / 'SegmentationClassVisualization' / (name + '.jpg'))
        mask(src / 'SegmentationClass' / (name + '.png'), squares(0, 2, 255, 1), 'P', palette)
    (src / 'class_names.txt').write_text('_background_\nchair\ntv monitor')
    data = import_masks('auto', src, tmp_path / 'own', val=0)
    assert data.names == ['background', 'chair', 'tv monitor'] and len(data.labels()) == 2
    assert all_equal(data.labels(), squares(0, 2, 255, 1)) and not data.said('no label map')


def test_camvid_of_cvat(tmp_path):
    """<subset>/, <subset>annot/, <subset>.txt and label_colors.txt `r g b name`."""
    colours = np.array([[0, 0, 0], [64, 128, 64], [192, 0, 128]], np.uint8)
    src = tmp_path / 'src'
    for name in ('image1', 'image2'):
        picture(src / 'default' / (name + '.png'))
        mask(src / 'defaultannot' / (name + '.png'), colours[squares(1, 0, 2)])
    (src / 'default.txt').write_text('/default/image1.png /defaultannot/image1.png\n'
                                     '/default/image2.png /defaultannot/image2.png\n')
    (src / 'label_colors.txt').write_text('# label color\n0 0 0 background\n64 128 64 Animal\n192 0 128 Archway\n')
    data = import_masks('auto', src, tmp_path / 'own')
    assert data.names == ['background', 'Animal', 'Archway']
    for part in ('train', 'val'):
        assert len(data.labels(part)) == 1 and all_equal(data.labels(part), squares(1, 0, 2))


def test_cityscapes_as_it_is_downloaded(tmp_path):
    """Cities in parts; numbers and polygons of other lists beside; the test part has no labels worth it."""
    src = tmp_path / 'src'
    rgba = np.array([[128, 64, 128, 255], [0, 0, 142, 255], [0, 0, 0, 255], [153, 153, 153, 255]], np.uint8)
    for part, city in (('train', 'aachen'), ('train', 'bochum'), ('val', 'lindau'), ('test', 'berlin')):
        stem = '%s_000000_000019' % city
        picture(src / 'leftImg8bit' / part / city / (stem + '_leftImg8bit.png'))
        label = squares(2, 2) if part == 'test' else squares(0, 1, 2, 3)
        mask(src / 'gtFine' / part / city / (stem + '_gtFine_color.png'), rgba[label])
        for other in ('instanceIds', 'labelIds', 'labelTrainIds'):
            mask(src / 'gtFine' / part / city / ('%s_gtFine_%s.png' % (stem, other)), squares(7, 26))
        (src / 'gtFine' / part / city / (stem + '_gtFine_polygons.json')).write_text(
            '{"imgHeight": 8, "imgWidth": 12, "objects": []}')
    data = import_masks('auto', src, tmp_path / 'own')
    assert data.names == ['road', 'pole', 'car'] and data.classes[1] == 'pole 153 153 153'
    assert len(data.labels()) == 2 and len(data.labels('val')) == 1
    assert all_equal(data.labels(), squares(0, 2, 255, 1)) and all_equal(data.labels('val'), squares(0, 2, 255, 1))
    assert data.said('1 images: of the test part of the source')


def test_kitti_semantics(tmp_path):
    """training/semantic_rgb in the colours of Cityscapes, numbers in semantic/, objects in instance/."""
    colours = np.array([[128, 64, 128], [70, 130, 180], [0, 0, 0]], np.uint8)
    src = tmp_path / 'src'
    for name in ('000000_10', '000001_10'):
        picture(src / 'training/image_2' / (name + '.png'))
        mask(src / 'training/semantic_rgb' / (name + '.png'), colours[squares(0, 1, 2)])
        mask(src / 'training/semantic' / (name + '.png'), squares(7, 23, 0))
        mask(src / 'training/instance' / (name + '.png'), squares(7, 23, 0))
    data = import_masks('auto', src, tmp_path / 'own')
    assert data.names == ['road', 'sky']
    assert all_equal(data.labels(), squares(0, 1, 255)) and all_equal(data.labels('val'), squares(0, 1, 255))


def test_voc_2012(tmp_path):
    """Boxes of all, masks of some: auto says that there are both; a frame of each list."""
    palette = np.zeros((256, 3), np.uint8)
    palette[[15, 255]] = [192, 128, 128], [224, 224, 192]
    src = tmp_path / 'VOC2012'
    for i in range(4):
        name = '2007_%06d' % i
        picture(src / 'JPEGImages' / (name + '.jpg'))
        (src / 'Annotations').mkdir(exist_ok=True)
        (src / 'Annotations' / (name + '.xml')).write_text(
            '<annotation><filename>%s.jpg</filename></annotation>' % name)
        if i < 3:
            mask(src / 'SegmentationClass' / (name + '.png'), squares(0, 255, 15), 'P', palette)
    for part, names in (('train', '2007_000000\n2007_000001\n'), ('val', '2007_000002\n'), ('trainval', '')):
        (src / 'ImageSets/Segmentation').mkdir(parents=True, exist_ok=True)
        (src / 'ImageSets/Segmentation' / (part + '.txt')).write_text(names)
    with pytest.raises(DataError, match='several formats fit: masks, by .*; voc, by .*; name one of them'):
        import_masks('auto', src, tmp_path / 'own')
    data = import_masks('masks', src, tmp_path / 'own')
    assert data.classes == ['background 0 0 0', 'person 192 128 128']
    assert sorted(data.labels()) == ['2007_000000', '2007_000001'] and list(data.labels('val')) == ['2007_000002']
    assert all_equal(data.labels(), squares(0, 255, 1)) and data.said('1 images: no label map')


def test_mmsegmentation(tmp_path):
    """img_dir/ and ann_dir/ of the same parts and names; values are the places in the list, 255 is ignored."""
    src = tmp_path / 'src'
    for part in ('train', 'val'):
        picture(src / 'img_dir' / part / 'a.jpg')
        mask(src / 'ann_dir' / part / 'a.png', squares(1, 0, 255))
    (src / 'classes.txt').write_text('road\nnot road\n')
    data = import_masks('auto', src, tmp_path / 'own')
    assert data.names == ['road', 'not road']
    assert all_equal(data.labels(), squares(1, 0, 255)) and all_equal(data.labels('val'), squares(1, 0, 255))


def test_black_and_white(tmp_path):
    """images/ and masks/ of 0 and 255, without a list: refused; with the colours listed, taken."""
    src = tmp_path / 'src'
    for name in 'ab':
        picture(src / 'images' / (name + '.jpg'))
        mask(src / 'masks' / (name + '.png'), squares(0, 255))
    with pytest.raises(DataError, match='nothing says which class'):
        import_masks('masks', src, tmp_path / 'own')
    (src / 'classes.txt').write_text('ground 0 0 0\nwater 255 255 255\n')
    data = import_masks('masks', src, tmp_path / 'own')
    assert data.names == ['ground', 'water'] and all_equal(data.labels(), squares(0, 1))


def test_names_without_colours_for_colours(tmp_path):
    src = tmp_path / 'src'
    picture(src / 'images/a.jpg')
    mask(src / 'masks/a.png', np.dstack([squares(1, 2)] * 3))
    (src / 'classes.txt').write_text('ground\nwater\n')
    with pytest.raises(DataError, match=r'the colour 1 1 1 is of no class in \S+classes.txt'):
        import_masks('masks', src, tmp_path / 'own', val=0)


def test_crowds_of_coco(tmp_path):
    """An object of polygons, a crowd of uncompressed run lengths around it, sizes stated; from the data format."""
    src = tmp_path / 'src'
    picture(src / 'val2017/000000000139.jpg')
    (src / 'annotations').mkdir()
    crowd = {'size': [HEIGHT, WIDTH], 'counts': [0, 6 * HEIGHT, 6 * HEIGHT]}
    (src / 'annotations/instances_val2017.json').write_text(json.dumps({
        'info': {'year': 2017}, 'licenses': [], 'images': [
            {'id': 139, 'file_name': '000000000139.jpg', 'height': HEIGHT, 'width': WIDTH, 'license': 2}],
        'categories': [{'id': 1, 'name': 'person', 'supercategory': 'person'}, {'id': 64, 'name': 'potted plant'}],
        'annotations': [
            {'id': 1, 'image_id': 139, 'category_id': 64, 'iscrowd': 0, 'area': 16.0, 'bbox': [1, 1, 4, 4],
             'segmentation': [[1, 1, 5, 1, 5, 5, 1, 5]]},
            {'id': 900100139, 'image_id': 139, 'category_id': 1, 'iscrowd': 1, 'area': 48, 'bbox': [0, 0, 6, 8],
             'segmentation': crowd}]}))
    data = import_masks('masks-coco', src, tmp_path / 'own', val=1)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, :6], expected[1:5, 1:5] = 1, 2
    assert data.names == ['background', 'person', 'potted plant']
    assert all_equal(data.labels('val'), expected)


def test_x_anylabeling(tmp_path):
    """Version 2.4: rectangles of four corners, fields of its own, imageData null."""
    src = tmp_path / 'src'
    picture(src / 'a.jpg')
    shape = {'score': None, 'group_id': None, 'description': '', 'difficult': False, 'flags': {}, 'attributes': {},
             'kie_linking': []}
    (src / 'a.json').write_text(json.dumps({
        'version': '2.4.4', 'flags': {}, 'imagePath': 'a.jpg', 'imageData': None, 'imageHeight': HEIGHT,
        'imageWidth': WIDTH, 'shapes': [
            dict(shape, label='road', shape_type='polygon', points=[[0.0, 4.0], [12.0, 4.0], [12.0, 8.0], [0.0, 8.0]]),
            dict(shape, label='car', shape_type='rectangle',
                 points=[[2.0, 2.0], [6.0, 2.0], [6.0, 6.0], [2.0, 6.0]])]}))
    data = import_masks('masks-labelme', src, tmp_path / 'own', val=0)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[4:], expected[2:6, 2:6] = 2, 1
    assert data.names == ['background', 'car', 'road'] and all_equal(data.labels(), expected)


def test_datumaro_of_cvat(tmp_path):
    """The zip file of CVAT's Datumaro 1.0: images/<subset>/, label attributes, an item without annotations."""
    src = tmp_path / 'src'
    for name in ('frame_000000', 'frame_000001'):
        picture(src / 'images/default' / (name + '.jpg'))
    (src / 'annotations').mkdir()
    polygon = {'id': 0, 'type': 'polygon', 'attributes': {'occluded': False, 'keyframe': True}, 'group': 0,
               'label_id': 1, 'points': [0.0, 0.0, 6.0, 0.0, 6.0, 8.0, 0.0, 8.0], 'z_order': 0}
    items = [{'id': 'frame_%06d' % i, 'annotations': [polygon][i:], 'attr': {'frame': i}, 'point_cloud': {'path': ''},
              'image': {'path': 'frame_%06d.jpg' % i, 'size': [HEIGHT, WIDTH]}} for i in range(2)]
    (src / 'annotations/default.json').write_text(json.dumps({
        'info': {}, 'categories': {'label': {'labels': [{'name': 'cat', 'parent': '', 'attributes': []}, {
            'name': 'dog', 'parent': '', 'attributes': []}], 'attributes': ['occluded']}}, 'items': items}))
    data = import_masks('masks-datumaro', packed(src, tmp_path / 'task.zip'), tmp_path / 'own', val=0, clips=True)
    labels = data.labels()
    assert data.names == ['background', 'dog'] and data.clips() == [2]
    assert (labels['task/000000'] == squares(1, 0)).all() and not labels['task/000001'].any()


def test_segmentation_of_ultralytics(tmp_path):
    """docs.ultralytics.com: images/<part> and labels/<part>, a line an object, a picture without file is empty."""
    src = tmp_path / 'src'
    (src / 'labels/train').mkdir(parents=True)
    (src / 'labels/val').mkdir()
    (src / 'data.yaml').write_text('path: ../src\ntrain: images/train\nval: images/val\n'
                                   'names:\n  0: person\n  1: car\n')
    half, small = '1 0 0 0.25 0 0.5 0 0.5 1 0.25 1 0 1\n', '0 0.25 0.25 0.3 0.25 0.5 0.25 0.5 0.5 0.25 0.5 0.25 0.3\n'
    for part, name, lines in (('train', 'a', small + half + '0 0.5 0.5 0.1 0.1\n'), ('train', 'b', ''),
                              ('val', 'c', half)):
        picture(src / 'images' / part / (name + '.jpg'))
        if lines:
            (src / 'labels' / part / (name + '.txt')).write_text(lines)
    name, line = recognise(str(src))
    assert name == 'yolo' and 'FORMAT masks-yolo' in line
    data = import_masks('masks-yolo', src, tmp_path / 'own')
    expected = squares(2, 0)
    expected[2:4, 3:6] = 1
    labels = data.labels()
    assert data.names == ['background', 'person', 'car'] and all_equal(data.labels('val'), squares(2, 0))
    assert {name[-1]: (label == expected).all() for name, label in labels.items()} == {'a': True, 'b': False}
    assert not [label for name, label in labels.items() if name.endswith('b')][0].any()
    assert data.said('1 lines: a box, no outline')
