"""Pictures as users have them: turned by EXIF, of other sizes than their annotations, damaged, under other endings."""
import os
import re

import cv2
import numpy as np
import pytest

from dff.errors import DataError
from dff.image import read_image, resize
from lib.dataset.roidb import load_roidb
from lib.train.loaders.detection_loader import DetectionLoader
from lib.utils.image_header import read_header
from tests.helpers import tiny
from tests.helpers.damage import stray_bytes, turn_file
from tests.helpers.dataset_tools import annotation, object_xml
from tests.helpers.own_data import CLIP, LENGTH, OwnData, both_refuse, run_test


@pytest.fixture
def data(tmp_path):
    return OwnData(tmp_path / 'own')


# ---- sizes and orientations


def test_a_frame_of_another_size_stops_both(data):
    for clip in ('train/a', CLIP):
        for i in range(LENGTH):
            cv2.imencode('.jpg', np.zeros((20, 30, 3), np.uint8))[1].tofile(
                str(data.frame(clip, i))
            )
    both_refuse(data, 'CLIP/000000.JPEG is 30 x 20 pixels, but its annotation says 60 x 40$')


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_an_exif_orientation_is_named(data, orientation):
    for clip in ('train/a', CLIP):
        for i in range(LENGTH):
            cv2.imencode('.jpg', np.zeros((60, 40, 3), np.uint8))[1].tofile(
                str(data.frame(clip, i))
            )
            turn_file(data.frame(clip, i), orientation)
    both_refuse(
        data,
        r'000000.JPEG is 40 x 60 pixels, but its annotation says 60 x 40: the file is stored '
        r'turned \(EXIF orientation %d\), '
        'and the boxes are of the picture as shown' % orientation,
    )


def test_an_orientation_that_no_size_tells_is_suspicious(data, caplog):
    for i in range(LENGTH):
        turn_file(data.frame('train/a', i), 3)
    data.train()
    assert (
        'suspicious: image turned, 6 times' in caplog.text and 'EXIF orientation 3' in caplog.text
    )
    assert read_image(data.frame('train/a', 0)).shape == (40, 60, 3)


def test_one_frame_of_another_size_is_named_when_its_turn_comes(tmp_path):
    path = tiny.write_experiment(tmp_path, 'rfcn', clips=1, length=4)
    frame = next((tmp_path / 'toy_vid' / 'Data' / 'VID' / 'val').rglob('000002.JPEG'))
    height, width = read_image(frame).shape[:2]
    cv2.imencode('.jpg', np.zeros((50, 70, 3), np.uint8))[1].tofile(str(frame))
    with pytest.raises(
        DataError,
        match='000002.JPEG is 70 x 50 pixels, but its annotation says %d x %d' % (width, height),
    ):
        run_test(path)


# ---- pictures


def test_an_extreme_shape_is_named_and_passed_over(data):
    cv2.imencode('.jpg', np.zeros((4, 3000, 3), np.uint8))[1].tofile(str(data.frame('train/a', 0)))
    (data.path / 'Annotations/VID/train/a/000000.xml').write_text(
        annotation(
            object_xml('cat', 1, 1, 30, 3),
            size='<size><width>3000</width><height>4</height></size>',
        )
    )
    message = '000000.JPEG is 3000 x 4 pixels, too narrow for a picture'
    with pytest.raises(DataError, match=message):
        data.train()
    assert message in data.found()['image shape'][0]
    cfg = data.settings()
    cfg.SCALES, cfg.TRAIN.SKIP_BAD_IMAGES, cfg.TRAIN.SHUFFLE = [(64, 96)], True, False
    loader = DetectionLoader(load_roidb(cfg), cfg, 1, False, workers=1)
    images = [os.path.basename(image) for batch in loader for image in batch.images]
    assert images == ['000001.JPEG'] + ['%06d.JPEG' % i for i in range(1, LENGTH)]
    assert [message in reason for reason in loader.unusable.values()] == [True]


def test_scaling_keeps_a_pixel():
    assert resize(np.zeros((4, 300, 3), np.uint8), (8, 20))[0].shape == (1, 20, 3)


def test_a_jpeg_that_decodes_with_a_warning_is_named(data, capfd):
    stray_bytes(data.frame('train/a', 2))
    assert data.found() == {}
    found = data.found(decode=True)
    assert set(found) == {'image damaged'}
    assert re.search(
        'train/a/000002.JPEG: the decoder says: Corrupt JPEG data: .* extraneous bytes before '
        'marker 0xd9',
        found['image damaged'][0],
    )
    assert 'Corrupt' not in capfd.readouterr().err


@pytest.mark.parametrize('name', ['000003.jpg', '000003.png'])
def test_a_frame_under_another_ending(data, name):
    for clip in ('train/a', CLIP):
        data.frame(clip, 3).rename(data.frame(clip, 3).with_name(name))
    both_refuse(
        data,
        '000003.JPEG does not exist, but %s is there: rename such files to end in .JPEG' % name,
    )
    with pytest.raises(DataError, match='No such file or directory, but %s is there' % name):
        read_image(data.frame('train/a', 3))
    assert any('but %s is there: rename' % name in text for text in data.found()['image missing'])


def test_the_orientation_in_damaged_headers(data):
    path = data.frame('train/a', 0)
    turn_file(path, 6)
    assert read_header(path).orientation == 6
    whole = path.read_bytes()
    for at in range(20, 60):
        path.write_bytes(whole[:at] + b'\xff' + whole[at + 1 :])
        try:
            assert 1 <= read_header(path).orientation <= 8
        except DataError:
            pass
