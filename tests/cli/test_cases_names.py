"""Class names as users write them: with blanks, alike in their beginnings, in another case;
annotations in other encodings."""

import json

import numpy as np
import pytest

from dff.errors import CheckpointError, DataError
from lib.dataset.check.check import check
from lib.dataset.formats.annotations import Source, parse_annotation
from lib.dataset.formats.classes import load_classes
from lib.dataset.importers.importer import import_dataset
from lib.dataset.importers.model import Options
from lib.dataset.registry import get_dataset
from lib.dataset.roidb import load_roidb
from lib.dataset.rules.names import nearest
from lib.engine.checkpoint import load_params
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml
from tests.helpers.seg_tools import write

NAMES = ['traffic light', 'traffic sign', 'fire hydrant', 'dog']


@pytest.fixture
def folder(tmp_path):
    """A function that writes a still with an object of each name; returns settings with a class
    list."""

    def make(names, classes):
        data = DatasetFolder(tmp_path / 'own')
        data.image_set('DET_x', 's 1')
        data.image(
            'DET',
            's',
            annotation(
                *(object_xml(name, 2 * i, 3, 2 * i + 20, 30) for i, name in enumerate(names))
            ),
        )
        cfg = data.config('DET_x', classes)
        cfg.TRAIN.FLIP, cfg.dataset.test_image_set = False, 'DET_x'
        return cfg

    return make


def classes_of(cfg):
    """Class names of the boxes that training gets, in order."""
    (record,) = load_roidb(cfg)
    names = get_dataset(cfg, 'DET_x').classes
    return [names[c] for c in record.gt_classes]


@pytest.mark.parametrize('as_file', [False, True])
def test_names_with_blanks_and_alike_beginnings_work(folder, tmp_path, as_file):
    cfg = folder(['traffic  light', 'fire\thydrant', ' traffic sign ', 'dog'], NAMES)
    if as_file:
        (tmp_path / 'classes.txt').write_text(''.join(name + '\n' for name in NAMES))
        cfg.dataset.CLASSES = str(tmp_path / 'classes.txt')
    assert classes_of(cfg) == ['traffic light', 'fire hydrant', 'traffic sign', 'dog']


def test_reports_call_them_by_their_names(folder):
    report = check(folder(['traffic light', 'traffic sign'], NAMES), workers=1)
    assert report.classes == NAMES and report.counts['training'].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    'written, listed, expected',
    [
        ('n01', 'n01 domestic cat', 'domestic cat'),
        ('domestic cat', 'n01 domestic cat', 'domestic cat'),
        ('traffic_light', 'traffic_light traffic light', 'traffic light'),
        ('traffic light', 'traffic_light traffic light', 'traffic light'),
        ('person', 'person Mensch', 'person Mensch'),
        ('stop sign', 'stop sign', 'stop sign'),
    ],
)
def test_both_meanings_of_a_line_are_taken(folder, caplog, written, listed, expected):
    assert classes_of(folder([written], [listed])) == [expected]
    assert (
        "1 objects are called '%s', which is taken for the class" % written in caplog.text
    ) == (written not in load_classes([listed]).ids)


def test_the_own_name_of_a_class_wins(folder, caplog):
    caplog.set_level('INFO', 'dff')
    assert classes_of(folder(['stop', 'stop sign'], ['stop sign'])) == ['stop sign']
    assert '1 objects are of classes that the class list has not: stop (1)' in caplog.text


@pytest.mark.parametrize(
    'written, listed',
    [
        ('Dog', 'dog'),
        ('traffic_light', 'traffic light'),
        ('Traffic-Light', 'traffic light'),
        ('trafficlight', 'traffic_light traffic light'),
    ],
)
def test_names_that_differ_in_writing_stop_both(folder, written, listed):
    cfg = folder([written, 'cat'], [listed, 'cat'])
    message = "1 objects are called '%s' in the annotations, the class list has '" % written
    with pytest.raises(DataError, match=message):
        load_roidb(cfg)
    with pytest.raises(DataError, match=message):
        get_dataset(cfg, 'DET_x').check_test()
    assert message in str(check(cfg, workers=1).problems.kept['class name'][0])


def test_a_class_without_a_box_names_the_nearest(folder, caplog):
    load_roidb(folder(['persons', 'cat'], ['person', 'cat', 'zebra']))
    assert (
        "2 classes without a box, which will never be learned: person (the annotations have "
        "'persons', 1 times), zebra"
        in caplog.text
    )
    assert (
        nearest('bycicle', ['car', 'bicycle']) == 'bicycle'
        and nearest('cow', ['car', 'bicycle']) == ''
    )


def test_importers_take_names_with_blanks(tmp_path):
    write(tmp_path / 'src' / 'a.jpg', np.zeros((40, 60, 3), np.uint8))
    boxes = [
        {'id': i, 'image_id': 1, 'category_id': i, 'bbox': [i, 2, 20, 20]}
        for i in range(len(NAMES))
    ]
    (tmp_path / 'src' / 'x.json').write_text(
        json.dumps(
            {
                'images': [{'id': 1, 'file_name': 'a.jpg'}],
                'annotations': boxes,
                'categories': [{'id': i, 'name': name} for i, name in enumerate(NAMES)],
            }
        )
    )
    lines = import_dataset(
        'coco',
        str(tmp_path / 'src'),
        str(tmp_path / 'dst'),
        Options(val=0.0, small=True, devices=0, classes=NAMES),
    )
    assert any('traffic light (boxes 1 + 0)' in line for line in lines)
    assert load_classes(str(tmp_path / 'dst' / 'classes.txt')).names[1:] == NAMES


