"""Networks small enough for tests, with random parameters, and a made-up clip."""
import contextlib
import copy
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import cv2
import mxnet as mx
import numpy as np
import yaml

import dff_rfcn.symbols  # noqa: F401  (registers)
import fgfa_rfcn.symbols  # noqa: F401
import rfcn.symbols  # noqa: F401
from lib.apps import demo
from lib.config.defaults import detection_defaults, fgfa_defaults
from lib.dataset.toy import toy_generator
from lib.engine.box_regression import fold_bbox_normalisation
from lib.engine.checkpoint import save_checkpoint
from lib.symbols.registry import get_symbol_instance
from lib.tasks.task import TASKS
from lib.utils import cli

# A frame takes milliseconds.
SETTINGS = {'network.depth': 18, 'network.width': 0.125, 'network.flow_width': 0.125, 'network.DFF_FEAT_DIM': 32,
            'SCALES': [64, 96], 'dataset.NUM_CLASSES': 4, 'TEST.RPN_PRE_NMS_TOP_N': 100, 'TEST.RPN_POST_NMS_TOP_N': 20,
            'TEST.KEY_FRAME_INTERVAL': 3}
# Changes of a tiny network to features of stride 8.
STRIDE_8 = dict.fromkeys(('network__FEATURE_STRIDE', 'network__RPN_FEAT_STRIDE', 'network__RCNN_FEAT_STRIDE'), 8)
SYMBOLS = {'rfcn': 'resnet_v1_rfcn', 'dff_rfcn': 'resnet_v1_flownet_rfcn', 'fgfa_rfcn': 'resnet_v1_fgfa_rfcn'}


def tiny_config(task, **changes):
    """Settings of `task` for a tiny network; changes: SECTION__key=value."""
    cfg = detection_defaults() if task != 'fgfa_rfcn' else fgfa_defaults()
    values = dict(own_settings(task), symbol=SYMBOLS[task])
    values.update({name.replace('__', '.'): value for name, value in changes.items()})
    values['SCALES'] = [tuple(values['SCALES'])]
    set_values(cfg, values)
    return cfg


def own_settings(task):
    """SETTINGS, with those that only `task` has."""
    return dict(SETTINGS, **{'network.FGFA_FEAT_DIM': 48} if task == 'fgfa_rfcn' else {})


def fresh_task(name):
    """The Task called `name`, with settings of its own and its networks known."""
    task = copy.copy(TASKS.get(name))
    task.config = task.new_config()
    task.load_symbols()
    return task


def run_demo_here(name, *words, batch=False):
    """The demo of the task `name` in this process, which saves the seconds of importing MXNet;
    SystemExit after an error."""
    task = fresh_task(name)
    cli.run(lambda: demo.run_demo(task, demo.demo_parser(task, '', batch).parse_args([str(word) for word in words])))


def run_here(main, *words):
    """Run `main()` of a command with these words in this process; returns as subprocess.run does.

    The tasks have settings of their own for it, as a process has.
    """
    words, streams = ['command', *map(str, words)], [io.StringIO(), io.StringIO()]
    with contextlib.ExitStack() as stack:
        for _, task in TASKS.items():
            stack.enter_context(mock.patch.object(task, 'config', task.new_config()))
        stack.enter_context(mock.patch.object(sys, 'argv', words))
        stack.enter_context(contextlib.redirect_stdout(streams[0]))
        stack.enter_context(contextlib.redirect_stderr(streams[1]))
        try:
            cli.run(main)
            status = 0
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess(words, status, *(stream.getvalue() for stream in streams))


def set_values(cfg, values):
    """Set {'section.key': value} in `cfg`."""
    for name, value in values.items():
        *sections, key = name.split('.')
        node = cfg
        for section in sections:
            node = node[section]
        node[key] = value


