"""Training of DeepLab and DFF-DeepLab, run as a user runs it, on a few small frames."""
import os
import signal
import subprocess
import sys
import time

import cv2
import mxnet as mx
import numpy as np
import pytest
import yaml

from tests.helpers.marks import slow
from tests.helpers.seg_tools import write

HEIGHT, WIDTH, FRAMES = 48, 64, 6
SETTINGS = {'gpus': 'cpu', 'SCALES': [HEIGHT, WIDTH], 'default': {'frequent': 4},
            'network': {'depth': 18, 'width': 0.125, 'flow_width': 0.125, 'BN_GLOBAL_STATS': False, 'FIXED_PARAMS': []},
            'dataset': {'dataset': 'SegFolder', 'NUM_CLASSES': 3, 'image_set': 'train', 'test_image_set': 'train'},
            'TRAIN': {'lr': 0.02, 'lr_step': '', 'warmup': False, 'BATCH_IMAGES': 2, 'CROP_HEIGHT': 32,
                      'CROP_WIDTH': 48, 'end_epoch': 2, 'model_prefix': 'tiny'},
            'TEST': {'KEY_FRAME_INTERVAL': 2, 'test_epoch': 2}}
SYMBOLS = {'deeplab': 'resnet_v1_deeplab', 'dff_deeplab': 'resnet_v1_flownet_deeplab'}
SCRIPTS = {'deeplab': 'experiments/deeplab/deeplab_train_test.py',
           'dff_deeplab': 'experiments/dff_deeplab/dff_deeplab_end2end_train_test.py'}


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    """A folder with a data set of two clips, in which a red and a blue square move, and a YAML file for each task."""
    folder = tmp_path_factory.mktemp('run')
    for clip in range(2):
        for t in range(FRAMES):
            image, ids = np.full((HEIGHT, WIDTH, 3), 90, np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
            for index, colour in ((1, (40, 40, 230)), (2, (230, 60, 40))):
                corner = (5 + 28 * (index - 1) + 2 * t, 4 + 10 * clip + t)
                for picture, value in ((image, colour), (ids, index)):
                    cv2.rectangle(picture, corner, (corner[0] + 18, corner[1] + 22), value, cv2.FILLED)
            write(folder / 'data' / 'train' / ('clip%d' % clip) / ('%03d.png' % t), image)
            write(folder / 'data' / 'trainannot' / ('clip%d' % clip) / ('%03d.png' % t), ids)
    (folder / 'data' / 'classes.txt').write_text('floor\nred\nblue\n')
    for task, symbol in SYMBOLS.items():
        settings = dict(SETTINGS, symbol=symbol, output_path=str(folder / 'output' / task))
        settings['dataset'] = dict(settings['dataset'], dataset_path=str(folder / 'data'))
        (folder / ('tiny_%s.yaml' % task)).write_text(yaml.safe_dump(settings))
    return folder


def start(root, work, task, script=None, settings=()):
    words = [sys.executable, str(root / (script or SCRIPTS[task])), '--cfg', str(work / ('tiny_%s.yaml' % task)),
             '--set'] + list(settings)
    return subprocess.Popen(words + ['TRAIN.SEED=3'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            universal_newlines=True, cwd=str(work), env=dict(os.environ, OMP_NUM_THREADS='1'))


def finish(process):
    """(status, stdout, stderr)"""
    out, err = process.communicate(timeout=600)
    print(out[-3000:], err[-3000:])
    return process.returncode, out, err


def checkpoint(output, task, epoch):
    return output / task / ('tiny_%s' % task) / 'train' / ('tiny-%04d.params' % epoch)


def losses(out):
    return [float(line.split('FCNLogLoss ')[1]) for line in out.splitlines() if 'FCNLogLoss ' in line]


@pytest.mark.slow
def test_train_and_test_both_networks(root, work):
    status, out, _ = finish(start(root, work, 'deeplab', settings=['TRAIN.end_epoch=6', 'TEST.test_epoch=6']))
    assert status == 0
    assert 'effective learning rate 0.02' in out and "the original's rule for Cityscapes" in out
    assert 'PixelAcc' in out and 'Mean IoU = ' in out
    baseline = losses(out)
    assert len(baseline) == 18 and np.mean(baseline[-3:]) < 0.8 * baseline[0]
    file = checkpoint(work / 'output', 'deeplab', 6)
    params = mx.nd.load(str(file))
    assert {'arg:fc6_bias', 'arg:score_weight', 'arg:upsampling_weight', 'aux:bn_conv1_moving_mean'} <= set(params)

    status, out, _ = finish(start(root, work, 'dff_deeplab', settings=[
        'network.pretrained=%s' % str(file)[:-len('-0006.params')], 'network.pretrained_epoch=6',
        'network.BN_GLOBAL_STATS=true', 'network.FIXED_PARAMS=[conv1, bn, res]']))
    assert status == 0 and '60 of 111 parameters are frozen (network.FIXED_PARAMS as prefixes)' in out
    assert losses(out)[0] < 0.95 * baseline[0] and 'Mean IoU = ' in out
    trained = mx.nd.load(str(checkpoint(work / 'output', 'dff_deeplab', 2)))
    assert 'arg:flow_conv1_weight' in trained and 'arg:Convolution5_scale_weight' not in trained
    same = {name for name in params if np.array_equal(params[name].asnumpy(), trained[name].asnumpy())}
    assert set(params) - same == {'arg:fc6_weight', 'arg:fc6_bias', 'arg:score_weight', 'arg:score_bias'}


@pytest.mark.slow
def test_a_killed_and_resumed_run_ends_with_the_same_parameters(root, work):
    script, task = 'dff_deeplab/train_end2end.py', 'dff_deeplab'
    assert finish(start(root, work, task, script, ['output_path=%s' % (work / 'whole' / task)]))[0] == 0
    parts = ['output_path=%s' % (work / 'parts' / task), 'TRAIN.RESUME=true']
    killed = start(root, work, task, script, parts + ['TRAIN.end_epoch=100'])
    first = checkpoint(work / 'parts', task, 1).with_suffix('.json')
    deadline = time.time() + 300
    while not first.exists():
        assert killed.poll() is None and time.time() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    assert finish(killed)[0] == -signal.SIGKILL
    # epochs are short: more than one may have ended before the signal came
    for later in range(2, 100):
        for extension in ('.json', '.params', '.states'):
            path = checkpoint(work / 'parts', task, later).with_suffix(extension)
            if path.exists():
                path.unlink()
    status, out, _ = finish(start(root, work, task, script, parts))
    assert status == 0 and 'resuming from ' in out
    whole, resumed = (mx.nd.load(str(checkpoint(work / name, task, 2))) for name in ('whole', 'parts'))
    assert set(whole) == set(resumed)
    assert all(np.array_equal(whole[name].asnumpy(), resumed[name].asnumpy()) for name in whole)
    before = mx.nd.load(str(checkpoint(work / 'whole', task, 1)))
    assert not np.array_equal(before['arg:flow_conv1_weight'].asnumpy(), whole['arg:flow_conv1_weight'].asnumpy())


@pytest.mark.parametrize('settings, message', [
    (['TRAIN.CROP_HIGHT=3'], "there is no setting 'TRAIN.CROP_HIGHT'; did you mean 'TRAIN.CROP_HEIGHT'?"),
    slow(['dataset.dataset=ToyVID'], "'ToyVID' has labels for detection, but segmentation is to be done"),
    slow(['network.pretrained_flow=nowhere/flownet'], 'nowhere/flownet-0000.params'),
    slow(['dataset.image_set=train+nothing'], "image set 'nothing'"),
], ids=lambda value: value[0] if isinstance(value, list) else '')
def test_mistakes_end_with_one_line(root, work, settings, message):
    status, _, err = finish(start(root, work, 'dff_deeplab', 'dff_deeplab/train_end2end.py', settings))
    assert status == 2
    assert message in err and 'Traceback' not in err and err.count('error: ') == 1