# ---- other encodings


def in_encoding(path, encoding, declared, name):
    declaration = '<?xml version="1.0" encoding="%s"?>\n' % declared if declared else ''
    path.write_bytes((declaration + annotation(object_xml(name, 1, 2, 30, 20))).encode(encoding))
    return Source(str(path), '', 'list, line 1')


@pytest.mark.parametrize(
    'encoding, declared, name',
    [
        ('gb18030', 'GB2312', '鎔交通灯'),
        ('gbk', 'gbk', '交通灯'),
        ('shift_jis', 'Shift_JIS', '信号'),
        ('big5', 'big5', '紅綠燈'),
        ('utf-16', 'utf-16', 'светофор'),
        ('utf-16', None, 'светофор'),
        ('utf-16', 'utf-8', 'светофор'),
        ('cp1252', 'windows-1252', 'Fußgänger'),
        ('latin-1', 'iso-8859-1', 'vélo'),
        ('utf-8-sig', 'utf-8', '交通灯'),
    ],
)
def test_other_encodings_are_read(tmp_path, encoding, declared, name):
    size, objects = parse_annotation(in_encoding(tmp_path / 'a.xml', encoding, declared, name))
    assert size == (40, 60) and [o.name for o in objects] == [name]


@pytest.mark.parametrize(
    'encoding, declared, message',
    [
        (
            'gbk',
            None,
            'a.xml is not valid XML: byte .* is no UTF-8, and no other encoding is declared; save '
            'the file as UTF-8, or declare '
            'its encoding, as in <.xml version="1.0" encoding="gb18030"',
        ),
        ('gbk', 'utf-8', 'is no UTF-8, and that is what it declares'),
        (
            'utf-8',
            'klingon',
            'it declares the encoding klingon, which is not known; save the file as UTF-8',
        ),
        ('utf-8', 'ascii', 'it declares the encoding ascii, which its bytes are not'),
    ],
)
def test_encodings_that_cannot_be_right(tmp_path, encoding, declared, message):
    with pytest.raises(DataError, match=message):
        parse_annotation(in_encoding(tmp_path / 'a.xml', encoding, declared, '交通灯'))


def test_entities_are_refused_in_other_encodings_too(tmp_path):
    text = '<?xml version="1.0" encoding="gbk"?><!DOCTYPE a [<!ENTITY x "ha">]><annotation>&x;</annotation>'
    (tmp_path / 'a.xml').write_bytes(text.encode('gbk'))
    with pytest.raises(DataError, match='entity definitions are not allowed'):
        parse_annotation(Source(str(tmp_path / 'a.xml'), '', 'list, line 1'))


# ---- parameter files of other kinds


def test_parameter_files_of_other_kinds(tmp_path):
    import mxnet as mx

    prefix = str(tmp_path / 'm')

    def refused(message):
        with pytest.raises(CheckpointError, match=message):
            load_params(prefix, 0)

    mx.nd.save(prefix + '-0000.params', [mx.nd.ones((2,)), mx.nd.ones((3,))])
    refused(
        'm-0000.params holds a list of 2 arrays without names, as mx.nd.save writes of a list: '
        'save a dict'
    )
    block = mx.gluon.nn.Dense(3, in_units=4)
    block.initialize()
    block.save_parameters(prefix + '-0000.params')
    refused(
        r"holds 'weight', but the names of parameters begin with arg: or aux:.*save_parameters "
        r"writes such names"
    )
    for content, message in (
        (b'\x80\x04K\x01.' + b' ' * 40, 'it is a Python pickle, as PyTorch writes'),
        (b'{"nodes": []}' + b' ' * 40, 'it is JSON'),
        (b'<!DOCTYPE html>' + b' ' * 40, 'it is a web page'),
        (b'\x1f\x8b' + b' ' * 40, 'compressed'),
        (b'x' * 40, 'its first bytes are others$'),
    ):
        with open(prefix + '-0000.params', 'wb') as stream:
            stream.write(content)
        refused(message)
    np.savez(prefix + '.npz', conv=np.ones(3))
    with open(prefix + '.npz', 'rb') as source, open(prefix + '-0000.params', 'wb') as stream:
        stream.write(source.read())
    refused(r'it is a NumPy archive \(.npz\): load it with numpy.load')


def test_a_file_name_in_the_place_of_a_prefix(tmp_path):
    for name, message in (
        ('m-0003.params', 'give .*/m, and 3 as the epoch'),
        ('m-0003', 'give .*/m, and 3 as the epoch'),
        ('m.params', 'rename the file to .*/m-0000.params and give .*/m, and 0 as the epoch'),
    ):
        (tmp_path / 'm-0003.params').write_bytes(b'')
        (tmp_path / 'm.params').write_bytes(b'')
        with pytest.raises(
            CheckpointError,
            match='%s: expected the prefix of a parameter file.*found a file name; %s'
            % (name, message),
        ):
            load_params(str(tmp_path / name), 0)
