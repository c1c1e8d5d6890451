"""What --resume makes of other settings and other data."""
import json
import re
import shutil

import numpy as np
import pytest

from tests.helpers.training_command import Training, advised, make_data

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp('data'))


@pytest.fixture
def train(tmp_path, data, monkeypatch, capsys):
    return Training(tmp_path, data, monkeypatch, capsys)


def test_an_unchanged_run_differs_in_nothing(train):
    train()
    text = train.resume('TRAIN.MAX_LOSS=5000', 'TEST.NMS=0.5', 'default.frequent=2')
    assert (
        'this run differs' not in text
        and 'epochs 2 to 2 are trained, from learning rate 0.0001 on' in text
    )


def test_what_may_change_is_listed_with_what_follows(train):
    train()
    text = train.resume(
        'TRAIN.lr=0.0005',
        'TRAIN.SEED=3',
        'TRAIN.momentum=0.8',
        'TRAIN.FLIP=true',
        'TRAIN.BATCH_IMAGES=2',
        'gpus=cpu,cpu',
    )
    listed = text[
        text.index('this run differs from the one that wrote %s-0001.params:' % train.prefix) :
    ].splitlines()[:8]
    order, size = (
        'images come in another order, or another way, from here on',
        'an update sums the gradients of another number of images (see the effective learning rate)',
    )
    assert listed[1:] == [
        '  TRAIN.BATCH_IMAGES 1 -> 2: ' + size,
        '  TRAIN.FLIP false -> true: ' + order,
        '  TRAIN.SEED 0 -> 3: ' + order,
        '  TRAIN.lr 0.001 -> 0.0005: the learning rate is that of these settings at this place',
        '  TRAIN.momentum 0.9 -> 0.8: counts from the next batch on',
        '  training entries 4 -> 8: ' + order,
        '  devices 1 -> 2: ' + size,
    ]
    assert 'from learning rate 5e-05 on' in text
    assert (
        'a run with 4 batches an epoch, this one has 2: continuing at the same share of the epoch'
        in text
    )


@pytest.mark.parametrize(
    'words, change',
    [
        (['network.depth=34'], 'network.depth 18 -> 34'),
        (['dataset.NUM_CLASSES=4'], 'dataset.NUM_CLASSES 6 -> 4'),
        (
            ['TRAIN.BBOX_NORMALIZATION_PRECOMPUTED=false'],
            'TRAIN.BBOX_NORMALIZATION_PRECOMPUTED true -> false',
        ),
        (
            ['network.FIXED_PARAMS=[]'],
            'network.FIXED_PARAMS ["conv1", "bn_conv1", "res2", "bn2", "gamma", "beta"] -> []',
        ),
        (['dataset.CLASSES=%s'], 'the classes ["'),
    ],
)
def test_another_network_or_task_is_refused(train, tmp_path, words, change):
    train()
    if '%s' in words[0]:
        names = (tmp_path / 'toy_vid' / 'classes.txt').read_text().splitlines()
        (tmp_path / 'other.txt').write_text('\n'.join(reversed(names)) + '\n')
        words = [words[0] % (tmp_path / 'other.txt')]
    before = train.params(1)
    text = train.resume(*words, status=2)
    assert (
        'error: %s-0001.params is of a run with other settings: %s' % (train.prefix, change)
        in text
    )
    assert 'docs/reliability.md has the rule' in text and advised(text)
    assert all(np.array_equal(value, before[name]) for name, value in train.params(1).items())


def test_momentum_that_was_not_there_is_refused(train):
    train('TRAIN.momentum=0')
    assert 'other settings: TRAIN.momentum 0.0 -> 0.9' in train.resume(status=2)


def image_set(tmp_path):
    return tmp_path / 'toy_vid' / 'ImageSets' / 'VID_train_15frames.txt'


def test_data_that_grew_or_changed_is_said(train, tmp_path):
    path = image_set(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text('\n'.join(lines[:3]) + '\n')
    train()
    path.write_text('\n'.join(lines[1:4]) + '\n')
    text = train.resume()
    assert (
        '  the list of training images has the same length, but is another one: images come in' in text
    )
    path.write_text('\n'.join(lines) + '\n')
    text = train.resume(end=3)
    assert (
        '  training entries 3 -> 4: images come in another order' in text
        and 'some twice' not in text
    )
    annotation = sorted((tmp_path / 'toy_vid/Annotations/VID/train').rglob('*.xml'))[0]
    xmax = re.search(r'<xmax>(\d+)', annotation.read_text())
    narrower = '<xmax>%d' % (int(xmax.group(1)) - 1)
    annotation.write_text(annotation.read_text().replace(xmax.group(), narrower))
    text = train.resume(end=4)
    assert '  the labels of the training images: counts from the next batch on' in text


def test_within_an_epoch_it_says_what_becomes_of_it(train):
    train('TRAIN.CHECKPOINT_EVERY=2')
    train.lose(1, 'params', 'states', 'json')
    text = train.resume('TRAIN.SEED=1')
    assert (
        '  TRAIN.SEED 0 -> 1: images come in another order, or another way, from here on, in this epoch some twice or'
        in text
    )


def test_within_an_epoch_what_is_advised_can_be_done(train):
    train('TRAIN.CHECKPOINT_EVERY=2')
    train.lose(1, 'params', 'states', 'json')
    text = train.resume('network.depth=34', status=2)
    assert 'is of a run with other settings: network.depth 18 -> 34' in text
    source, target = re.search(r'without their momentum, copy (\S+) to (\S+), leave out --resume', text).groups()
    shutil.copy(source, target)
    assert 'parameters from %s\n' % target in train(*advised(text), 'network.depth=34')


def test_another_image_set_is_another_run(train, tmp_path):
    train()
    shutil.copy(str(image_set(tmp_path)), str(image_set(tmp_path).with_name('VID_train_more.txt')))
    text = train.resume('dataset.image_set=VID_train_more')
    assert (
        'yet, starting from the beginning; those of other image sets, in %s, are of other runs. To train on from'
        % train.prefix[: -len('/tiny')]
        in text
    )
    assert (
        'network.pretrained=%s network.pretrained_epoch=1 network.pretrained_flow= TRAIN.begin_epoch=0'
        % train.prefix
        in text
    )


def test_a_record_of_an_older_version_is_taken(train):
    train()
    with open(train.prefix + '-0001.json') as stream:
        record = json.load(stream)
    for part in ('settings', 'data'):
        del record[part]
    with open(train.prefix + '-0001.json', 'w') as stream:
        json.dump(record, stream)
    text = train.resume('TRAIN.SEED=1')
    assert (
        'tiny-0001.json does not tell the settings of its run, as an older version wrote it'
        in text
    )
    assert '  TRAIN.SEED 0 -> 1: ' in text
