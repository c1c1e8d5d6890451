"""First values of the parameters that no file provides."""
import re
import zlib

import numpy as np

RESIDUAL_GAMMA = 0.25   # of the last normalisation of a residual unit: dozens of units in a row keep their scale
LAST_LAYER_STD = 0.01
PIXEL_STD = 60.0        # of mean-subtracted images
LAST_LAYERS = ('rpn_cls_score', 'rpn_bbox_pred', 'rfcn_cls', 'rfcn_bbox', 'score',
              'Convolution1', 'Convolution2', 'Convolution3', 'Convolution4', 'Convolution5')


def of_first_pass(name):
    """Return the name of the parameter that one of the flow network's further passes starts as."""
    return re.sub('^pass[0-9]+_', '', name)


def initial_value(name, shape, seed=0):
    """First value of a parameter or auxiliary state, float32; depends on `name`, `shape` and `seed` only.

    Normal(0.01) for the last layers of RPN, R-FCN, DeepLab and flow prediction (flow starts near 0), bilinear for the
    upsampling of flow, of class scores and of the detection feature, a scale map of 1 (weight 0, bias 1), nothing
    (weight 0) for what FEATURE_STRIDE 8 adds to that feature, He et al. (arXiv 1502.01852) for all
    other weights; flow_conv1 makes up for images in units of 255.
    """
    name = of_first_pass(name)
    layer, kind = name.rsplit('_', 1)
    if kind in ('beta', 'bias', 'mean'):
        return np.full(shape, 1 if name == 'Convolution5_scale_bias' else 0, dtype=np.float32)
    if kind == 'var':   # conv1 below doubles the images' variance; all other layers start at 1
        return np.full(shape, 2 * PIXEL_STD ** 2 if layer == 'bn_conv1_moving' else 1, dtype=np.float32)
    if kind == 'gamma':
        return np.full(shape, RESIDUAL_GAMMA if layer.endswith('branch2c') else 1, dtype=np.float32)
    if layer in ('Convolution5_scale', 'feat_lateral'):
        return np.zeros(shape, dtype=np.float32)
    if layer in ('upsampling', 'feat_up') or layer.startswith('upsample_flow'):
        return _bilinear(shape)
    if layer in LAST_LAYERS:
        std = LAST_LAYER_STD
    elif re.match('deconv[0-9]', layer):   # [in, out, k, k], stride 2: a quarter of the taps reach each output
        std = np.sqrt(2.0 / (np.prod(shape) / shape[1] / 4))
    else:
        std = np.sqrt(2.0 / np.prod(shape[1:])) * (255.0 / PIXEL_STD if layer == 'flow_conv1' else 1)
    random = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2 ** 32)
    return (std * random.standard_normal(shape)).astype(np.float32)


def _bilinear(shape):
    """Deconvolution weight [C, C, k, k], or [C, 1, k, k] with C groups, of bilinear interpolation
    to k / 2 times the size.
    """
    size = shape[2]
    centre = (size - 1) / 2.0
    ramp = 1 - np.abs(np.arange(size) - centre) / (size / 2.0)
    weight = np.zeros(shape, dtype=np.float32)
    for channel in range(shape[0]):
        weight[channel, channel % shape[1]] = np.outer(ramp, ramp)
    return weight
