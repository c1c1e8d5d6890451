"""Outlines of COCO and labelme as label maps: every pixel's class by value."""
import base64
import io
import json
import math

import cv2
import numpy as np
import pytest
from PIL import Image

from dff.errors import ConfigError, DataError
from lib.dataset.importers.importer import recognise
from lib.dataset.importers.masks.formats.coco_outlines import decode_runs
from lib.dataset.importers.masks.model import polygon_mask
from tests.helpers.mask_tools import HEIGHT, WIDTH, import_masks, picture

CATEGORIES = [{'id': 7, 'name': 'cat'}, {'id': 3, 'name': 'dog'}, {'id': 9, 'name': 'bird'}]


def centres_inside(points, height, width):
    """The same by its definition, pixel by pixel."""
    found = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            x, y, inside = column + 0.5, row + 0.5, False
            for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0)):
                if (y0 <= y < y1 or y1 <= y < y0) and x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x:
                    inside = not inside
            found[row, column] = inside
    return found


def test_polygons_by_their_definition():
    random = np.random.RandomState(0)
    for count in (3, 4, 7, 20):
        points = random.uniform(-5, 25, (count, 2)).round(random.randint(0, 3))
        assert (polygon_mask(points, 16, 20) == centres_inside(points, 16, 20)).all()
    whole = np.array([[0, 0], [20, 0], [20, 16], [0, 16]], float)
    assert polygon_mask(whole, 16, 20).all() and not polygon_mask(whole + 100, 16, 20).any()
    assert polygon_mask(whole * 1e30, 16, 20).all()


def test_polygons_as_pycocotools_has_them():
    """It rounds corners; away from edges both agree."""
    tools = pytest.importorskip('pycocotools.mask', reason='pip install -r requirements-coco.txt')
    turns = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    points = np.stack([50 + 30 * np.cos(turns), 40 + 25 * np.sin(turns)], 1)
    theirs = tools.decode(tools.frPyObjects([points.ravel().tolist()], 80, 100))[..., 0].astype(bool)
    ours = polygon_mask(points, 80, 100)
    widened = [cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))).astype(bool) for mask in (ours, theirs)]
    assert not (theirs & ~widened[0]).any() and not (ours & ~widened[1]).any() and (ours & theirs).sum() > 2200
    assert ours.sum() == pytest.approx(20 * 30 * 25 * math.sin(math.pi / 20), rel=0.005)    # the area


