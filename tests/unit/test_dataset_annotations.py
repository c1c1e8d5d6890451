"""Annotations: what is needed of them, and what is said where it is missing."""
import numpy as np
import pytest

from dff.errors import DataError
from lib.dataset.formats.classes import load_classes
from lib.dataset.formats.annotations import Source, clip_to_image, parse_annotation, read_annotations
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml

WHERE = 'ImageSets/DET_x.txt, line 4'


@pytest.fixture
def source(tmp_path):
    """A function that writes an annotation's text and returns its Source."""
    folder = DatasetFolder(tmp_path / 'data set é')

    def write(xml, height=40, width=60):
        file = folder.image('DET', 'a b/ü', xml, height, width)
        return Source(str(file), str(file).replace('Annotations', 'Data').replace('.xml', '.JPEG'), WHERE)
    return write


def test_only_name_and_box_are_needed(source):
    size, objects = parse_annotation(source(annotation(object_xml('cat', 1, 2, 3, 4.5), object_xml('dog', 5, 6, 7, 8))))
    assert size == (40, 60)
    assert objects == [('cat', 1, 2, 3, 4.5, ''), ('dog', 5, 6, 7, 8, '')]


def test_elements_of_imagenet_are_accepted_in_any_order(source):
    xml = ('<annotation><folder>f</folder><object><trackid>1</trackid>'
           '<bndbox><xmax>3</xmax><xmin>1</xmin><ymax>4</ymax><ymin>2</ymin></bndbox>'
           '<name> n02691156 </name><occluded>1</occluded><generated>0</generated></object>'
           '<size><width>60</width><height>40</height></size></annotation>')
    assert parse_annotation(source(xml)) == ((40, 60), [('n02691156', 1, 2, 3, 4, '1')])


@pytest.mark.parametrize('size', ['', '<size/>', '<size><width>0</width><height>0</height></size>',
                                  '<size><width>x</width><height>4</height></size>'])
def test_missing_size_is_read_from_the_image(source, size):
    assert parse_annotation(source(annotation(size=size), 31, 47))[0] == (31, 47)


def test_missing_size_and_image(source, tmp_path):
    broken = source(annotation(size=''))._replace(image=str(tmp_path / 'none.JPEG'))
    with pytest.raises(DataError) as error:
        parse_annotation(broken)
    assert WHERE in str(error.value)
    assert 'has no usable <size>, and so the image is needed: cannot read image' in str(error.value)


@pytest.mark.parametrize('xml, expected', [
    ('<annotation><object>', 'is not valid XML: '),
    ('', 'is not valid XML: '),
    (annotation('<object><bndbox/></object>'), 'object 1 of '),
    (annotation(object_xml('cat', 1, 2, 3, 4), '<object><name>cat</name></object>'),
     'expected a number in <bndbox><xmin>, found None'),
    (annotation(object_xml('cat', 1, 'two', 3, 4)), "expected a number in <bndbox><ymin>, found 'two'"),
    (annotation(object_xml('cat', 1, 2, 'nan', 4)), "expected a number in <bndbox><xmax>, found 'nan'"),
])
def test_malformed(source, xml, expected):
    with pytest.raises(DataError) as error:
        parse_annotation(source(xml))
    assert str(error.value).startswith(WHERE) and expected in str(error.value) and '.xml' in str(error.value)


def test_missing_file(source):
    with pytest.raises(DataError, match='DET_x.txt, line 4: the annotation .*gone.xml does not exist'):
        parse_annotation(source(annotation())._replace(xml='gone.xml'))


def test_entity_bomb_is_refused(source):
    bomb = ('<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "%s"><!ENTITY z "%s">]>' % ('&x;' * 1000, '&y;' * 1000)
            + annotation(object_xml('&z;', 1, 2, 3, 4)))
    with pytest.raises(DataError, match='entity definitions are not allowed'):
        parse_annotation(source(bomb))


def test_external_entity_is_refused(source, tmp_path):
    (tmp_path / 'secret').write_text('secret')
    entity = '<!DOCTYPE a [<!ENTITY x SYSTEM "file://%s">]>' % (tmp_path / 'secret')
    with pytest.raises(DataError, match='entity definitions are not allowed'):
        parse_annotation(source(entity + annotation(object_xml('&x;', 1, 2, 3, 4))))


@pytest.mark.parametrize('workers', [1, 2])
def test_table(tmp_path, workers):
    folder = DatasetFolder(tmp_path / 'data')
    texts = [annotation(object_xml('cat', 1, 2, 3, 4), object_xml('cow', 1, 2, 3, 4)), annotation(),
             annotation(object_xml('dog', -5, 6, 70, 8))]
    sources = [Source(str(folder.image('DET', str(i), text)), '', WHERE) for i, text in enumerate(texts)]
    table = read_annotations(sources, load_classes(['cat', 'dog']), 'test', workers)
    assert table.sizes.tolist() == [[40, 60]] * 3
    assert [table.of(i)[0].tolist() for i in range(3)] == [[[1, 2, 3, 4]], [], [[-5, 6, 70, 8]]]
    assert [table.of(i)[1].tolist() for i in range(3)] == [[1], [], [2]]
    assert table.unknown.tolist() == [1, 0, 0] and table.unknown_names == {'cow': 1}


def test_clip_to_image():
    boxes = np.array([[0, 0, 59, 39], [-3, 5, 60, 50], [10, 10, 9, 20], [60, 0, 70, 5], [-9, 0, -1, 5],
                      [59, 39, 80, 80], [5, 5, 5, 5.0]])
    clipped, kept, moved = clip_to_image(boxes, 40, 60)
    assert clipped.dtype == np.float32
    assert clipped.tolist() == [[0, 0, 59, 39], [0, 5, 59, 39], [59, 39, 59, 39], [5, 5, 5, 5]]
    assert kept.tolist() == [True, True, False, False, False, True, True]
    assert moved == 2
