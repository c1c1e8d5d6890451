"""The halves of the flow networks that see the images; network.flow names one. The other half is in lib/symbols/flownet.py.

`flownet` is FlowNet (the simple variant of Dosovitskiy et al., arXiv 1504.06852); with network.flow_width 0.5 it is the
FlowNet Half of Deep Feature Flow (arXiv 1611.07715).

`flownet_inception` is after the FlowNet Inception of that paper, which says: Inception units (Szegedy et al., arXiv
1512.00567) in the place of FlowNet's convolutions, and an eighth of its complexity. Its appendix lists the layers; that
list could not be had here: the order of the layers and their channels are a reconstruction, not compared with it (no such
model of the authors is public). Ours for certain: no normalisation, FlowNet's LeakyReLU, the layers' names, and
deconvolutions of a quarter of FlowNet's channels, which leave the decoder an eighth of its multiplications, too.

`flownet_correlation` is after FlowNetCorr (Dosovitskiy et al., section 3): both images go through the same first layers, then every place
of the one is compared with those around it in the other. Ours: compared behind conv2 (there conv3), whose cells are already coarse
in DFF's small images; the comparisons are brought to few channels before conv3; and it ends with conv4_1, since what is
known to have moved needs no deeper layers to find out.
"""
from collections import namedtuple

import mxnet as mx

from lib.symbols.operators import correlation
from lib.symbols.resnet_v1 import channels
from dff.errors import ConfigError

SLOPE = 0.1        # of every LeakyReLU
# (name, channels, kernel, stride)
ENCODER = [('flow_conv1', 64, 7, 2), ('conv2', 128, 5, 2), ('conv3', 256, 5, 2), ('conv3_1', 256, 3, 1),
           ('conv4', 512, 3, 2), ('conv4_1', 512, 3, 1), ('conv5', 512, 3, 2), ('conv5_1', 512, 3, 1),
           ('conv6', 1024, 3, 2), ('conv6_1', 1024, 3, 1)]
# An Inception unit. single: channels of the 1x1; double: of the 1x1 and the 3x3 behind it; triple: of the 1x1 and the two
# 3x3 behind it; pooled: of the 1x1 behind a maximum, 0 for no such branch. The last layer of each has the stride.
Unit = namedtuple('Unit', 'name stride single double triple pooled')
INCEPTION_STEM = ('flow_conv1', 32, 7, 2)       # then a maximum of stride 2
INCEPTION = [Unit('conv2', 1, 24, (16, 32), (4, 8, 8), 0), ('conv3', 128, 3, 2),
             Unit('conv3_0', 1, 48, (32, 64), (8, 16, 16), 0), Unit('conv3_1', 1, 48, (32, 64), (8, 16, 16), 0),
             Unit('conv4', 2, 32, (112, 128), (28, 32, 32), 64), Unit('conv4_1', 1, 96, (112, 128), (28, 32, 32), 0),
             Unit('conv5', 2, 48, (96, 192), (36, 48, 48), 96), Unit('conv5_1', 1, 144, (96, 192), (36, 48, 48), 0),
             Unit('conv6', 2, 64, (192, 256), (48, 64, 64), 128), Unit('conv6_1', 1, 192, (192, 256), (48, 64, 64), 0)]

DISPLACEMENT = 4      # cells of an eighth of the image that flownet_correlation looks around, along each axis
CORRELATION_LAYERS = ENCODER.index(('conv4_1', 512, 3, 1)) + 1
CORRELATED = ('corr_redir', 128, 1, 1)     # the layer behind the comparisons

# encode(pair [N, 6, h, w], width, training) -> {layer: feature} with conv2, conv3_1, conv4_1 and, where it goes on, conv5_1 and conv6_1,
# a 4th to a 64th of the size; deconvolution_share: by what the channels of the decoder's deconvolutions are divided.
FlowNetwork = namedtuple('FlowNetwork', 'encode deconvolution_share')


def leaky(body, name):
    """LeakyReLU behind the layer `name`."""
    return mx.sym.LeakyReLU(body, act_type='leaky', slope=SLOPE, name=name + '_relu')


