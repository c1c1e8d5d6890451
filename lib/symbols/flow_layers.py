"""What the flow networks have in common: layers, and what each of them is to the decoder in lib/symbols/flownet.py."""
from collections import namedtuple

import mxnet as mx

from lib.symbols.widths import channels

SLOPE = 0.1        # of every LeakyReLU

# encode(pair [N, 6, h, w], width, training) -> {layer: feature} with conv2, conv3_1, conv4_1 and,
# where it goes on, conv5_1 and conv6_1, a 4th to a 64th of the size; deconvolution_share: by what
# the channels of the decoder's deconvolutions are divided.
FlowNetwork = namedtuple('FlowNetwork', 'encode deconvolution_share')


def leaky(body, name):
    """Return LeakyReLU of `body`, the output of the layer `name`."""
    return mx.sym.LeakyReLU(body, act_type='leaky', slope=SLOPE, name=name + '_relu')


def convolution(body, name, filters, kernel, stride, width, **weight):
    """Return a convolution of `body` that keeps the size but for its stride, with LeakyReLU.

    Args:
        body: [N, C, h, w].
        name: of the layer.
        filters: channels at width 1.
        kernel, stride: along both sides.
        width: network.flow_width.
        weight: `weight`, a symbol, in the place of the layer's own.
    """
    body = mx.sym.Convolution(body, num_filter=channels(filters, width, 'network.flow_width'), kernel=(kernel, kernel),
                              stride=(stride, stride), pad=(kernel // 2, kernel // 2), name=name, **weight)
    return leaky(body, name)


def first_convolution(pair, layer, width, training):
    """Return the layer that sees the images `pair`, [N, 6, h, w].

    For training, zeros make its 6 input channels 8: oneDNN's weight gradient then takes a third of the time.

    Args:
        pair: both images.
        layer: (name, channels, kernel, stride).
        width: network.flow_width.
        training: whether gradients will be computed.
    """
    if not training:
        return convolution(pair, *layer, width)
    name, filters, kernel, _ = layer
    weight = mx.sym.Variable(
        name + '_weight', shape=(channels(filters, width,
                                          'network.flow_width'), 6, kernel, kernel))
    pair, weight = (mx.sym.concat(value, mx.sym.zeros_like(mx.sym.slice_axis(value, axis=1, begin=0, end=2)), dim=1)
                    for value in (pair, weight))
    return convolution(pair, *layer, width, weight=weight)
