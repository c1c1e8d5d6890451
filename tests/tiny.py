"""Networks small enough for tests, with random parameters, and a made-up clip."""
import cv2
import mxnet as mx
import numpy as np

from lib.config.defaults import detection_defaults
from lib.symbols.registry import get_symbol_instance
import dff_rfcn.symbols  # noqa: F401  (registers)
import rfcn.symbols  # noqa: F401

# A frame takes milliseconds.
SETTINGS = {'network.depth': 18, 'network.width': 0.125, 'network.flow_width': 0.125, 'network.DFF_FEAT_DIM': 32,
            'SCALES': [64, 96], 'dataset.NUM_CLASSES': 4, 'TEST.RPN_PRE_NMS_TOP_N': 100, 'TEST.RPN_POST_NMS_TOP_N': 20,
            'TEST.KEY_FRAME_INTERVAL': 3}


def tiny_config(task, **changes):
    """Settings of `task` for a tiny network; changes: SECTION__key=value."""
    cfg = detection_defaults()
    values = dict(SETTINGS, symbol='resnet_v1_flownet_rfcn' if task == 'dff_rfcn' else 'resnet_v1_rfcn')
    values.update({name.replace('__', '.'): value for name, value in changes.items()})
    values['SCALES'] = [tuple(values['SCALES'])]
    for name, value in values.items():
        *sections, key = name.split('.')
        node = cfg
        for section in sections:
            node = node[section]
        node[key] = value
    return cfg


def tiny_params(cfg, seed=0):
    """(arg_params, aux_params) that make lively detections in both tasks' networks of this size."""
    cfg = tiny_config('dff_rfcn', network__DFF_FEAT_DIM=cfg.network.DFF_FEAT_DIM, dataset__NUM_CLASSES=cfg.dataset.NUM_CLASSES,
                      CLASS_AGNOSTIC=cfg.CLASS_AGNOSTIC)
    instance = get_symbol_instance(cfg)
    instance.get_batch_test_symbol(cfg)
    height, width = cfg.SCALES[0]
    inputs = {'data_key': (1, 3, height, width), 'data_other': (2, 3, height, width), 'im_info': (3, 3)}
    instance.infer_shape(inputs)
    random = np.random.RandomState(seed)

    def value(name, shape):
        if name.endswith(('_gamma', '_var')):
            return np.ones(shape)
        if name.endswith(('_beta', '_bias', '_mean')):
            return np.full(shape, float(name == 'Convolution5_scale_bias'))
        # The feature is scaled down, or every score would be 0 or 1.
        gain = {'feat_conv_3x3_weight': 0.003, 'Convolution5_weight': 0.1, 'rfcn_bbox_weight': 0.3, 'rfcn_cls_weight': 2.0}.get(name, 1.0)
        return gain * np.sqrt(2.0 / np.prod(shape[1:])) * random.standard_normal(shape)
    return tuple({name: mx.nd.array(value(name, shape)) for name, shape in sorted(shapes.items()) if name not in inputs}
                 for shapes in (instance.arg_shape_dict, instance.aux_shape_dict))


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
