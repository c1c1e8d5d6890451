"""labelme JSON, as labelme and X-AnyLabeling write it."""
import json

import pytest

from dff.errors import DataError
from tests.helpers.import_tools import image, run_import

CLIP = 'VID/train/walk/00000%d'


def shape(label, kind, points, group=None, **more):
    """A shape as labelme 5 writes it."""
    return {'label': label, 'points': points, 'group_id': group, 'description': '',
            'shape_type': kind, 'flags': {}, 'mask': None, **more}


def labelme(path, *shapes, **changes):
    """A file as labelme 5 writes it, of an image 60 wide and 40 high."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = {'version': '5.4.1', 'flags': {}, 'shapes': list(shapes),
            'imagePath': path.stem + '.jpg', 'imageData': None, 'imageHeight': 40,
            'imageWidth': 60, **changes}
    path.write_text(json.dumps(tree), encoding='utf-8')


SHAPES = [
    (shape('cat', 'rectangle', [[30, 25], [10, 5]]), ('cat', 10, 5, 29, 24)),
    (shape('cat', 'rectangle', [[10, 5], [30, 5], [30, 25], [10, 25]]), ('cat', 10, 5, 29, 24)),
    (shape('cat', 'polygon', [[12, 5], [30.5, 9], [8, 20]]), ('cat', 8, 5, 29.5, 19)),
    (shape('cat', 'rotation', [[20, 2], [30, 12], [20, 22], [10, 12]], direction=0.785),
     ('cat', 10, 2, 29, 21)),
    (shape('cat', 'circle', [[20, 20], [23, 24]]), ('cat', 15, 15, 24, 24)),
    (shape('cat', 'mask', [[3, 4], [9, 8]], mask='iVBORw0KGgo='), ('cat', 3, 4, 9, 8)),
    ({'label': 'cat', 'points': [[1, 1], [5, 1], [5, 6]], 'line_color': None}, ('cat', 1, 1, 4, 5)),
    (shape(7, 'rectangle', [[0, 0], [60, 40]]), ('7', 0, 0, 59, 39))]


@pytest.mark.parametrize('given, expected', SHAPES)
def test_a_shape(tmp_path, given, expected):
    image(tmp_path / 'src/a.jpg')
    labelme(tmp_path / 'src/a.json', given)
    data = run_import('labelme', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [expected]}


def test_folders_parts_and_images_nobody_labelled(tmp_path):
    src = tmp_path / 'src'
    for part in ('train', 'val'):
        image(src / 'images' / part / 'a.jpg')
        labelme(src / 'labels' / part / 'a.json', SHAPES[0][0],
                imagePath='..\\..\\images\\%s\\a.jpg' % part)
    image(src / 'images/train/b.jpg')
    data = run_import('x-anylabeling', src, tmp_path / 'out')
    assert data.boxes('DET_train_all') == {'train/a': [('cat', 10, 5, 29, 24)]}
    assert data.clips() == [('val/a', 1)] and data.said('1 images: no annotation')


def test_group_ids_are_tracks_of_clips_only(tmp_path):
    src = tmp_path / 'src'
    for number in range(2):
        image(src / 'walk' / ('%d.jpg' % number))
        labelme(src / 'walk' / ('%d.json' % number),
                shape('cat', 'rectangle', [[10, 5], [30, 25]], 4, flags={'occluded': True}),
                shape('cat', 'rectangle', [[2, 2], [8, 8]]))
    data = run_import('labelme', src, tmp_path / 'clips', clips=True, val=0)
    for number in range(2):
        text = data.xml(CLIP % number)
        assert text.count('<trackid>4</trackid>') == 1 and text.count('<occluded>1') == 1
    data = run_import('labelme', src, tmp_path / 'stills', val=0)
    assert 'trackid' not in data.xml('DET/train/walk/0')


def test_parts_of_one_object_are_joined(tmp_path):
    image(tmp_path / 'src/a.jpg')
    labelme(tmp_path / 'src/a.json', shape('cat', 'polygon', [[1, 1], [5, 1], [5, 6]], 1),
            shape('dog', 'polygon', [[1, 1], [5, 1], [5, 6]], 1),
            shape('cat', 'polygon', [[20, 10], [30, 10], [30, 20]], 1))
    data = run_import('labelme', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [('cat', 1, 1, 29, 19), ('dog', 1, 1, 4, 5)]}
    assert data.said('1 shapes of one label and group_id')


def test_what_has_no_box_is_counted(tmp_path):
    image(tmp_path / 'src/a.jpg')
    bad = [shape('cat', 'line', [[1, 1], [2, 2]]), shape('cat', 'point', [[1, 1]]),
           shape('cat', 'polygon', [[1, 1], [2, 2]]), shape('cat', 'polygon', 'x'),
           shape('cat', 'rectangle', [[1, 1], [float('nan'), 5]]),
           shape('cat', 'rectangle', [[1, 1], [10 ** 400, 5]]),
           shape('cat', 'rectangle', [[1, 1], [1e300, 5]]), shape('cat', ['x'], [[1, 1]])]
    labelme(tmp_path / 'src/a.json', *bad, SHAPES[0][0])
    data = run_import('labelme', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [('cat', 1, 1, 59, 4),
                                                       ('cat', 10, 5, 29, 24)]}
    for line in ("1 shapes: of a type that has no box: 'line'", "no box: 'point'", "no box: ['x']",
                 '2 shapes: the points are not [[x, y], ...], 3 at least of a polygon',
                 '2 boxes: a coordinate is no number', '1 boxes reached over the edge'):
        assert data.said(line), (line, data.lines)


def test_one_file_and_sizes(tmp_path):
    image(tmp_path / 'src/a.jpg', 40, 60)
    labelme(tmp_path / 'src/a.json', SHAPES[0][0], imageHeight=80, imageWidth=120)
    data = run_import('labelme', tmp_path / 'src/a.json', tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [('cat', 5, 2.5, 14, 11.5)]}
    labelme(tmp_path / 'src/a.json', SHAPES[0][0], imageHeight=60, imageWidth=40)
    with pytest.raises(DataError, match='turned by 90 degrees'):
        run_import('labelme', tmp_path / 'src', tmp_path / 'other', val=0)


@pytest.mark.parametrize('text, expected', [
    ('{"shapes": [', 'a.json is not valid JSON'), ('', 'is not valid JSON'),
    ('[' * 100000, 'is not valid JSON'), ('[]', "a.json: expected a labelme file"),
    ('{"shapes": {}}', "with the list 'shapes'; take other"),
    ('{"shapes": []}', "as 'imagePath', found None"),
    ('{"shapes": [], "imagePath": ".."}', "as 'imagePath', found '..'"),
    ('{"shapes": [3], "imagePath": "a.jpg"}', "a.json, shape 0: expected an object with 'label'"),
    ('{"shapes": [{"label": null}], "imagePath": "a.jpg"}', 'a.json, shape 0: expected an object'),
    ('{"shapes": [], "imagePath": "a.jpg", "imageHeight": 1%s}' % ('0' * 5000),
     'a.json is not valid JSON')])
def test_files_that_are_none(tmp_path, text, expected):
    image(tmp_path / 'src/a.jpg')
    (tmp_path / 'src/a.json').write_text(text)
    with pytest.raises(DataError, match=expected.replace('[', r'\[')):
        run_import('labelme', tmp_path / 'src', tmp_path / 'out', val=0)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('path', ['../secret.jpg', '/etc/secret.jpg', 'C:\\x\\secret.jpg'])
def test_images_outside_are_not_read(tmp_path, path):
    image(tmp_path / 'secret.jpg')
    labelme(tmp_path / 'src/a.json', SHAPES[0][0], imagePath=path)
    with pytest.raises(DataError, match='none of the 1 images that it lists is there'):
        run_import('labelme', tmp_path / 'src', tmp_path / 'out', val=0)


def test_an_image_inside_the_file_is_refused(tmp_path):
    labelme(tmp_path / 'src/a.json', SHAPES[0][0], imageData='iVBORw0KGgo=')
    with pytest.raises(DataError, match=r"a\.json: the image 'a\.jpg' is only inside the file"):
        run_import('labelme', tmp_path / 'src', tmp_path / 'out', val=0)
