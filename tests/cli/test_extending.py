"""What CONTRIBUTING.md promises: a data set, a backbone and a task join from a folder of one's own.

The project itself is not changed. The files below are whole: they are what somebody who adds one writes.
"""
import json
import os
import subprocess
import sys

import cv2
import pytest
import yaml

from tests.helpers import tiny
from tests.helpers.marks import slow

DATASET = '''
"""Clips in folders of PNG files, and one boxes.csv with lines `clip,frame,class,x1,y1,x2,y2`."""
import csv
import os

import numpy as np

from lib.dataset.formats.classes import classes_from_config
from lib.dataset.formats.records import Clip, Record
from lib.dataset.registry import register
from lib.evaluation.vid_eval import GroundTruth, evaluate
from lib.utils.paths import resolve

LENGTH, HEIGHT, WIDTH = 4, 64, 96


@register('BoxesCSV')
class BoxesCSV:
    task = 'detection'

    def __init__(self, folder, image_set, class_list):
        self.folder, self.classes = folder, class_list.names
        with open(os.path.join(folder, 'boxes.csv')) as stream:
            self.rows = [row for row in csv.reader(stream) if row[0].startswith(image_set)]
        self.names = sorted({row[0] for row in self.rows})

    @classmethod
    def from_config(cls, cfg, image_set):
        return cls(resolve(cfg.dataset.dataset_path), image_set, cls.class_list(cfg))

    @classmethod
    def class_list(cls, cfg):
        return classes_from_config(cfg)

    def pattern(self, name):
        return os.path.join(self.folder, name, '%06d.png')

    def boxes(self, name, frame):
        found = [row for row in self.rows if row[:2] == [name, str(frame)]]
        return (np.array([row[3:] for row in found], np.float32).reshape(-1, 4),
                np.array([self.classes.index(row[2]) for row in found], np.int32))

    def gt_roidb(self):
        return [Record(self.pattern(name) % frame, HEIGHT, WIDTH, *self.boxes(name, frame), False,
                       self.pattern(name), frame, LENGTH, '')
                for name in self.names for frame in range(LENGTH)]

    def clips(self):
        return [Clip(name, self.pattern(name), 1 + LENGTH * number, LENGTH) for number, name in enumerate(self.names)]

    def evaluate(self, detections_file):
        frames = [self.boxes(name, frame) for name in self.names for frame in range(LENGTH)]
        counts = [len(boxes) for boxes, _ in frames]
        truth = GroundTruth(np.arange(1, len(frames) + 1), np.cumsum([0] + counts),
                            np.concatenate([boxes for boxes, _ in frames]),
                            np.concatenate([classes for _, classes in frames]))
        return evaluate(truth, detections_file, self.classes)
'''

BACKBONE = '''
"""Four convolutions of stride 2."""
import mxnet as mx

from lib.symbols.registry import BACKBONES


@BACKBONES.register('four_convolutions')
class FourConvolutions:
    def __init__(self, network):
        self.filters = int(64 * network.width)

    def feature(self, data, global_stats=True, pool_pad=1):
        for number in range(1, 5):
            data = mx.sym.Convolution(data, num_filter=self.filters, kernel=(3, 3), stride=(2, 2), pad=(1, 1),
                                      name='four%d' % number)
            data = mx.sym.Activation(data, act_type='relu', name='four%d_relu' % number)
        return data

    def channels(self):
        return self.filters
'''

TASK = '''
"""R-FCN on every frame, with half of the detection feature."""
from lib.config.defaults import detection_defaults
from lib.tasks.task import Demo, Task, register


def _defaults():
    config = detection_defaults()
    config.network.DFF_FEAT_DIM = 16
    return config


TASK = register(Task(name='half_rfcn', title='half R-FCN', recognises='detection', defaults=_defaults, propagates=False,
                     train_script='half_rfcn/train.py',
                     demo=Demo('none.yaml', 'none', 'none', 'none', 'half_rfcn_network')))
'''

NETWORK = '''
import mxnet as mx

from lib.symbols.detector import Detector
from lib.symbols.registry import register


@register
class half_rfcn_network(Detector):
    def get_train_symbol(self, cfg):
        return self.group(self.losses(self.feature(mx.sym.Variable('data'), cfg), cfg))

    def get_test_symbol(self, cfg):
        feature = self.feature(mx.sym.Variable('data'), cfg)
        return self.group(self.detect(feature, mx.sym.Variable('im_info'), cfg, cfg.TEST.BATCH_IMAGES))
'''

