"""network.flow `flownet_correlation`, after FlowNetCorr (Dosovitskiy et al., arXiv 1504.06852, section 3).

Both images go through the same first layers, then every place of the one is compared with those
around it in the other. Ours: compared behind conv2 (there conv3), whose cells are already coarse
in DFF's small images; the comparisons are brought to few channels before conv3; and it ends with
conv4_1, since what is known to have moved needs no deeper layers to find out.
"""
import mxnet as mx

from lib.symbols.flow_layers import FlowNetwork, convolution, leaky
from lib.symbols.flow_networks.flownet import ENCODER
from lib.symbols.operators import correlation
from lib.symbols.registry import FLOW_NETWORKS
from lib.symbols.widths import channels

DISPLACEMENT = 4      # cells of an eighth of the image that it looks around, along each axis
LAYERS = ENCODER.index(('conv4_1', 512, 3, 1)) + 1
REDUCED = ('corr_redir', 128, 1, 1)     # the layer behind the comparisons


def encode(pair, width, training):
    """Return {layer: feature} of image pairs.

    See lib.symbols.flow_layers.FlowNetwork for `pair`, `width`, `training`.
    """
    features, body = {}, mx.sym.Reshape(pair, shape=(-1, 3, 0, 0))      # current and reference image by turns
    body = features['flow_conv1'] = convolution(body, *ENCODER[0], width)
    name, filters, kernel, stride = ENCODER[1]
    filters = channels(filters, width, 'network.flow_width')
    body = mx.sym.Convolution(body, num_filter=filters, kernel=(kernel, kernel), stride=(stride, stride),
                              pad=(kernel // 2, kernel // 2), name=name)
    # Compared without the LeakyReLU: what differs shall be able to count against what is alike.
    body = mx.sym.Reshape(body, shape=(-1, 2 * filters, 0, 0))
    current, reference = (mx.sym.slice_axis(body, axis=1, begin=begin, end=begin + filters) for begin in (0, filters))
    matches = leaky(correlation(current, reference, DISPLACEMENT), 'corr')
    body = features[name] = mx.sym.Concat(leaky(current, name),
                                          convolution(matches, *REDUCED, width), dim=1,
                                          name='concat_corr')
    for layer in ENCODER[2:LAYERS]:
        body = features[layer[0]] = convolution(body, *layer, width)
    return features


FLOW_NETWORKS.register('flownet_correlation')(FlowNetwork(encode, 1))
