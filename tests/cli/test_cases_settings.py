"""Epochs, resumed runs and normalisation as users get them wrong, each through the real command on a tiny network."""
import json
import re
import shutil
import sys

import mxnet as mx
import numpy as np
import pytest

from lib.apps import commands
from lib.dataset.toy.toy_generator import Size, generate
from lib.engine.checkpoint import save_checkpoint
from tests.helpers import tiny

BATCHES = 4         # an epoch


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Folder with a training and a validation clip, of which four frames and one are used."""
    folder = tmp_path_factory.mktemp('data')
    generate(str(folder / 'toy_vid'), Size(train_clips=1, train_length=4, stills=0, val_clips=1, val_length=2), workers=1)
    return folder / 'toy_vid'


@pytest.fixture
def settings(tmp_path, data):
    """A settings file of one epoch of BATCHES batches; its data is a copy, its folder has no checkpoint."""
    shutil.copytree(str(data), str(tmp_path / 'toy_vid'))
    path = tiny.write_experiment(tmp_path, 'rfcn', TRAIN__FLIP=False, TRAIN__end_epoch=1, TRAIN__lr=0.001, TRAIN__lr_step='1,3',
                                 default__frequent=1, TRAIN__RPN_POST_NMS_TOP_N=20, TRAIN__BATCH_ROIS_OHEM=16)
    text = path.read_text().replace('  test_epoch: 1\n', '')
    assert 'test_epoch' not in text
    path.write_text(text)
    shutil.rmtree(str(tmp_path / 'output'))
    return path


@pytest.fixture
def train(settings, monkeypatch, capsys):
    """train(*settings, flags=(), test=False, status=0): run the command in this process; returns its output and errors."""
    def run(*words, flags=(), test=False, status=0):
        argv = ['train', '--cfg', str(settings)] + list(flags) + (['--set'] + list(words) if words else [])
        monkeypatch.setattr(sys, 'argv', argv)
        capsys.readouterr()
        task = tiny.fresh_task('rfcn')
        try:
            (commands.train_and_test if test else commands.train)(task, '')
            ended = 0
        except SystemExit as end:
            ended = end.code
        said = capsys.readouterr()
        text = said.out + said.err
        assert ended == status and text.count('error: ') == (1 if status else 0), text
        return text
    return run


@pytest.fixture
def prefix(tmp_path):
    return tiny.prefix(tmp_path, 'rfcn')


def params(prefix, epoch):
    return {name: array.asnumpy() for name, array in mx.nd.load('%s-%04d.params' % (prefix, epoch)).items()}


def copy_of_parameters(prefix, epoch=1):
    """A checkpoint of parameters alone, as copied without its other files; returns the file's bytes."""
    cfg = tiny.tiny_config('rfcn', dataset__NUM_CLASSES=6)
    tiny.save_params(prefix, cfg, epoch=epoch)
    with open('%s-%04d.params' % (prefix, epoch), 'rb') as stream:
        return stream.read()


# ---- which epoch is tested

def test_an_epoch_that_will_not_be_is_named_before_training(train, tmp_path):
    text = train('TEST.test_epoch=7', 'TRAIN.end_epoch=3', test=True, status=2)
    assert ('error: TEST.test_epoch is 7, but training ends with epoch 3 (TRAIN.end_epoch). Without TEST.test_epoch the last '
            'epoch, 3, is tested') in text
    assert 'batch' not in text and not (tmp_path / 'output').exists()
    text = train('TEST.test_epoch=2', 'TRAIN.begin_epoch=2', 'TRAIN.end_epoch=3', test=True, status=2)
    assert 'TEST.test_epoch is 2, but epochs 3 to 3 are trained' in text and 'tiny-0002.params' in text
    assert 'TEST.test_epoch is 0, but epochs 1 to 3 are trained' in train(
        'TEST.test_epoch=0', 'TRAIN.end_epoch=3', test=True, status=2)


def test_the_last_epoch_is_tested_and_an_earlier_one_said(train, prefix):
    text = train('TRAIN.end_epoch=2', test=True)
    assert 'testing epoch 2: %s-0002.params' % prefix in text and 'Mean AP@0.5' in text
    text = train('TRAIN.end_epoch=2', 'TEST.test_epoch=1', test=True)
    assert 'TEST.test_epoch: epoch 1 of 2 will be tested. Without TEST.test_epoch the last epoch, 2, is tested' in text
    assert 'testing epoch 1 of 2: %s-0001.params' % prefix in text and 'are finished and kept' not in text
    # The same seed makes the same parameters, so what the test found is kept, and said to be.
    text = train('TRAIN.end_epoch=2', 'TEST.test_epoch=1', test=True)
    assert re.search(r'1 of 1 clips are finished and kept: an earlier test had the same parameters \(sha256 [0-9a-f]{12}\.\.\.\), '
                     'settings and frames; --ignore_cache runs them again', text)
    text = train('TRAIN.end_epoch=2', 'TEST.test_epoch=1', 'TRAIN.lr=0.002', test=True)
    assert 'were made with other settings (parameters): all clips run again' in text and 'kept' not in text