def test_run_lengths_as_pycocotools_has_them():
    tools = pytest.importorskip('pycocotools.mask', reason='pip install -r requirements-coco.txt')
    random = np.random.RandomState(1)
    for height, width in ((1, 1), (7, 5), (120, 90), (1000, 700)):
        mask = random.rand(height, width) < 0.3
        mask[height // 3:, : width // 2] = True
        text = tools.encode(np.asfortranarray(mask.astype(np.uint8)))['counts'].decode()
        assert (decode_runs(text, [height, width]) == mask).all()


@pytest.mark.parametrize('counts, size', [
    ([1, 2], [2, 2]), ([1, -1, 4], [2, 2]), ([4], [2]), ([4], [0, 4]), ('', [2, 2]), ('\x00', [2, 2]),
    ('o' * 50, [2, 2]),
    ([1.5, 2.5], [2, 2]), (None, [2, 2]), ([10 ** 12], [10 ** 6, 10 ** 6]), ('4', 'ab'), ({}, [2, 2])])
def test_run_lengths_that_are_none(counts, size):
    assert decode_runs(counts, size) is None


def rectangle(x1, y1, x2, y2):
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def coco(src, entries, height=HEIGHT, width=WIDTH, file='instances_train.json'):
    """entries: (category id, segmentation) of the one image."""
    (src / 'annotations').mkdir(parents=True)
    tree = {'images': [{'id': 1, 'file_name': 'a.jpg', 'height': height, 'width': width}], 'categories': CATEGORIES,
            'annotations': [{'id': i, 'image_id': 1, 'category_id': category, 'bbox': [0, 0, 3, 3],
                             'segmentation': outline} for i, (category, outline) in enumerate(entries)]}
    (src / 'annotations' / file).write_text(json.dumps(tree))
    picture(src / 'images' / 'a.jpg')
    return src


def expected_map(*areas):
    """[H, W] of 0, with (value, x1, y1, x2, y2) on it in turn."""
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    for value, x1, y1, x2, y2 in areas:
        label[y1:y2, x1:x2] = value
    return label


def test_coco(tmp_path):
    runs = {'size': [HEIGHT, WIDTH], 'counts': [9 * HEIGHT, 2 * HEIGHT, HEIGHT]}       # columns 9 and 10
    src = coco(tmp_path / 'src', [(7, [rectangle(1, 1, 3, 3)]),                        # small, inside the next
                                  (3, [rectangle(0, 0, 6, 6), rectangle(7, 6, 8, 8)]),
                                  (7, runs), (9, []), (4, [rectangle(0, 0, 9, 9)]), (9, [[1, 2, 3]])])
    data = import_masks('masks-coco', src, tmp_path / 'own', val=0)
    assert data.names == ['background', 'cat', 'dog']
    expected = expected_map((2, 0, 0, 6, 6), (2, 7, 6, 8, 8), (1, 1, 1, 3, 3), (1, 9, 0, 11, 8))
    assert (data.labels()['a'] == expected).all()
    assert data.said('1 label maps: where outlines of two classes overlap, the smaller is on top '
                     '(instances_train.json, a.jpg)')
    assert data.said('left out:   1 annotations: a box, no outline (instances_train.json, annotation 3)')
    assert data.said('1 outlines: their category_id or image_id is none of the file '
                     '(instances_train.json, annotation 4)')
    assert data.said('1 outlines: neither polygons') and data.said('classes: no pixel has them (bird)')
    assert data.said('pixels without class are of the class background; --unlabelled ignore')
    data = import_masks('masks-coco', src, tmp_path / 'two', val=0, unlabelled='ignore')
    assert data.names == ['cat', 'dog'] and (data.labels()['a'][expected == 0] == 255).all()
    assert data.said('pixels without class are ignored (255)')


def test_coco_of_another_size(tmp_path):
    src = coco(tmp_path / 'src', [(7, [rectangle(0, 0, 12, 8)]), (3, {'size': [16, 24], 'counts': [
        20 * 16, 4 * 16]})], 16, 24)
    data = import_masks('masks-coco', src, tmp_path / 'own', val=0)
    assert (data.labels()['a'] == expected_map((1, 0, 0, 6, 4), (2, 10, 0, 12, 8))).all()
    assert data.said('their outlines were scaled')
    src = coco(tmp_path / 'other', [(7, [rectangle(0, 0, 12, 8)])], 24, 16)
    with pytest.raises(DataError, match='its outlines are of another image .or of this one turned by 90 degrees'):
        import_masks('masks-coco', src, tmp_path / 'none', val=0)


def test_both_kinds_in_one_file(tmp_path):
    src = coco(tmp_path / 'src', [(7, [[0, 0, 6, 0, 3, 6]])])
    name, line = recognise(str(src))
    assert name == 'coco' and line.endswith('; it holds outlines too: FORMAT masks-coco imports them for segmentation')
    boxes = coco(tmp_path / 'boxes', [(7, [rectangle(1, 1, 3, 3)]), (3, [])])
    assert recognise(str(boxes))[1].endswith('without videos')
    src = labelme(tmp_path / 'me', [('cat', 'polygon', [[0, 0], [6, 0], [3, 6]])])
    assert recognise(str(src))[0] == 'labelme' and 'FORMAT masks-labelme' in recognise(str(src))[1]
    src = labelme(tmp_path / 'only', [('cat', 'rectangle', [[0, 0], [6, 6]])])
    assert 'masks-labelme' not in recognise(str(src))[1]


def labelme(src, shapes, name='a', **more):
    src.mkdir(parents=True, exist_ok=True)
    shapes = [dict({'label': label, 'shape_type': kind, 'points': points}, **(rest[0] if rest else {}))
              for label, kind, points, *rest in shapes]
    (src / (name + '.json')).write_text(json.dumps(dict({'shapes': shapes, 'imagePath': name + '.jpg',
                                                         'imageHeight': HEIGHT, 'imageWidth': WIDTH}, **more)))
    picture(src / (name + '.jpg'))
    return src


def test_labelme(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(np.array([[0, 255, 0], [255, 255, 255]], np.uint8)).save(stream, 'PNG')
    text = base64.b64encode(stream.getvalue()).decode()
    src = labelme(tmp_path / 'src', [
        ('dog', 'polygon', [[0, 0], [6, 0], [6, 6], [0, 6]]), ('cat', 'rectangle', [[6, 6], [4, 4]]),
        ('cat', 'mask', [[8, 1], [10, 2]], {'mask': text}), ('dog', 'circle', [[9, 6], [9, 7]]),
        ('cat', 'line', [[0, 0], [3, 3]]), ('void', 'rotation', [[0, 6], [2, 6], [2, 8], [0, 8]]),
        ('cat', 'polygon', [[20, 20], [30, 20], [30, 30]]), ('cat', 'mask', [[1, 1], [2, 2]], {'mask': 'x'})])
    data = import_masks('masks-labelme', src, tmp_path / 'own', val=0)
    assert data.names == ['background', 'cat', 'dog']
    expected = expected_map((2, 0, 0, 6, 6), (1, 4, 4, 6, 6), (1, 9, 1, 10, 3), (1, 8, 2, 11, 3), (2, 8, 5, 10, 7),
                            (255, 0, 6, 2, 8))
    assert (data.labels()['a'] == expected).all()
    for text in ('where outlines of two classes overlap, the later is on top (a.json)', 'of a type that has no area: ',
                 'outlines: they cover no pixel of their image (a.json)', 'shapes: their mask is no PNG picture'):
        assert data.said(text), text
    assert data.problems()['image set'] == 1         # there is no val
    assert data.config().dataset.NUM_CLASSES == 3


def test_labelme_clips_and_parts(tmp_path):
    for part, names in (('train', 'ab'), ('val', 'c')):
        for name in names:
            labelme(tmp_path / 'src' / part, [('cat', 'polygon', [[0, 0], [6, 0], [6, 8], [0, 8]])],
                    'walk_%s_%06d' % (name, ord(name)))
    data = import_masks('masks-labelme', tmp_path / 'src', tmp_path / 'own', clips=True)
    assert len(data.labels()) == 2 and len(data.labels('val')) == 1 and data.problems() == {}
    assert data.said('parts:      as the data set has them')


def test_datumaro(tmp_path):
    """z_order says what is on top; a mask as its run lengths in COCO's text, here of columns 9 and 10."""
    mask = {'type': 'mask', 'label_id': 0, 'rle': {'size': [HEIGHT, WIDTH], 'counts': [72, 16, 8]}, 'z_order': 0}
    square = {'type': 'polygon', 'label_id': 0, 'points': rectangle(1, 1, 3, 3), 'z_order': 2}
    large = {'type': 'polygon', 'label_id': 1, 'points': rectangle(0, 0, 6, 6), 'z_order': 1}
    box = {'type': 'bbox', 'label_id': 1, 'bbox': [0, 0, 3, 3]}
    tree = {'categories': {'label': {'labels': [{'name': 'cat'}, {'name': 'dog'}]}}, 'items': [
        {'id': 'a', 'image': {'path': 'a.jpg', 'size': [HEIGHT, WIDTH]}, 'annotations': [square, large, mask, box]}]}
    src = tmp_path / 'src'
    picture(src / 'images/train/a.jpg')
    picture(src / 'images/train/b.jpg')
    (src / 'annotations').mkdir()
    (src / 'annotations/train.json').write_text(json.dumps(tree))
    name, line = recognise(str(src))
    assert name == 'datumaro' and 'FORMAT masks-datumaro' in line
    data = import_masks('masks-datumaro', src, tmp_path / 'own', val=0)
    expected = expected_map((2, 0, 0, 6, 6), (1, 1, 1, 3, 3), (1, 9, 0, 11, 8))
    assert data.names == ['background', 'cat', 'dog'] and (data.labels()['a'] == expected).all()
    assert data.said('1 annotations: no polygons or masks') and data.said('the later is on top')


def test_cvat_for_images(tmp_path):
    picture(tmp_path / 'src/images/a.jpg')
    (tmp_path / 'src/annotations.xml').write_text(
        '<annotations><version>1.1</version><meta><task><size>1</size><labels><label><name>dog</name></label><label>'
        '<name>cat</name></label></labels></task></meta><image id="0" name="a.jpg" width="%d" height="%d">'
        '<polygon label="cat" points="1.00,1.00;3.00,1.00;3.00,3.00;1.00,3.00" z_order="1"></polygon>'
        '<polygon label="dog" points="0,0;6,0;6,6;0,6" z_order="0"></polygon>'
        '<mask label="cat" rle="1, 2, 3" left="8" top="2" width="3" height="2" z_order="0"></mask>'
        '<mask label="cat" rle="1, 2" left="8" top="2" width="3" height="2" z_order="0"></mask>'
        '<box label="cat" xtl="0" ytl="0" xbr="3" ybr="3"></box><tag label="cat"></tag></image></annotations>'
        % (WIDTH, HEIGHT))
    src = tmp_path / 'src'
    name, line = recognise(str(src))
    assert name == 'cvat-images' and 'FORMAT masks-cvat' in line
    data = import_masks('masks-cvat', src, tmp_path / 'own', val=0)
    assert data.names == ['background', 'dog', 'cat']
    expected = expected_map((1, 0, 0, 6, 6), (2, 1, 1, 3, 3), (2, 9, 2, 11, 3))
    assert (data.labels()['a'] == expected).all()
    assert data.said('1 shapes: no polygons or masks (annotations.xml, image a.jpg)')
    assert data.said('1 shapes: points are not x,y;x,y;... or rle is not of its size')


def test_options_without_effect(tmp_path):
    src = coco(tmp_path / 'src', [(7, [rectangle(1, 1, 3, 3)])])
    with pytest.raises(ConfigError, match='--per_clip is for boxes; masks-coco is imported as label maps'):
        import_masks('masks-coco', src, tmp_path / 'own', val=0, per_clip=0)
    with pytest.raises(ConfigError, match='--unlabelled is for masks and outlines; coco is imported as boxes'):
        import_masks('coco', src, tmp_path / 'own', val=0, unlabelled='ignore')


def test_a_cvat_task_without_labels_is_recognised(tmp_path):
    for mode, known in (('interpolation', 'cvat'), ('annotation', 'cvat-images')):
        (tmp_path / 'a.xml').write_text('<annotations><version>1.1</version><meta><task><mode>%s</mode><size>1</size>'
                                        '<labels/></task></meta></annotations>' % mode)
        assert recognise(str(tmp_path))[0] == known


def test_classes_that_cannot_be(tmp_path):
    src = labelme(tmp_path / 'src', [(' ', 'polygon', [[0, 0], [6, 0], [3, 6]])])
    with pytest.raises(DataError, match='src: a class has no name; name it'):
        import_masks('masks-labelme', src, tmp_path / 'own', val=0)
    labelme(src, [('class %d' % i, 'polygon', [[0, 0], [6, 0], [3, 6]]) for i in range(300)])
    with pytest.raises(DataError, match='src: it has 300 classes; label maps have room for 253'):
        import_masks('masks-labelme', src, tmp_path / 'own', val=0)
