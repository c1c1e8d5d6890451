"""A model in MXNet as dff.load has it: a checkpoint with its settings, or an exported folder."""
import copy
import functools
import os

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx

from dff.boxes import boxes_before_nms
from dff.errors import ConfigError
from dff.runtime.backend import About, Backend, ClipRules, OneThread, class_lines
from lib.apps.demo import load_model
from lib.boxes.frame_detections import frame_detections
from lib.boxes.seq_nms import select
from lib.config.checks import validate
from lib.config.config import merge
from lib.engine.devices import contexts
from lib.inference.exported import exported_settings, is_exported
from lib.inference.key_frames import require_one_pass
from lib.symbols.registry import SYMBOLS
from lib.tasks.task import TASKS, task_of
from lib.utils.paths import resolve


def open_mxnet(model, cfg=None, epoch=0, device=None):
    """Return the Backend of a model.

    Args:
        model: a folder of tools/export_model.py, or the prefix of a checkpoint.
        cfg: settings file of a checkpoint.
        epoch: of a checkpoint.
        device: 'cpu' or the number of a GPU, or a list that begins with it; None: as the settings say.

    Raises ConfigError, CheckpointError.
    """
    task, config = exported_task(model) if is_exported(model) else _trained_task(cfg)
    config.symbol = config.symbol or task.demo.symbol
    task.config = config
    require_one_pass(config, 'dff.load and `dff run` show each frame to the network once')
    # All that a caller may ask for later: frames between key frames, and the flow.
    config.TEST.update(PRECISION='float32', TRACK=task.recognises == 'detection')
    network, params, name = load_model(task, model, epoch)
    wanted = config.gpus.split(',') if device is None else [device] if isinstance(device, (int, str)) else device
    # What it reports is in `engine`.
    context = contexts(str(wanted[0]), lambda line: None)[0]
    interval = config.TEST.KEY_FRAME_INTERVAL
    reach = interval if network.aggregates else max(2, interval)
    predictor = task.kind.predictor(config, network, params, context, reach, name)
    names, palette = class_lines(task.recognises, task.kind.class_lines(config))
    by_flow = config.TEST.KEY_FRAME_POLICY == 'flow'
    has_interval = network.propagates or network.aggregates
    about = About(task.recognises, names, palette, network.propagates, interval if has_interval else 1,
                  config.TEST.KEY_FRAME_POLICY, config.TEST.KEY_FRAME_MISMATCH if by_flow else None,
                  config.TEST.KEY_FRAME_POLICY == 'both', config.network.RCNN_FEAT_STRIDE, network.aggregates)
    post_process = functools.partial(_detections, config.TEST) if task.recognises == 'detection' else _labels
    engine = 'MXNet %s (%s)' % (mx.__version__, context)
    rules = None
    if task.recognises == 'detection':
        test = config.TEST
        rules = ClipRules(_before_nms, test.SEQ_NMS_RESCORE, test.NMS, test.max_per_image, select)
    return Backend(about, OneThread(predictor.networks, 'MXNet'), predictor.form, post_process, engine, rules)


def _detections(test, values, frame, thresh):
    return frame_detections(*values, frame.im_info, thresh, test.NMS, test.max_per_image)


def _before_nms(values, frame, thresh):
    return boxes_before_nms(*values, frame.im_info, thresh)


def _labels(values, frame, thresh):
    return values


def exported_task(folder):
    """Return (a Task, its settings) of an exported `folder`."""
    settings = exported_settings(folder)
    for _, task in TASKS.items():
        task.load_symbols()
    task = _copy(TASKS.get(SYMBOLS.get(settings['symbol']).__module__.split('.')[0]))
    merge(task.config, settings, folder)
    validate(task.config, folder)
    return task, task.config


def _trained_task(cfg):
    """(a Task, its settings) of a settings file."""
    if cfg is None:
        raise ConfigError('a checkpoint needs its settings: name the YAML file with cfg (--cfg)')
    path = cfg if os.path.exists(cfg) else resolve(cfg)
    task = _copy(task_of(path))
    task.update_config(path)
    return task, task.config


def _copy(task):
    """`task` with settings of its own: a process may load several models."""
    task = copy.copy(task)
    task.config = task.new_config()
    return task
