"""Building, binding and running networks in tests."""
import importlib
import zlib

import mxnet as mx
import numpy as np

import lib  # noqa: F401

INPUTS = ('data', 'data_ref', 'data_key', 'data_other', 'feat_key', 'im_info', 'gt_boxes', 'label', 'bbox_target',
          'bbox_weight', 'eq_flag')
METHODS = {'train': 'get_train_symbol', 'test': 'get_test_symbol', 'key_test': 'get_key_test_symbol',
           'cur_test': 'get_cur_test_symbol', 'batch_test': 'get_batch_test_symbol'}


def network(task, name):
    """An instance of <task>.symbols.<name>.<name>."""
    return getattr(importlib.import_module('%s.symbols.%s' % (task, name)), name)()


def small(cfg, **network_settings):
    """Shrink a config to a network that runs in milliseconds, with batch statistics and 4 classes."""
    cfg.network.update(dict(depth=18, width=0.125, flow_width=0.125, DFF_FEAT_DIM=32, BN_GLOBAL_STATS=False,
                            ANCHOR_SCALES=[2.0, 4.0], ANCHOR_RATIOS=[0.5, 1.0, 2.0], NUM_ANCHORS=6), **network_settings)
    cfg.dataset.NUM_CLASSES = 4
    for phase in (cfg.TRAIN, cfg.TEST):
        phase.RPN_PRE_NMS_TOP_N, phase.RPN_POST_NMS_TOP_N = 200, 40
    cfg.TRAIN.BATCH_ROIS_OHEM = 16
    return cfg


def lively_params(instance, inputs):
    """Parameters for which a network's outputs vary: (args, auxs),
    NumPy arrays that depend on names and shapes only."""
    instance.infer_shape({name: np.shape(value) for name, value in inputs.items()})
    args, auxs = {}, {}
    for shapes, values in ((instance.arg_shape_dict, args), (instance.aux_shape_dict, auxs)):
        for name, shape in shapes.items():
            if name in inputs:
                continue
            random = np.random.RandomState(zlib.crc32(name.encode()))
            if name.endswith(('gamma', 'var')):
                value = 1 + 0.1 * random.rand(*shape)
            elif name.endswith('weight'):
                fan_in = shape[0] * 4 if 'deconv' in name or 'upsample' in name else np.prod(shape[1:])
                gain = 0.02 if name.startswith('feat_conv') else 0.5 if 'scale' in name else 1.4
                value = gain / np.sqrt(fan_in) * random.standard_normal(shape)
            else:
                value = 0.05 * random.standard_normal(shape) + (name == 'Convolution5_scale_bias')
            values[name] = value.astype(np.float32)
    return args, auxs


def run(symbol, inputs, args=None, auxs=None, train=False, more=()):
    """One forward, and with `train` one backward: ({output name: array}, {parameter: gradient}).

    `more` names further internal outputs to return; those that the graph lacks are left out.
    """
    args, auxs = args or {}, auxs or {}
    names = symbol.list_outputs()
    inner = symbol.get_internals()
    extra = [name for name in more if name in inner.list_outputs()]
    if extra:
        symbol = mx.sym.Group([symbol] + [mx.sym.BlockGrad(inner[name]) for name in extra])
    values = {name: mx.nd.array(value) for name, value in {**args, **inputs}.items() if name in symbol.list_arguments()}
    gradients = {name: mx.nd.zeros(value.shape) for name, value in args.items() if name in values} if train else {}
    request = {name: 'write' if name in gradients else 'null' for name in values}
    states = {name: mx.nd.array(auxs[name]) for name in symbol.list_auxiliary_states()}
    executor = symbol.bind(mx.cpu(), values, gradients, request, states)
    executor.forward(is_train=train)
    if train:
        executor.backward()
    outputs = dict(zip(names + extra, (output.asnumpy() for output in executor.outputs)))
    return outputs, {name: gradient.asnumpy() for name, gradient in gradients.items()}


def relative_difference(value, wanted):
    """Largest difference relative to the largest wanted value."""
    wanted = np.asarray(wanted, np.float64)
    return np.abs(np.asarray(value, np.float64) - wanted).max() / max(np.abs(wanted).max(), 1e-12)