def test_without_the_last_epoch_the_newest_is_tested(settings, train, prefix, capsys, monkeypatch):
    train()
    monkeypatch.setattr(sys, 'argv', ['test', '--cfg', str(settings), '--set', 'TRAIN.end_epoch=5'])
    commands.test(tiny.fresh_task('rfcn'), '')
    assert 'testing epoch 1 of 5: %s-0001.params' % prefix in capsys.readouterr().out


def test_changed_frames_are_tested_again(train, tmp_path):
    train(test=True)
    frame = sorted((tmp_path / 'toy_vid/Data/VID/val').rglob('*.JPEG'))[1]
    frame.write_bytes(frame.read_bytes() + b'\0\0')
    assert 'are finished and kept' not in train(test=True)
    assert '1 of 1 clips are finished and kept' in train(test=True)


# ---- begin_epoch without RESUME

def test_the_schedule_counts_from_epoch_0(train, prefix):
    copy_of_parameters(prefix, 2)
    text = train('TRAIN.begin_epoch=2', 'TRAIN.end_epoch=4', 'network.pretrained=%s' % prefix, 'network.pretrained_epoch=2')
    assert ('epochs 3 to 4 are trained, from learning rate 0.0001 on; TRAIN.begin_epoch without TRAIN.RESUME: from parameters '
            'alone, with new momentum') in text
    assert 'epoch 3 batch 4/4' in text and 'epoch 4 batch 4/4' in text and 'epoch 1 batch' not in text
    with open('%s-0004.json' % prefix) as stream:
        assert json.load(stream)['num_update'] == 4 * BATCHES


def test_the_rate_is_that_of_the_epoch(train, prefix):
    """One step from the same parameters at rates of 0.001 and, two epochs later, 0.0001: a tenth as far."""
    copy_of_parameters(prefix, 2)
    before = params(prefix, 2)
    moved = []
    for begin in (0, 2):
        train('TRAIN.begin_epoch=%d' % begin, 'TRAIN.end_epoch=%d' % (begin + 1), 'network.pretrained=%s' % prefix,
              'network.pretrained_epoch=2', 'TRAIN.momentum=0', 'TRAIN.wd=0', 'TRAIN.SHUFFLE=false', 'output_path=%s-%d' % (prefix, begin))
        after = params('%s-%d/tiny_rfcn/VID_train_15frames/tiny' % (prefix, begin), begin + 1)
        moved.append(np.abs(after['arg:rfcn_cls_bias'] - before['arg:rfcn_cls_bias']).sum())
    assert 5 < moved[0] / moved[1] < 20


def test_nothing_to_train_is_an_error(train):
    text = train('TRAIN.begin_epoch=2', 'TRAIN.end_epoch=2', status=2)
    assert 'TRAIN.begin_epoch is 2 and TRAIN.end_epoch 2: no epoch is left to train; raise TRAIN.end_epoch' in text


# ---- A-7: --resume beside parameters without a record

def advised(text):
    """The settings that a message advises."""
    found = re.search(r'leave out --resume and give --set (.*?), and a TRAIN.end_epoch above (\d+)', text)
    return found.group(1).split() + ['TRAIN.end_epoch=%d' % (int(found.group(2)) + 1)]


@pytest.mark.parametrize('beside, missing', [((), 'tiny-0001.states, tiny-0001.json'), (('states',), 'tiny-0001.json'),
                                             (('json',), 'tiny-0001.states')])