SCRIPT = '''
import os
import sys

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), os.environ['PROJECT']]

from half_rfcn.task import TASK
from lib.apps.commands import train_and_test

if __name__ == '__main__':
    train_and_test(TASK, __doc__)
'''


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Everything outside the project: data, plugins, a task, settings."""
    folder = tmp_path_factory.mktemp('mine')
    lines = []
    for clip in ('train_a', 'train_b', 'val_a'):
        (folder / 'data' / clip).mkdir(parents=True)
        for frame, image in enumerate(tiny.clip(4)):
            cv2.imwrite(str(folder / 'data' / clip / ('%06d.png' % frame)), image)
            lines.append('%s,%d,%s,%d,10,%d,40'
                         % (clip, frame, 'cat' if frame % 2 else 'dog', 10 + 2 * frame, 40 + 2 * frame))
    (folder / 'data' / 'boxes.csv').write_text('\n'.join(lines) + '\n')
    for name, text in (('my_set.py', DATASET), ('my_backbone.py', BACKBONE), ('half_rfcn/task.py', TASK),
                       ('half_rfcn/__init__.py', ''), ('half_rfcn/symbols/__init__.py', ''),
                       ('half_rfcn/symbols/network.py', NETWORK), ('half_rfcn/train.py', SCRIPT)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def settings(folder, name, **changes):
    """Write a YAML file for the data set of this test, with `changes`, section__key=value; returns its path."""
    values = {key: value for key, value in tiny.SETTINGS.items() if key != 'dataset.NUM_CLASSES'}
    values.update({
        'plugins': [str(folder / 'my_set.py')], 'symbol': 'resnet_v1_rfcn', 'gpus': 'cpu',
        'output_path': str(folder / 'output'), 'dataset.dataset': 'BoxesCSV',
        'dataset.dataset_path': str(folder / 'data'), 'dataset.image_set': 'train',
        'dataset.test_image_set': 'val', 'dataset.CLASSES': ['cat', 'dog'], 'dataset.NUM_CLASSES': 3,
        'network.BN_GLOBAL_STATS': False, 'network.FIXED_PARAMS': [], 'network.ANCHOR_SCALES': [1.0, 2.0, 4.0],
        'TRAIN.end_epoch': 1, 'TEST.test_epoch': 1, 'TRAIN.RPN_POST_NMS_TOP_N': 20, 'TRAIN.BATCH_ROIS_OHEM': 8,
        'TRAIN.FLIP': False, 'TRAIN.model_prefix': 'mine'})
    values.update({key.replace('__', '.'): value for key, value in changes.items()})
    path = folder / name
    path.write_text(yaml.safe_dump(tiny.nested(values)))
    return path


def run(folder, root, *words):
    """Run a script in `folder`; returns its output."""
    done = subprocess.run([sys.executable] + [str(word) for word in words], cwd=str(folder), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True,
                          env=dict(os.environ, PROJECT=str(root), OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def results(folder, name):
    """results.json of the experiment whose settings are called `name`."""
    return json.loads(next((folder / 'output' / name / 'val').rglob('results.json')).read_text())


def test_a_data_set_is_one_file_and_a_yaml(folder, root):
    printed = run(folder, root, root / 'experiments/dff_rfcn/dff_rfcn_end2end_train_test.py', '--cfg',
                  settings(folder, 'set.yaml', symbol='resnet_v1_flownet_rfcn'))
    assert 'AP for cat = ' in printed and 'AP for dog = ' in printed
    found = results(folder, 'set')
    assert (found['frames'], found['key_frames'], found['image_set']) == (4, 2, 'val')


def test_a_backbone_is_one_file_and_a_yaml(folder, root):
    cfg = settings(folder, 'backbone.yaml', plugins=[str(folder / 'my_set.py'), str(folder / 'my_backbone.py')],
                   network__backbone='four_convolutions')
    printed = run(folder, root, root / 'experiments/rfcn/rfcn_end2end_train_test.py', '--cfg', cfg)
    assert 'newly initialised' in printed and 'four1' in printed and results(folder, 'backbone')['frames'] == 4


@pytest.mark.slow
def test_a_task_is_a_folder_and_one_registration(folder, root):
    cfg = settings(folder, 'task.yaml', plugins=[str(folder / 'my_set.py'), str(folder / 'half_rfcn')],
                   symbol='half_rfcn_network')
    run(folder, root, 'half_rfcn/train.py', '--cfg', cfg)
    assert results(folder, 'task')['frames'] == 4
    # The tools know it as well, through its settings.
    printed = run(folder, root, root / 'tools/export_model.py', 'half_rfcn', '--cfg', cfg, '--output', 'exported')
    assert 'python half_rfcn/demo.py' in printed and (folder / 'exported' / 'model.json').is_file()


@pytest.mark.parametrize('plugin, text, message', [
    ('missing.py', None, 'is neither a Python file nor a folder with a task.py'),
    slow('broken.py', 'import nothing_of_this_name', 'cannot be imported: ModuleNotFoundError'),
    slow('syntax.py', 'def', 'cannot be imported: SyntaxError'),
])
def test_bad_plugins(folder, plugin, text, message):
    if text:
        (folder / plugin).write_text(text)
    status, _, errors = tiny.run_script('rfcn/train_end2end.py',
                                        '--cfg', settings(folder, 'bad.yaml', plugins=[str(folder / plugin)]))
    assert status == 2 and message in errors and plugin in errors and 'Traceback' not in errors


@pytest.mark.parametrize('change, message', [
    slow({'dataset__dataset': 'BoxesXLS'},
         "dataset.dataset: there is no data set called 'BoxesXLS'; choose from BoxesCSV, CamVid,"),
    ({'network__backbone': 'resnet'}, "network.backbone: there is no backbone called 'resnet'; choose from resnet_v1"),
    slow({'symbol': 'resnet'},
         "symbol: there is no network called 'resnet'; choose from resnet_v1_101_rfcn, resnet_v1_rfcn"),
])
def test_a_miss_lists_what_exists(folder, change, message):
    status, _, errors = tiny.run_script('rfcn/train_end2end.py', '--cfg', settings(folder, 'miss.yaml', **change))
    assert status == 2 and message in errors
