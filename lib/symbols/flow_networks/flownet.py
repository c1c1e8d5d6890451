"""network.flow `flownet`: the simple FlowNet of Dosovitskiy et al. (arXiv 1504.06852).

With network.flow_width 0.5 it is the FlowNet Half of Deep Feature Flow (arXiv 1611.07715).
"""
from lib.symbols.flow_layers import FlowNetwork, convolution, first_convolution
from lib.symbols.registry import FLOW_NETWORKS

# (name, channels, kernel, stride)
ENCODER = [('flow_conv1', 64, 7, 2), ('conv2', 128, 5, 2), ('conv3', 256, 5, 2), ('conv3_1', 256, 3, 1),
           ('conv4', 512, 3, 2), ('conv4_1', 512, 3, 1), ('conv5', 512, 3, 2), ('conv5_1', 512, 3, 1),
           ('conv6', 1024, 3, 2), ('conv6_1', 1024, 3, 1)]


def encode(pair, width, training):
    """Return {layer: feature} of image pairs.

    See lib.symbols.flow_layers.FlowNetwork for `pair`, `width`, `training`.
    """
    features = {ENCODER[0][0]: first_convolution(pair, ENCODER[0], width, training)}
    body = features[ENCODER[0][0]]
    for layer in ENCODER[1:]:
        body = features[layer[0]] = convolution(body, *layer, width)
    return features


FLOW_NETWORKS.register('flownet')(FlowNetwork(encode, 1))
