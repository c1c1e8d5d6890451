"""network.flow `flownet_inception`, after the FlowNet Inception of Deep Feature Flow (arXiv 1611.07715).

The paper says: Inception units (Szegedy et al., arXiv 1512.00567) in the place of FlowNet's
convolutions, and an eighth of its complexity. Its appendix lists the layers; that list could not
be had here: the order of the layers and their channels are a reconstruction, not compared with it
(no such model of the authors is public). Ours for certain: no normalisation, FlowNet's LeakyReLU,
the layers' names, and deconvolutions of a quarter of FlowNet's channels, which leave the decoder
an eighth of its multiplications, too.
"""
from collections import namedtuple

import mxnet as mx

from lib.symbols.flow_layers import FlowNetwork, convolution, first_convolution
from lib.symbols.registry import FLOW_NETWORKS

# An Inception unit. single: channels of the 1x1; double: of the 1x1 and the 3x3 behind it; triple:
# of the 1x1 and the two 3x3 behind it; pooled: of the 1x1 behind a maximum, 0 for no such branch.
# The last layer of each has the stride.
Unit = namedtuple('Unit', 'name stride single double triple pooled')
STEM = ('flow_conv1', 32, 7, 2)       # then a maximum of stride 2
LAYERS = [Unit('conv2', 1, 24, (16, 32), (4, 8, 8), 0), ('conv3', 128, 3, 2),
          Unit('conv3_0', 1, 48, (32, 64), (8, 16, 16), 0), Unit('conv3_1', 1, 48, (32, 64), (8, 16, 16), 0),
          Unit('conv4', 2, 32, (112, 128), (28, 32, 32), 64), Unit('conv4_1', 1, 96, (112, 128), (28, 32, 32), 0),
          Unit('conv5', 2, 48, (96, 192), (36, 48, 48), 96), Unit('conv5_1', 1, 144, (96, 192), (36, 48, 48), 0),
          Unit('conv6', 2, 64, (192, 256), (48, 64, 64), 128), Unit('conv6_1', 1, 192, (192, 256), (48, 64, 64), 0)]


def encode(pair, width, training):
    """Return {layer: feature} of image pairs.

    See lib.symbols.flow_layers.FlowNetwork for `pair`, `width`, `training`.
    """
    features = {}
    body = _maximum(first_convolution(pair, STEM, width, training), 2, 'flow_pool1')
    for layer in LAYERS:
        name = layer[0]
        body = features[name] = _unit(body, layer, width) if isinstance(
            layer, Unit) else convolution(body, *layer, width)
    return features


def _unit(body, unit, width):
    """The branches of an Inception unit, concatenated."""
    def chain(branch, filters, kernels):
        value = body
        for part, (count, kernel) in enumerate(zip(filters, kernels), start=1):
            stride = unit.stride if part == len(kernels) else 1
            value = convolution(value, '%s_%s_%d' % (unit.name, branch, part), count, kernel, stride, width)
        return value

    branches = [
        chain('single', [unit.single], [1]),
        chain('double', unit.double, [1, 3]),
        chain('triple', unit.triple, [1, 3, 3])
    ]
    if unit.pooled:
        pooled = _maximum(body, unit.stride, unit.name + '_pool')
        branches.append(convolution(pooled, unit.name + '_pooled', unit.pooled, 1, 1, width))
    return mx.sym.Concat(*branches, dim=1, name=unit.name)


def _maximum(body, stride, name):
    """Maximum over 3 x 3."""
    return mx.sym.Pooling(body, pool_type='max', kernel=(3, 3), stride=(stride, stride), pad=(1, 1), name=name)


FLOW_NETWORKS.register('flownet_inception')(FlowNetwork(encode, 4))
