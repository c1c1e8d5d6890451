"""Frames with rare classes come more often: factors, whole epochs, and the same draws after a resume."""
import logging

import cv2
import numpy as np
import pytest

from dff.errors import ConfigError
from lib.config.config import update_from_settings
from lib.config.defaults import detection_defaults, segmentation_defaults
from lib.dataset.formats.records import Record
from lib.train.loaders.balance import entries_per_epoch, repeat_factors, repeated
from lib.train.loaders.detection_loader import DetectionLoader
from lib.train.loaders.loader import epoch_order


def classes_of(*images):
    return [np.array(image) for image in images]


def test_factors_are_those_of_the_formula():
    # Class 1 in all 8 images, class 2 in 2, class 4 in 1; of two boxes of a class one counts.
    images = classes_of([1], [1], [1], [1], [1], [1, 2, 2], [2, 1], [4, 1])
    assert np.allclose(repeat_factors(images, 0.5), [1] * 5 + [np.sqrt(2)] * 2 + [2])
    assert np.allclose(repeat_factors(images, 1.0), [1] * 5 + [2, 2, np.sqrt(8)])
    assert (repeat_factors(images, 0.125) == 1).all() and (repeat_factors(images, 0.0) == 1).all()


def test_an_epoch_has_the_same_number_of_entries_and_on_average_the_factors():
    factors = np.array([1.0, 1.5, 2.25, 1.0, 3.7, 1.0])
    assert entries_per_epoch(factors) == 11
    counts = np.array([np.bincount(repeated(factors, np.random.RandomState(seed)) % 6, minlength=6)
                       for seed in range(400)])
    assert (counts.sum(axis=1) == 11).all()
    assert (counts >= np.floor(factors)).all() and (counts <= np.ceil(factors * 11 / factors.sum())).all()
    assert np.abs(counts.mean(axis=0) - factors * 11 / factors.sum()).max() < 0.08
    assert sorted(repeated(np.array([1.0, 3.0]), np.random.RandomState(0))) == [0, 1, 3, 5]


@pytest.mark.parametrize('batch_size', [1, 2, 5])
def test_orders_hold_every_record_and_further_copies_of_rare_ones(batch_size):
    factors = np.array([1.0] * 9 + [3.0] * 2)
    order = epoch_order(11, detection_defaults(), 4, batch_size, np.arange(11) % 2 == 0, factors)
    assert len(order) == -(-15 // batch_size) * batch_size and set(np.array(order) % 11) == set(range(11))
    assert set(order) == set(range(11)) | {20, 21, 31, 32}


@pytest.fixture
def roidb(tmp_path):
    """Ten frames of a clip, of class 1 but for one of class 2."""
    pattern = str(tmp_path / '%06d.png')
    for t in range(10):
        cv2.imwrite(pattern % t, np.full((60, 80, 3), 20 * t, np.uint8))
    box = np.array([[10, 10, 50, 40]], np.float32)
    return [Record(pattern % t, 60, 80, box, np.array([2 if t == 3 else 1]), False, pattern, t, 10, '')
            for t in range(10)]


def cfg(**train):
    config = detection_defaults()
    config.SCALES = [(60, 80)]
    config.TRAIN.update(train)
    return config


def test_batches_of_an_epoch(roidb, caplog):
    caplog.set_level(logging.INFO, logger='dff')
    loader = DetectionLoader(roidb, cfg(BALANCE=0.9, RANDOM_CROP=1.0), 1, True)
    assert loader.batches_per_epoch == 12
    batches = list(loader)
    rare = [batch for batch in batches if batch.images == [roidb[3].image]]
    assert len(batches) == 12 and len(rare) == 3
    # Each copy has a crop of its own.
    assert len({tuple(batch.data[0][4].asnumpy()[0, 0]) for batch in rare}) == 3
    again = DetectionLoader(roidb, cfg(BALANCE=0.9, RANDOM_CROP=1.0), 1, True, workers=1)
    again.skip_to(5)
    assert [batch.images for batch in again] == [batch.images for batch in batches[5:]]
    assert ('TRAIN.BALANCE 0.9: 1 of 10 entries have rarer classes and come up to 3 times an epoch, which has 12 '
            'entries') in caplog.text


def test_where_no_class_is_rare_nothing_changes(roidb, caplog):
    caplog.set_level(logging.INFO, logger='dff')
    plain, balanced = DetectionLoader(roidb, cfg(), 1, True), DetectionLoader(roidb, cfg(BALANCE=0.05), 1, True)
    assert [batch.images for batch in plain] == [batch.images for batch in balanced]
    assert 'TRAIN.BALANCE 0.05: every class is in as many of the 10 entries; all come once an epoch' in caplog.text


@pytest.mark.parametrize('defaults, value, message', [
    (detection_defaults, '2', 'TRAIN.BALANCE must be at least 0 and at most 1, found 2.0'),
    (detection_defaults, 'true', "'TRAIN.BALANCE' must be a number, found True"),
    (segmentation_defaults, '0.1', "there is no setting 'TRAIN.BALANCE'")])
def test_values_that_cannot_be_are_refused(defaults, value, message):
    with pytest.raises(ConfigError) as error:
        update_from_settings(defaults(), ['TRAIN.BALANCE=' + value])
    assert message in str(error.value)
