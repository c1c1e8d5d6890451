"""The original's configuration as it is shipped, at its full size, on the CPU: two iterations of training, then a test.

Weights and data are stand-ins of the right names, shapes and layout; it takes about a minute and 6 GB of memory.
"""
import json
import os
import subprocess
import sys

import cv2
import mxnet as mx
import numpy as np
import pytest

import dff_rfcn.symbols  # noqa: F401  (makes the networks known)
from lib.config.config import update_from_file
from lib.config.defaults import detection_defaults
from lib.dataset.formats.image_sets import Entry, write_image_set
from lib.engine.checkpoint import save_arrays
from lib.symbols.flow_networks.flownet import ENCODER
from lib.symbols.registry import get_symbol_instance
from lib.utils.paths import resolve

CFG = 'experiments/%s/cfgs/resnet_v1_101_flownet_imagenet_vid_rfcn_end2end_ohem.yaml'
# Three frames have two key frames, of which the second is joined with the first.
RECURSIVE = ['TRAIN.AGGREGATE=recursive', 'TEST.AGGREGATE=recursive', 'TEST.KEY_FRAME_INTERVAL=2']
OBJECT = ('<object><name>n02958343</name>'
          '<bndbox><xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax><ymax>%d</ymax></bndbox></object>')


def memory_gb():
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2 ** 30


def write_frame(folder, tree, path, t):
    image = np.full((720, 1280, 3), 90, np.uint8)
    cv2.rectangle(image, (200 + 9 * t, 150), (600 + 9 * t, 500), (40, 200, 220), -1)
    for part, name in (('Data', path + '.JPEG'), ('Annotations', path + '.xml')):
        file = folder / part / tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if part == 'Data':
            cv2.imwrite(str(file), image)
        else:
            file.write_text('<annotation><size><width>1280</width><height>720</height></size>%s</annotation>'
                            % (OBJECT % (200 + 9 * t, 150, 600 + 9 * t, 500)))


def write_data(folder):
    """ILSVRC2015 with one still, one labelled training frame and one validation clip of three frames."""
    write_frame(folder, 'DET', 'train/still', 0)
    for t in range(3):
        for clip in ('train/clip', 'val/clip'):
            write_frame(folder, 'VID', '%s/%06d' % (clip, t), t)
    sets = str(folder / 'ImageSets')
    write_image_set(sets, 'DET_train_30classes', 'stills', [Entry('train/still', 1, None, 0, 1, 0)])
    write_image_set(sets, 'VID_train_15frames', 'training', [Entry('train/clip/000002', 1, 'train/clip', 2, 3, 0)])
    write_image_set(sets, 'VID_val_videos', 'videos',
                    [Entry('val/clip/%06d' % t, 1 + t, 'val/clip', t, 3, 0) for t in range(3)])


def write_weights(folder):
    """resnet_v1_101-0000.params and flownet-0000.params with first values; the heads are left to training."""
    config = detection_defaults()
    update_from_file(config, resolve(CFG % 'dff_rfcn'))
    instance = get_symbol_instance(config)
    instance.get_train_symbol(config)
    shapes = {'data': (1, 3, 64, 64), 'data_ref': (1, 3, 64, 64), 'eq_flag': (1,), 'im_info': (1, 3),
              'gt_boxes': (1, 1, 5), 'label': (1, 9 * 16), 'bbox_target': (1, 36, 4, 4), 'bbox_weight': (1, 36, 4, 4)}
    instance.infer_shape(shapes)
    args, auxs = {}, {}
    instance.init_weight(config, args, auxs)
    flow = tuple(name for name, _, _, _ in ENCODER) + ('deconv', 'Convolution', 'upsample_flow')
    arrays = {'arg:' + name: array for name, array in args.items()}
    arrays.update(('aux:' + name, array) for name, array in auxs.items())
    for file, wanted in (('resnet_v1_101', lambda n: n.startswith(('conv1_', 'bn', 'res'))),
                         ('flownet', lambda n: n.startswith(flow))):
        save_arrays(str(folder / (file + '-0000.params')), {k: v for k, v in arrays.items() if wanted(k[4:])})


@pytest.mark.slow
@pytest.mark.skipif(memory_gb() < 10, reason='training ResNet-101 at 562x1000 wants 6 GB of memory')
@pytest.mark.parametrize('task, settings, frozen, key_frames', [
    ('dff_rfcn', [], '33 of 370', 1), ('dff_rfcn', RECURSIVE, '33 of 376', 2), ('fgfa_rfcn', [], '219 of 374', 3)])
def test_the_shipped_configuration_trains_and_tests_at_full_size(root, tmp_path, task, settings, frozen, key_frames):
    cfg = CFG % task
    if (settings or task == 'fgfa_rfcn') and memory_gb() < 13:
        pytest.skip('training on three images at once wants 9 GB of memory')
    write_data(tmp_path / 'ILSVRC2015')
    write_weights(tmp_path)
    process = subprocess.run(
        [sys.executable, str(root / 'experiments' / task / ('%s_end2end_train_test.py' % task)),
         '--cfg', cfg, '--gpus', 'cpu', '--frequent', '1', '--set',
         'dataset.root_path=%s' % tmp_path, 'dataset.dataset_path=%s' % (tmp_path / 'ILSVRC2015'),
         'output_path=%s' % (tmp_path / 'output'), 'network.pretrained=%s' % (tmp_path / 'resnet_v1_101'),
         'network.pretrained_flow=%s' % (tmp_path / 'flownet'), 'TRAIN.FLIP=false', 'TRAIN.end_epoch=1',
         'TEST.test_epoch=1', *settings],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert process.returncode == 0, process.stderr[-3000:]
    assert frozen + ' parameters are frozen' in process.stdout
    losses = [line for line in process.stdout.splitlines() if line.startswith('epoch 1 batch')]
    assert len(losses) == 2 and 'nan' not in ''.join(losses)
    assert 'Mean AP@0.5 = ' in process.stdout
    folder = tmp_path / 'output' / os.path.basename(cfg)[:-len('.yaml')] / 'DET_train_30classes_VID_train_15frames'
    params = mx.nd.load(str(folder / ('%s_vid-0001.params' % task)))
    assert params['arg:rfcn_bbox_weight_test'].shape == (392, 512, 1, 1)
    results = json.loads(next((tmp_path / 'output').rglob('results.json')).read_text())
    assert results['frames'] == 3 and results['key_frames'] == key_frames