def test_parameters_without_a_record_stay_and_the_advice_leads_on(train, prefix, beside, missing):
    if beside:
        cfg = tiny.tiny_config('rfcn', dataset__NUM_CLASSES=6)
        save_checkpoint(prefix, 1, *tiny.tiny_params(cfg), {'x': mx.nd.ones(1)}, 4)
        for kind in {'states', 'json'} - set(beside):
            shutil.move('%s-0001.%s' % (prefix, kind), prefix + '.away')
    content = copy_of_parameters(prefix)
    text = train(flags=['--resume'], status=2)
    name = prefix + '-0001.params'
    if 'json' in beside:
        assert 'passed over: %s-0001.states is missing' % prefix in text
    assert 'TRAIN.RESUME: %s has no record (missing: %s), so' % (
        name, ', '.join(prefix[:-len('tiny')] + part for part in missing.split(', '))) in text
    with open(name, 'rb') as stream:
        assert stream.read() == content
    said = train(*advised(text))
    assert 'parameters from %s' % name in said and 'epochs 2 to 2 are trained, from learning rate 0.0001 on' in said
    with open(name, 'rb') as stream:
        assert stream.read() == content
    assert set(params(prefix, 2)) <= set(params(prefix, 1))


def test_a_foreign_file_behind_whole_checkpoints_stays(train, prefix):
    train()
    content = copy_of_parameters(prefix, 2)
    text = train('TRAIN.end_epoch=3', flags=['--resume'], status=2)
    assert '%s-0002.params has no record' % prefix in text
    with open(prefix + '-0002.params', 'rb') as stream:
        assert stream.read() == content


def test_a_save_that_was_interrupted_is_made_again(train, prefix):
    train('TRAIN.end_epoch=2')
    whole = params(prefix, 2)
    shutil.move(prefix + '-0002.json', prefix + '.away')
    text = train('TRAIN.end_epoch=2', flags=['--resume'])
    assert 'passed over: %s-0002.params, whose record %s-0002.json was not written' % (prefix, prefix) in text
    assert all(np.array_equal(value, whole[name]) for name, value in params(prefix, 2).items())


def test_nothing_left_to_train_is_said(train, prefix):
    train()
    text = train(flags=['--resume'], test=True)
    assert 'nothing is left to train: 1 epochs are done, and TRAIN.end_epoch is 1' in text
    assert 'epoch 1 batch' not in text and 'testing epoch 1: ' in text


def test_checkpoints_of_an_earlier_run_are_named(train, prefix):
    assert 'of an earlier run' not in train()
    assert ('checkpoints of an earlier run lie at %s (up to epoch 1): this one overwrites them as it comes to them, and '
            '--resume would go on from the newest' % prefix) in train()


# ---- resuming with other settings or data

def resume(train, *words, status=0):
    return train('TRAIN.end_epoch=2', *words, flags=['--resume'], status=status)


def test_an_unchanged_run_differs_in_nothing(train):
    train()
    text = resume(train, 'TRAIN.MAX_LOSS=5000', 'TEST.NMS=0.5', 'default.frequent=2')
    assert 'this run differs' not in text and 'epochs 2 to 2 are trained, from learning rate 0.0001 on' in text


def test_what_may_change_is_listed_with_what_follows(train, prefix):
    train()
    text = resume(train, 'TRAIN.lr=0.0005', 'TRAIN.SEED=3', 'TRAIN.momentum=0.8', 'TRAIN.FLIP=true', 'TRAIN.BATCH_IMAGES=2',
                  'gpus=cpu,cpu')
    listed = text[text.index('this run differs from the one that wrote %s-0001.params:' % prefix):].splitlines()[:8]
    order, size = ('images come in another order, or another way, from here on',
                   'an update sums the gradients of another number of images (see the effective learning rate)')
    assert listed[1:] == [
        '  TRAIN.BATCH_IMAGES 1 -> 2: ' + size, '  TRAIN.FLIP false -> true: ' + order, '  TRAIN.SEED 0 -> 3: ' + order,
        '  TRAIN.lr 0.001 -> 0.0005: the learning rate goes on as these settings have it at this place',
        '  TRAIN.momentum 0.9 -> 0.8: counts from the next batch on', '  training entries 4 -> 8: ' + order,
        '  devices 1 -> 2: ' + size]
    assert 'from learning rate 5e-05 on' in text
    assert 'a run with 4 batches an epoch, this one has 2: going on at the same share of the epoch' in text


@pytest.mark.parametrize('words, change', [
    (['network.depth=34'], 'network.depth 18 -> 34'),
    (['dataset.NUM_CLASSES=4'], 'dataset.NUM_CLASSES 6 -> 4'),
    (['TRAIN.BBOX_NORMALIZATION_PRECOMPUTED=false'], 'TRAIN.BBOX_NORMALIZATION_PRECOMPUTED true -> false'),
    (['network.FIXED_PARAMS=[]'], 'network.FIXED_PARAMS ["conv1", "bn_conv1", "res2", "bn2", "gamma", "beta"] -> []'),
    (['dataset.CLASSES=%s'], 'the classes ["'),
])
def test_another_network_or_task_is_refused(train, prefix, tmp_path, words, change):
    train()
    if '%s' in words[0]:
        names = (tmp_path / 'toy_vid' / 'classes.txt').read_text().splitlines()
        (tmp_path / 'other.txt').write_text('\n'.join(reversed(names)) + '\n')
        words = [words[0] % (tmp_path / 'other.txt')]
    before = params(prefix, 1)
    text = resume(train, *words, status=2)
    assert 'error: %s-0001.params is of a run with other settings: %s' % (prefix, change) in text
    assert 'docs/reliability.md has the rule' in text and advised(text)
    assert all(np.array_equal(value, before[name]) for name, value in params(prefix, 1).items())


