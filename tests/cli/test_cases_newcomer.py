"""What newcomers met in silence, or with the wrong advice."""
import os
import re

import numpy as np
import pytest

from dff.errors import ConfigError, DataError
from dff.image import read_image
from lib.apps.commands import check_network
from lib.config.checks import validate
from lib.config.defaults import detection_defaults
from lib.dataset.formats.annotations import Source, parse_annotation
from lib.dataset.formats.classes import load_classes
from lib.dataset.formats.image_sets import read_image_set
from lib.dataset.rules.names import nearest, without_boxes
from lib.dataset.rules.parts import warn_of_trained_clips
from lib.dataset.sets.imagenet_vid import ImageNetVID
from lib.tasks.task import TASKS
from lib.utils.image_header import read_header
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml


@pytest.mark.parametrize('setting,error', [
    (('output_path',), 'output_path is empty'), (('dataset', 'dataset_path'), 'dataset.dataset_path is empty'),
    (('TRAIN', 'model_prefix'), 'TRAIN.model_prefix must be the beginning of a file name')])
def test_empty_names(setting, error):
    config = detection_defaults()
    *sections, key = setting
    node = config
    for section in sections:
        node = node[section]
    node[key] = ''
    with pytest.raises(ConfigError, match='a.yaml: ' + error):
        validate(config, 'a.yaml')


def test_a_prefix_of_another_folder():
    config = detection_defaults()
    config.TRAIN.model_prefix = '../../x'
    with pytest.raises(ConfigError, match=r"without a folder \(output_path says where\); found '../../x'"):
        validate(config, 'a.yaml')


def test_settings_of_another_task():
    task = TASKS.get('dff_rfcn')
    task.load_symbols()
    before, task.config.symbol = task.config.symbol, 'resnet_v1_rfcn'
    try:
        with pytest.raises(ConfigError, match='a.yaml: symbol: resnet_v1_rfcn is a network of rfcn, and this '
                                              'command is for dff_rfcn: run the one in rfcn/'):
            check_network(task, 'a.yaml')
    finally:
        task.config.symbol = before


def test_pipes_are_no_files(tmp_path):
    path = str(tmp_path / 'a.xml')
    os.mkfifo(path)
    message = 'it is a device or a pipe, no regular file'
    with pytest.raises(DataError, match='cannot read the annotation .*a.xml: ' + message):
        parse_annotation(Source(path, 'a.JPEG', 'list, line 1'))
    for read in (read_image, read_header):
        with pytest.raises(DataError, match='cannot read image .*a.xml: ' + message):
            read(path)
    os.mkfifo(str(tmp_path / 'VID_x.txt'))
    (tmp_path / 'VID_y.txt').mkdir()
    for name in ('VID_x', 'VID_y'):
        with pytest.raises(DataError, match='%s.txt is a folder, a pipe or a device' % name):
            read_image_set(str(tmp_path), name)


def test_a_length_that_is_too_long(tmp_path):
    (tmp_path / 'VID_videos.txt').write_text('a 1 0 999999999999\n')
    with pytest.raises(DataError, match='numbers below 1e9'):
        read_image_set(str(tmp_path), 'VID_videos')


def test_ids_that_differ_in_their_number_are_not_alike():
    assert nearest('toy01', ['Toy03', 'toy_01']) == 'toy_01'
    assert nearest('toy01', ['Toy03']) == '' and nearest('person', ['persons']) == 'persons'
    classes = load_classes(['toy01 crate', 'toy03 cone'])
    assert without_boxes(np.zeros(3), {'Toy03': 2}, classes) == [
        'crate', "cone (the annotations have 'Toy03', 2 times)"]


def test_corners_that_no_picture_has(tmp_path):
    path = tmp_path / 'a.xml'
    path.write_text(annotation(object_xml('cat', 1, 2, '1e308', 4)))
    with pytest.raises(DataError, match='expected a number in <bndbox><xmax>, found .1e308'):
        parse_annotation(Source(str(path), 'a.JPEG', 'list, line 1'))


def test_a_test_clip_that_is_trained_on(tmp_path, caplog):
    folder = DatasetFolder(tmp_path)
    for frame in range(2):
        folder.image('VID', 'val/v/%06d' % frame, annotation())
    folder.image_set('VID_val_videos', 'val/v 1 0 2')
    folder.image_set('VID_train_x', 'val/v 1 0 2')
    folder.image_set('VID_train_y', 'train/v 1 0 2')
    test_set = ImageNetVID('VID_val_videos', str(folder.path), load_classes(['cat']))
    warn_of_trained_clips('VID_train_y', test_set)
    assert not caplog.records
    warn_of_trained_clips('VID_train_y+VID_train_x', test_set)
    assert re.search(r'suspicious: 1 of its 1 clips are in .*VID_train_x.txt too, which is trained on \(val/v\)',
                     caplog.text)


def test_more_numbers_than_a_line_has_are_said_unless_a_folder_ends_in_them(tmp_path):
    (tmp_path / 'ImageSets').mkdir()
    list_file = tmp_path / 'ImageSets' / 'VID_train_x.txt'
    list_file.write_text('a 1 0 2\nb 1 0 2 1 2 3 4\n')
    with pytest.raises(DataError, match="line 2: expected 'clip_dir 1 frame_id clip_length', .*there are more "
                                        "numbers than that; found 'b 1 0 2 1 2 3 4'"):
        read_image_set(str(tmp_path / 'ImageSets'), 'VID_train_x')
    (tmp_path / 'Data/VID/b 1 0 2 1').mkdir(parents=True)
    assert read_image_set(str(tmp_path / 'ImageSets'), 'VID_train_x').entries[1].clip == 'b 1 0 2 1'
    (tmp_path / 'ImageSets' / 'DET_x.txt').write_text('train/a 3 4 1\n')
    with pytest.raises(DataError, match='line 1'):
        read_image_set(str(tmp_path / 'ImageSets'), 'DET_x')
