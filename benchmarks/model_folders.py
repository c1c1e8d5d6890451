"""The folders that benchmarks/fuzz_models.py edits: tiny exported networks, and a run of one."""
import os

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np

import deeplab.symbols  # noqa: F401  (registers)
import dff_deeplab.symbols  # noqa: F401
import dff_rfcn.symbols  # noqa: F401
import fgfa_rfcn.symbols  # noqa: F401
import rfcn.symbols  # noqa: F401
from lib.config.checks import validate
from lib.config.config import merge
from lib.config.defaults import detection_defaults, fgfa_defaults, segmentation_defaults
from lib.inference.exported import INPUTS, export_model, exported_settings, load_exported
from lib.inference.exported_check import window_inputs
from lib.inference.detector import VideoDetector
from lib.inference.segmenter import VideoSegmenter
from lib.dataset.registry import get_class_list
from lib.symbols.initialise import initial_value
from lib.symbols.registry import get_symbol_instance
from dff.errors import DFFError

TASKS = {
    'rfcn': 'resnet_v1_rfcn',
    'dff_rfcn': 'resnet_v1_flownet_rfcn',
    'fgfa_rfcn': 'resnet_v1_fgfa_rfcn',
    'deeplab': 'resnet_v1_deeplab',
    'dff_deeplab': 'resnet_v1_flownet_deeplab',
}
FLOWS = ('flownet', 'flownet_correlation')
SIZES = ((64, 96), (64, 96), (96, 64), (61, 83))  # of the frames that are run, rows and columns


def _config(task, flow):
    defaults = {'fgfa_rfcn': fgfa_defaults}.get(task, detection_defaults)
    config = segmentation_defaults() if 'deeplab' in task else defaults()
    config.symbol, config.SCALES = TASKS[task], [(64, 96)]
    config.network.update(depth=18, width=0.125, flow_width=0.125, DFF_FEAT_DIM=32, flow=flow)
    config.dataset.update(NUM_CLASSES=4, CLASSES=list('abcd' if 'deeplab' in task else 'abc'))
    if task == 'fgfa_rfcn':
        config.network.update(FGFA_FEAT_DIM=48)
    config.TEST.update(KEY_FRAME_INTERVAL=2, RPN_PRE_NMS_TOP_N=100, RPN_POST_NMS_TOP_N=20)
    return config


def make_folders(folder):
    """Export a tiny network of each kind below `folder`, with random parameters."""
    for task in TASKS:
        for flow in FLOWS if task.startswith('dff') else FLOWS[:1]:
            config = _config(task, flow)
            instance = get_symbol_instance(config)
            params = ({}, {})
            for symbol in instance.test_networks(config).values():
                _draw(symbol, params)
            path = os.path.join(folder, '%s-%s' % (task, flow))
            export_model(config, instance, *params, config.dataset.CLASSES, path, 'fuzz')


def _draw(symbol, params):
    """Add random values of the parameters of `symbol` to params, (arg_params, aux_params)."""
    names = set(symbol.list_arguments())
    image = (1, 3, 64, 96)
    shapes = {'data': image, 'data_key': image, 'data_ref': image, 'im_info': (1, 3)}
    shapes.update(window_inputs([(1, 32, 4, 6), (1, 16, 4, 6)], 2))
    if 'feat_key' in names:
        channels = 64 if 'score_weight' in names and 'rfcn_cls_weight' not in names else 32
        shapes['feat_key'] = (1, channels, 4, 6)
    shapes = {name: shape for name, shape in shapes.items() if name in names}
    arg_shapes, _, aux_shapes = symbol.infer_shape_partial(**shapes)
    generator = np.random.RandomState(0)
    listed = symbol.list_arguments(), symbol.list_auxiliary_states()
    for own, names, known in zip(params, listed, (arg_shapes, aux_shapes)):
        for name, shape in zip(names, known):
            if name == 'upsampling_weight':
                own[name] = mx.nd.array(initial_value(name, shape, 0))
            elif name not in INPUTS:
                spread = name.endswith('_weight') * 0.3 / np.sqrt(max(1, np.prod(shape[1:])))
                value = float(name.endswith(('_gamma', '_var')))
                own[name] = mx.nd.array(value + spread * generator.randn(*shape))


def outcome(path):
    """What comes of opening a folder, and running frames of some sizes, as its demo does.

    'ran', 'refused: <line>', or 'failed: <error>'.
    """
    try:
        settings = exported_settings(path)
        task = next((task for task, symbol in TASKS.items() if symbol == settings['symbol']), None)
        if task is None:
            return 'refused: the demo of no task has this symbol'
        config = _config(task, FLOWS[0])
        merge(config, settings, path)
        validate(config, path)
        network, params, source = load_exported(path, get_symbol_instance(config))
        get_class_list(config)
        generator = np.random.RandomState(0)
        frames = [generator.randint(0, 255, size + (3,)).astype(np.uint8) for size in SIZES]
        kind = VideoSegmenter if 'deeplab' in task else VideoDetector
        for _ in kind(config, network, *params, mx.cpu(), source=source).run(frames):
            pass
        mx.nd.waitall()
        return 'ran'
    except DFFError as error:
        text = str(error)
        return 'refused: ' + text if text.isprintable() else 'failed: several lines: %r' % text
    except Exception as error:  # what a demo would end in a traceback with
        where = error.__traceback__
        while where.tb_next:
            where = where.tb_next
        file = os.path.basename(where.tb_frame.f_code.co_filename)
        return 'failed: %s at %s:%d: %s' % (type(error).__name__, file, where.tb_lineno,
                                            ' '.join(str(error).split())[-400:])
