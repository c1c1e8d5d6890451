"""The foreign networks' forward, under their own names and conventions: what a conversion is checked against.

It runs on PyTorch where that is installed, else on NumPy.
"""
import numpy as np

from lib.symbols.flow_layers import SLOPE
from lib.symbols.flow_networks.flownet import ENCODER
from lib.symbols.flownet import DECODER
from lib.symbols.backbones.resnet_v1 import BN_EPS, STAGES
from lib.weights.convention import network_input
from lib.weights.torch_import import import_torch


def convolve(data, weight, bias=None, stride=1, pad=0, dilation=1):
    """Return a 2-D convolution, [1, O, h, w].

    Args:
        data: [1, C, H, W].
        weight: [O, C, k, k].
        bias: [O] or None.
        stride, pad, dilation: in pixels, the same along both axes.
    """
    torch = import_torch()
    if torch is not None:
        arrays = [
            None if array is None else torch.from_numpy(np.ascontiguousarray(array, np.float32))
            for array in (data, weight, bias)
        ]
        return torch.nn.functional.conv2d(*arrays, stride=stride, padding=pad, dilation=dilation).numpy()
    data = np.pad(data, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    height, width = ((side - dilation * (weight.shape[2] - 1) - 1) // stride + 1 for side in data.shape[2:])
    out = np.zeros((1, weight.shape[0], height, width))
    for row, column in np.ndindex(*weight.shape[2:]):
        y, x = row * dilation, column * dilation
        tap = data[0, :, y:y + (height - 1) * stride + 1:stride, x:x + (width - 1) * stride + 1:stride]
        out[0] += np.tensordot(weight[:, :, row, column], tap, 1)
    return out if bias is None else out + np.reshape(bias, (1, -1, 1, 1))


def deconvolve(data, weight, bias=None):
    """Return a 4x4 deconvolution of stride 2 and padding 1, [1, O, 2 H, 2 W].

    Args:
        data: [1, C, H, W].
        weight: [C, O, 4, 4].
        bias: [O] or None.
    """
    height, width = data.shape[2:]
    # Zeros between the values turn it into a convolution with the mirrored kernel.
    spread = np.zeros((1, data.shape[1], 2 * height - 1, 2 * width - 1), np.float32)
    spread[:, :, ::2, ::2] = data
    return convolve(spread, weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3), bias, pad=2)


def resnet_feature(image, target, names, tensors, family, means):
    """Return res5c_relu [1, C, H/16, W/16] of an image.

    Stage 5 has stride 1 and dilation 2, as we run it.

    Args:
        image: [H, W, 3], BGR pixels.
        target: lib.weights.resnet.ResNet.
        names: names(layer) gives {part: name} into `tensors`.
        tensors: {name: array} of the file.
        family: Family of the file, whose convention and stride count.
        means: of our padding, listed blue, green, red.
    """
    bottleneck = STAGES[target.depth][1]
    strided = '2b' if bottleneck and family.stride_in_3x3 else '2a'

    def conv_norm(data, layer, stride=1, pad=0, dilation=1):
        parts = {part: tensors[name] for part, name in names(layer).items() if name in tensors}
        data = convolve(data, parts['weight'], parts.get('bias'), stride, pad, dilation)
        gamma, beta, mean, var = (np.reshape(np.asarray(parts.get(part, default), np.float64),
                                             (1, -1, 1, 1))
                                  for part, default in (('gamma', 1), ('beta', 0), ('mean', 0),
                                                        ('var', 1 - BN_EPS)))
        return (data - mean) / np.sqrt(var + BN_EPS) * gamma + beta

    units = {}
    for layer in target.layers:
        units.setdefault((layer.stage, layer.unit), {})[layer.branch] = layer
    stem = units.pop((1, 0))['']
    body = np.maximum(conv_norm(network_input(image, family.convention, means, 3), stem, stride=2), 0)
    body = _max_pool(body, target.pool_pad)
    for (stage, unit), branches in units.items():
        stride = 2 if unit == 0 and stage in (3, 4) else 1
        shortcut = conv_norm(body, branches['1'], stride) if '1' in branches else body
        for branch in sorted(set(branches) - {'1'}):
            spatial = branch == '2b' or not bottleneck
            dilation = 2 if stage == 5 and spatial else 1
            body = conv_norm(body, branches[branch], stride if branch == strided else 1,
                             dilation if spatial else 0, dilation)
            if branch != max(branches):
                body = np.maximum(body, 0)
        body = np.maximum(body + shortcut, 0)
    return body


def flow_predictions(images, target, names, tensors, family, means):
    """Return [Convolution1 ... Convolution5], flow [1, 2, h, w] from coarse to fine.

    As DFF runs it: images at half the size, and the finest prediction from its input averaged over
    2 x 2.

    Args:
        images: two of [H, W, 3], BGR pixels.
        target: lib.weights.flow.FlowNet.
        names, tensors, family, means: see `resnet_feature`.
    """
    parts = {
        layer.conv:
        {part: tensors[name]
         for part, name in names(layer).items()
         if name in tensors}
        for layer in target.layers
    }

    def leaky(values):
        return np.where(values > 0, values, SLOPE * values)

    def conv(data, layer, stride=1, pad=0):
        return convolve(data, parts[layer]['weight'], parts[layer].get('bias'), stride, pad)

    def double(data, layer, like):
        up = deconvolve(data, parts[layer]['weight'], parts[layer].get('bias'))
        return up[:, :, :like.shape[2], :like.shape[3]]

    body = np.concatenate([network_input(_halve(image), family.convention, means, 3) for image in images], axis=1)
    features, predictions = {}, []
    for layer, _, kernel, stride in ENCODER:
        body = features[layer] = leaky(conv(body, layer, stride, 0 if layer == 'flow_conv1' else kernel // 2))
    for skip, level, predictor, _ in DECODER:
        predictions.append(conv(body, predictor, pad=1))
        like = features[skip]
        body = np.concatenate([like, leaky(double(body, 'deconv%d' % (level - 1), like)),
                               double(predictions[-1], 'upsample_flow%dto%d' % (level, level - 1), like)], axis=1)
    pooled = _halve(body[0].transpose(1, 2, 0)).transpose(2, 0, 1)[None]
    return predictions + [conv(pooled, 'Convolution5', pad=1)]


def _halve(values):
    """2 x 2 averages of [H, W, C], H and W even."""
    values = np.asarray(values, np.float64)
    return (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]) / 4


def _max_pool(data, pad):
    """3x3, stride 2, padding 1; or padding 0 and the size rounded up, as in Caffe."""
    padded = np.pad(data, ((0, 0), (0, 0), (pad, 2 - pad), (pad, 2 - pad)), constant_values=-np.inf)
    height, width = ((side - 1) // 2 + 1 if pad else (side - 2) // 2 + 1 for side in data.shape[2:])
    return np.max([padded[:, :, row:row + 2 * height - 1:2, column:column + 2 * width - 1:2]
                   for row in range(3) for column in range(3)], axis=0)