def test_momentum_that_was_not_there_is_refused(train):
    train('TRAIN.momentum=0')
    assert 'other settings: TRAIN.momentum 0.0 -> 0.9' in resume(train, status=2)


def image_set(tmp_path):
    return tmp_path / 'toy_vid' / 'ImageSets' / 'VID_train_15frames.txt'


def test_data_that_grew_or_changed_is_said(train, tmp_path, settings):
    path = image_set(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text('\n'.join(lines[:3]) + '\n')
    train()
    path.write_text('\n'.join(lines[1:4]) + '\n')
    assert '  the list of training images is as long as it was, but another one: images come in another' in resume(train)
    path.write_text('\n'.join(lines) + '\n')
    text = train('TRAIN.end_epoch=3', flags=['--resume'])
    assert '  training entries 3 -> 4: images come in another order' in text and 'some twice' not in text
    annotation = sorted((tmp_path / 'toy_vid/Annotations/VID/train').rglob('*.xml'))[0]
    annotation.write_text(re.sub(r'<xmax>(\d+)', lambda match: '<xmax>%d' % (int(match.group(1)) - 1), annotation.read_text()))
    text = train('TRAIN.end_epoch=4', flags=['--resume'])
    assert '  the labels of the training images: counts from the next batch on' in text


def test_within_an_epoch_it_says_what_becomes_of_it(train, prefix):
    train('TRAIN.CHECKPOINT_EVERY=2')
    for kind in ('params', 'states', 'json'):
        shutil.move('%s-0001.%s' % (prefix, kind), prefix + '.away')
    text = resume(train, 'TRAIN.SEED=1')
    assert '  TRAIN.SEED 0 -> 1: images come in another order, or another way, from here on, in this epoch some twice or' in text


def test_another_image_set_is_another_run(train, tmp_path, prefix):
    train()
    shutil.copy(str(image_set(tmp_path)), str(image_set(tmp_path).with_name('VID_train_more.txt')))
    text = resume(train, 'dataset.image_set=VID_train_more')
    assert 'yet, starting anew; those of other image sets, in %s, are of other runs. To train on from' % prefix[:-len('/tiny')] in text
    assert 'network.pretrained=%s network.pretrained_epoch=1 network.pretrained_flow= TRAIN.begin_epoch=0' % prefix in text


def test_a_record_of_an_older_version_is_taken(train, prefix):
    train()
    with open(prefix + '-0001.json') as stream:
        record = json.load(stream)
    for part in ('settings', 'data'):
        del record[part]
    with open(prefix + '-0001.json', 'w') as stream:
        json.dump(record, stream)
    text = resume(train, 'TRAIN.SEED=1')
    assert 'tiny-0001.json does not tell the settings of its run, as an older version wrote it' in text
    assert '  TRAIN.SEED 0 -> 1: ' in text


# ---- what is folded in

@pytest.mark.parametrize('precomputed, factors', [('true', [0.1, 0.1, 0.2, 0.2]), ('false', [1, 1, 1, 1])])
def test_the_normalisation_that_was_used_is_folded_in(train, prefix, precomputed, factors):
    train('TRAIN.BBOX_NORMALIZATION_PRECOMPUTED=' + precomputed, 'TRAIN.BBOX_MEANS=[0.5,0,0,0]')
    arrays = params(prefix, 1)
    plain, folded = (arrays['arg:rfcn_bbox_weight' + end].reshape(8, -1) for end in ('', '_test'))
    np.testing.assert_allclose(folded, plain * np.tile(factors, 2)[:, None], rtol=1e-6)
    plain, folded = (arrays['arg:rfcn_bbox_bias' + end].reshape(8, -1) for end in ('', '_test'))
    means = np.tile([0.5, 0, 0, 0] if precomputed == 'true' else [0] * 4, 2)
    np.testing.assert_allclose(folded, plain * np.tile(factors, 2)[:, None] + means[:, None], rtol=1e-6)