def _convolution(body, name, filters, kernel, stride, width, **weight):
    body = mx.sym.Convolution(body, num_filter=channels(filters, width, 'network.flow_width'), kernel=(kernel, kernel),
                              stride=(stride, stride), pad=(kernel // 2, kernel // 2), name=name, **weight)
    return leaky(body, name)


def _first(pair, layer, width, training):
    """The layer that sees the images. For training, zeros make its 6 input channels 8: oneDNN's weight gradient then takes a third."""
    if not training:
        return _convolution(pair, *layer, width)
    name, filters, kernel, _ = layer
    weight = mx.sym.Variable(name + '_weight', shape=(channels(filters, width, 'network.flow_width'), 6, kernel, kernel))
    pair, weight = (mx.sym.concat(value, mx.sym.zeros_like(mx.sym.slice_axis(value, axis=1, begin=0, end=2)), dim=1) for value in (pair, weight))
    return _convolution(pair, *layer, width, weight=weight)


def _simple(pair, width, training):
    features = {ENCODER[0][0]: _first(pair, ENCODER[0], width, training)}
    body = features[ENCODER[0][0]]
    for layer in ENCODER[1:]:
        body = features[layer[0]] = _convolution(body, *layer, width)
    return features


def _correlated(pair, width, training):
    features, body = {}, mx.sym.Reshape(pair, shape=(-1, 3, 0, 0))      # current and reference image by turns
    body = features['flow_conv1'] = _convolution(body, *ENCODER[0], width)
    name, filters, kernel, stride = ENCODER[1]
    filters = channels(filters, width, 'network.flow_width')
    body = mx.sym.Convolution(body, num_filter=filters, kernel=(kernel, kernel), stride=(stride, stride),
                              pad=(kernel // 2, kernel // 2), name=name)
    # Compared without the LeakyReLU: what differs shall be able to count against what is alike.
    body = mx.sym.Reshape(body, shape=(-1, 2 * filters, 0, 0))
    current, reference = (mx.sym.slice_axis(body, axis=1, begin=begin, end=begin + filters) for begin in (0, filters))
    matches = leaky(correlation(current, reference, DISPLACEMENT), 'corr')
    body = features[name] = mx.sym.Concat(leaky(current, name), _convolution(matches, *CORRELATED, width), dim=1, name='concat_corr')
    for layer in ENCODER[2:CORRELATION_LAYERS]:
        body = features[layer[0]] = _convolution(body, *layer, width)
    return features


def _inception(pair, width, training):
    features = {}
    body = _maximum(_first(pair, INCEPTION_STEM, width, training), 2, 'flow_pool1')
    for layer in INCEPTION:
        name = layer[0]
        body = features[name] = _unit(body, layer, width) if isinstance(layer, Unit) else _convolution(body, *layer, width)
    return features


def _unit(body, unit, width):
    """The branches of an Inception unit, concatenated."""
    def chain(branch, filters, kernels):
        value = body
        for part, (count, kernel) in enumerate(zip(filters, kernels), start=1):
            stride = unit.stride if part == len(kernels) else 1
            value = _convolution(value, '%s_%s_%d' % (unit.name, branch, part), count, kernel, stride, width)
        return value
    branches = [chain('single', [unit.single], [1]), chain('double', unit.double, [1, 3]), chain('triple', unit.triple, [1, 3, 3])]
    if unit.pooled:
        pooled = _maximum(body, unit.stride, unit.name + '_pool')
        branches.append(_convolution(pooled, unit.name + '_pooled', unit.pooled, 1, 1, width))
    return mx.sym.Concat(*branches, dim=1, name=unit.name)


def _maximum(body, stride, name):
    """Maximum over 3 x 3."""
    return mx.sym.Pooling(body, pool_type='max', kernel=(3, 3), stride=(stride, stride), pad=(1, 1), name=name)


FLOW_NETWORKS = {'flownet': FlowNetwork(_simple, 1), 'flownet_correlation': FlowNetwork(_correlated, 1),
                 'flownet_inception': FlowNetwork(_inception, 4)}


def flow_network(name):
    """The FlowNetwork that network.flow names; raises ConfigError, listing what exists, on a miss."""
    if name not in FLOW_NETWORKS:
        raise ConfigError("there is no flow network called '%s' (setting network.flow); choose from %s"
                          % (name, ', '.join(sorted(FLOW_NETWORKS))))
    return FLOW_NETWORKS[name]