def tiny_params(cfg, seed=0):
    """(arg_params, aux_params) that make lively detections in both tasks' networks of this size."""
    own, stride = cfg, STRIDE_8 if cfg.network.FEATURE_STRIDE == 8 else {}
    cfg = tiny_config('dff_rfcn', network__DFF_FEAT_DIM=cfg.network.DFF_FEAT_DIM, CLASS_AGNOSTIC=cfg.CLASS_AGNOSTIC,
                      dataset__NUM_CLASSES=cfg.dataset.NUM_CLASSES, network__flow=cfg.network.flow,
                      network__FLOW_PASSES=cfg.network.FLOW_PASSES, **stride)
    instance = get_symbol_instance(cfg)
    instance.get_batch_test_symbol(cfg)
    height, width = cfg.SCALES[0]
    inputs = {'data_key': (1, 3, height, width), 'data_other': (2, 3, height, width), 'im_info': (3, 3)}
    instance.infer_shape(inputs)
    shapes = dict(instance.arg_shape_dict)
    if 'FGFA_FEAT_DIM' in own.network:
        aggregating = get_symbol_instance(own)
        aggregating.get_parts_symbol(own)
        aggregating.infer_shape({'data': inputs['data_key']})
        shapes.update(aggregating.arg_shape_dict, **inputs)
    random = np.random.RandomState(seed)

    def value(name, shape):
        if name.endswith(('_gamma', '_var')):
            return np.ones(shape)
        if name.endswith(('_beta', '_bias', '_mean')):
            return np.full(shape, float(name == 'Convolution5_scale_bias'))
        # The feature is scaled down, or every score would be 0 or 1.
        gain = {'feat_conv_3x3_weight': 0.003, 'feat_lateral_weight': 0.003, 'Convolution5_weight': 0.1,
                'rfcn_bbox_weight': 0.3, 'rfcn_cls_weight': 2.0}.get(name, 1.0)
        return gain * np.sqrt(2.0 / np.prod(shape[1:])) * random.standard_normal(shape)
    return tuple({name: mx.nd.array(value(name, shape)) for name, shape in sorted(shapes.items()) if name not in inputs}
                 for shapes in (shapes, instance.aux_shape_dict))


def write_experiment(folder, task, clips=3, length=5, **changes):
    """A test set of `clips` clips, a checkpoint of random parameters and the YAML file of both; returns its path.

    Everything lies below `folder`, which must be absolute.
    """
    data = folder / 'toy_vid'
    if not data.exists():
        toy_generator.generate(str(data),
                               toy_generator.Size(train_clips=0, stills=0, val_clips=clips, val_length=length),
                               workers=1)
    cfg = tiny_config(task, dataset__NUM_CLASSES=6, **changes)
    values = dict(own_settings(task), symbol=cfg.symbol, output_path=str(folder / 'output'))
    values.update({'dataset.dataset': 'ToyVID', 'dataset.dataset_path': str(data), 'dataset.root_path': str(folder),
                   'dataset.NUM_CLASSES': 6, 'dataset.image_set': 'VID_train_15frames',
                   'dataset.test_image_set': 'VID_val_videos', 'TRAIN.model_prefix': 'tiny',
                   'TEST.test_epoch': 1, 'gpus': 'cpu'})
    values.update({name.replace('__', '.'): value for name, value in changes.items()})
    path = folder / ('tiny_%s.yaml' % task)
    path.write_text(yaml.safe_dump(nested(values)))
    save_params(prefix(folder, task), cfg)
    return path


def save_params(where, cfg, seed=0, epoch=1):
    """A checkpoint of random parameters, as training writes it."""
    arg_params, aux_params = tiny_params(cfg, seed)
    save_checkpoint(where, epoch, fold_bbox_normalisation(arg_params, cfg.TRAIN.BBOX_MEANS, cfg.TRAIN.BBOX_STDS),
                    aux_params)


def prefix(folder, task):
    """Prefix of the checkpoint that write_experiment makes."""
    return str(folder / 'output' / ('tiny_%s' % task) / 'VID_train_15frames' / 'tiny')


def run_script(script, *arguments, cwd=None):
    """Run a script of the repository; returns (status, stdout, stderr without MXNet's own lines)."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, str(root / script)] + [str(argument) for argument in arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=600,
                          cwd=str(cwd) if cwd else None, env=dict(os.environ, PYTHONWARNINGS='ignore'))
    return done.returncode, done.stdout, '\n'.join(line for line in done.stderr.splitlines() if 'MKLDNN' not in line)


def nested(values):
    """{'a.b': c} as {'a': {'b': c}}."""
    tree = {}
    for name, value in values.items():
        *sections, key = name.split('.')
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[key] = value
    return tree


def frame(t, height=64, width=96):
    """Frame t of a clip of moving blobs: BGR uint8 [height, width, 3]."""
    image = np.full((height, width, 3), (90, 120, 60), np.uint8)
    for k in range(4):
        centre = (int(width * (k + 0.5) / 4 + 2 * t) % width, int(height * (0.3 + 0.15 * k)))
        cv2.circle(image, centre, height // 6, (60 * k, 255 - 50 * k, 30 + 70 * k), cv2.FILLED)
    return image


def clip(length, height=64, width=96):
    """`length` frames."""
    return [frame(t, height, width) for t in range(length)]
