"""The commands of the README, run as a user runs them, on a toy_vid of a few frames and networks of a few channels."""
import json
import os
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest

from lib.dataset.toy.toy_generator import Size, generate
from tests.helpers.marks import slow

SMALL = ['network.pretrained=', 'network.width=0.125', 'network.DFF_FEAT_DIM=16', 'network.BN_GLOBAL_STATS=false',
         'network.FIXED_PARAMS=[]', 'TRAIN.RPN_POST_NMS_TOP_N=20', 'TEST.RPN_POST_NMS_TOP_N=20',
         'TRAIN.BATCH_ROIS_OHEM=16', 'TRAIN.FLIP=false', 'TRAIN.warmup=false', 'TRAIN.end_epoch=1', 'TEST.test_epoch=1']


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    """A folder with a small toy_vid in data/."""
    folder = tmp_path_factory.mktemp('run')
    generate(str(folder / 'data' / 'toy_vid'),
             Size(train_clips=1, train_length=15, stills=12, val_clips=2, val_length=7), workers=1)
    return folder


@pytest.fixture
def command(root, work):
    """Runs a script on that data; returns the finished process with its output as text."""
    def run(script, *arguments, settings=(), output='output'):
        task = script.split('/')[-1].split('_end2end')[0].split('_test')[0]
        paths = ['dataset.root_path=%s' % (work / 'data'), 'dataset.dataset_path=%s' % (work / 'data' / 'toy_vid'),
                 'output_path=%s' % (work / output / task)]
        words = [sys.executable, str(root / script), '--cfg', 'experiments/%s/cfgs/toy_vid_%s.yaml' % (task, task)]
        process = subprocess.run(words + list(arguments) + ['--set'] + paths + SMALL + list(settings), cwd=str(work),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                                 env=dict(os.environ, OMP_NUM_THREADS='1'))
        print(process.stdout[-3000:], process.stderr[-3000:])
        return process
    return run


RFCN, DFF = ('experiments/%s/%s_end2end_train_test.py' % (task, task) for task in ('rfcn', 'dff_rfcn'))


def trained(work, output, epoch=1):
    return work / output / 'rfcn' / 'toy_vid_rfcn' / 'DET_train_toy' / ('rfcn_toy_vid-%04d.params' % epoch)


def test_train_and_test_both_networks(command, work):
    baseline = command(RFCN, '--gpus', 'cpu', '--frequent', '2')
    assert baseline.returncode == 0
    assert 'running on the CPU' in baseline.stdout and 'effective learning rate' in baseline.stdout
    assert '0 of 70 parameters are frozen' in baseline.stdout and 'Mean AP@0.5 = ' in baseline.stdout
    folder = trained(work, 'output').parent
    params = mx.nd.load(str(trained(work, 'output')))
    assert {'arg:rfcn_bbox_weight_test', 'arg:rfcn_bbox_bias_test', 'arg:conv1_weight',
            'aux:bn_conv1_moving_mean'} <= set(params)
    log = next(folder.glob('*.log')).read_text()
    assert 'BATCH_ROIS_OHEM' in log and 'epoch 1 batch 2/' in log

    prefix = str(trained(work, 'output'))[:-len('-0001.params')]
    dff = command(DFF,
                  settings=['network.pretrained=%s' % prefix, 'network.pretrained_epoch=1', 'network.pretrained_flow='])
    assert dff.returncode == 0 and 'Mean AP@0.5 = ' in dff.stdout
    results = json.loads(next((work / 'output' / 'dff_rfcn').rglob('results.json')).read_text())
    assert results['frames'] == 14 and results['key_frames'] == 2 and 0 <= results['mAP'] <= 1


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_parameters(command, work):
    def train(output, *settings):
        return command(RFCN, settings=settings, output=output)

    assert train('whole', 'TRAIN.end_epoch=2', 'TEST.test_epoch=2').returncode == 0
    assert train('parts').returncode == 0
    resumed = train('parts', 'TRAIN.end_epoch=2', 'TEST.test_epoch=2', 'TRAIN.RESUME=true')
    assert resumed.returncode == 0 and 'resuming from ' in resumed.stdout
    whole, parts = (mx.nd.load(str(trained(work, name, 2))) for name in ('whole', 'parts'))
    assert set(whole) == set(parts)
    assert all(np.array_equal(whole[name].asnumpy(), parts[name].asnumpy()) for name in whole)
    first = mx.nd.load(str(trained(work, 'whole', 1)))
    assert not np.array_equal(first['arg:conv1_weight'].asnumpy(), whole['arg:conv1_weight'].asnumpy())


@pytest.mark.parametrize('settings, message', [
    (['TRAIN.lrr=1'], "there is no setting 'TRAIN.lrr'; did you mean 'TRAIN.lr'"),
    slow(['dataset.NUM_CLASSES=31'], 'NUM_CLASSES'),
    slow(['network.pretrained=nowhere/resnet'], 'nowhere/resnet-0006.params'),
    slow(['network.pretrained_flow=nowhere/flownet'], 'nowhere/flownet-0000.params'),
    slow(['symbol=resnet_v1_102_rfcn'], "there is no network called 'resnet_v1_102_rfcn'"),
    slow(['dataset.dataset=ImageNetVIDD'], "ImageNetVIDD"),
    slow(['dataset.image_set=VID_train_99frames'], 'VID_train_99frames'),
    slow(['output_path=/dev/null/x'], 'cannot write to the output folder /dev/null/x'),
], ids=lambda value: value[0] if isinstance(value, list) else '')
def test_mistakes_end_with_one_line(command, settings, message):
    settings = ['network.pretrained=', 'network.pretrained_epoch=6'] + settings
    process = command(DFF, settings=settings, output='mistakes')
    assert process.returncode == 2
    assert message in process.stderr and 'Traceback' not in process.stderr and process.stderr.count('error: ') == 1
