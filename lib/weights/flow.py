"""FlowNetS of other frameworks: under which names and conventions each keeps the layers of lib/symbols/flownet.py."""
from collections import namedtuple

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np

from lib.symbols.flow_networks.flownet import ENCODER
from lib.symbols.flownet import DECODER, PIXEL_UNIT, flownet, predictions
from lib.weights.convention import BYTE, PIXEL_MEANS, Convention, first_layer
from lib.weights.forward import flow_predictions

# conv: our name of the layer; level: of the flow that it predicts or brings up, or of the feature that it makes.
Layer = namedtuple('Layer', 'conv kind level')
Family = namedtuple('Family', 'title convention example without names')


def layers():
    """Every layer of FlowNetS, as Layers of the kinds encoder, predict, deconv and upsample."""
    found = [Layer(name, 'encoder', 0) for name, _, _, _ in ENCODER]
    for _, level, predictor, _ in DECODER:
        found += [Layer(predictor, 'predict', level), Layer('deconv%d' % (level - 1), 'deconv', level - 1),
                  Layer('upsample_flow%dto%d' % (level, level - 1), 'upsample', level)]
    return found + [Layer('Convolution5', 'predict', 2)]


def _parts(name, separator='.'):
    return {'weight': name + separator + 'weight', 'bias': name + separator + 'bias'}


def _caffe(layer):
    return _parts('conv1' if layer.conv == 'flow_conv1' else layer.conv)


def _pytorch(layer):
    conv = layer.conv[len('flow_'):] if layer.conv == 'flow_conv1' else layer.conv
    return _parts({'encoder': conv + '.0', 'deconv': conv + '.0', 'predict': 'predict_flow%d' % layer.level,
                   'upsample': 'upsampled_flow%d_to_%d' % (layer.level, layer.level - 1)}[layer.kind])


def _mmtracking(layer):
    stem, _, second = layer.conv.replace('flow_', '').partition('_')
    return _parts({'encoder': '%s.%d.conv' % (stem, bool(second)), 'deconv': layer.conv + '.conv',
                   'predict': 'predict_flow%s.conv' % (layer.level if layer.level > 2 else ''),
                   'upsample': 'upsample_flow%d.conv' % (layer.level - 1)}[layer.kind])


def _own(layer):
    return _parts(layer.conv, '_')


def _convention(order, blue, green, red):
    return Convention(order, (255 * blue, 255 * green, 255 * red), BYTE)


_CAFFE = _convention('bgr', 0.411451, 0.432060, 0.450141)
FAMILIES = [
    # `without`: a name that must be absent, where two families differ by nothing else.
    Family('Caffe, as the FlowNetS of FlowNet and DispNet', _CAFFE, 'upsample_flow6to5.weight',
           None, _caffe),
    Family('PyTorch, as FlowNet2-S of NVIDIA/flownet2-pytorch', Convention('rgb', None, BYTE),
           'predict_flow6.bias', None, _pytorch),
    Family('PyTorch, as ClementPinard/FlowNetPytorch', _convention('rgb', 0.411, 0.432, 0.45),
           'upsampled_flow6_to_5.weight', 'predict_flow6.bias', _pytorch),
    Family('PyTorch, as mmtracking\'s flownet_simple', _convention('rgb', 0.450, 0.432, 0.411),
           'upsample_flow5.conv.weight', None, _mmtracking),
    Family('this project and the original', Convention('rgb', None, BYTE), 'flow_conv1_weight',
           None, _own),
]
OTHER_ARCHITECTURES = [
    ('conv_redir', 'it is a FlowNetC, which correlates two feature maps; ours is FlowNetS'),
    ('flownets_1.', 'it is the stack FlowNet2; take FlowNet2-S'),
    ('inter_conv', 'it is a FlowNet-SD; take FlowNetS'),
    ('conv1.1.running_mean', 'it has batch normalisation (flownets_bn), ours has none'),
]


class FlowNet:
    """FlowNetS, as something that a file is converted to."""

    families, other_architectures = FAMILIES, OTHER_ARCHITECTURES
    inputs = ('data', 'data_ref')
    # Ours alone: (name, what becomes of it).
    absent = [('Convolution5_scale', 'not written, training starts it as a scale map of 1')]

    def __init__(self):
        self.layers = layers()

    def names(self, family, layer):
        """{part: their name} of a layer."""
        return family.names(layer)

    def adapted(self, family, author, caffe_style):
        """Return a family with the convention that a file really has.

        Args:
            family: Family that the names tell.
            author: what the file says of its origin, or ''.
            caffe_style: whether a file with PyTorch's names has weights of Caffe.
        """
        return family._replace(convention=_CAFFE) if caffe_style else family

    def means(self, convention):
        """The default PIXEL_MEANS: a flow network sees the images of the ResNet beside it."""
        return PIXEL_MEANS

    def settings(self, family, means):
        """{config key: value} for networks that start from the converted file."""
        return {'network.PIXEL_MEANS': [round(float(mean), 3) for mean in means]}

    def other_size(self, family, has):
        """There is one FlowNetS."""
        return None

    def symbol(self, family):
        """The network that the parity check runs, of inputs `data` and `data_ref`: its five predictions."""
        flow, _ = flownet(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), 1)
        return mx.sym.Group(list(predictions(flow).values()))

    def reference(self, images, names, tensors, family, means):
        """Return the five predictions for two images, through the foreign network.

        See lib.weights.forward.flow_predictions for `images`, `names`, `tensors`, `family` and
        `means`.
        """
        return flow_predictions(images, self, names, tensors, family, means)

    def convert_layer(self, layer, tensors, convention, means):
        """Return our parameters of one layer, {name: float32 array}.

        Args:
            layer: Layer.
            tensors: {part: array}, its weight and bias; a bias that it lacks is 0.
            convention: the Convention of the file.
            means: PIXEL_MEANS, listed blue, green, red.
        """
        weight, bias = tensors['weight'], tensors.get('bias')
        if bias is None:
            bias = np.zeros(weight.shape[1 if layer.kind in ('deconv', 'upsample') else 0])
        if layer.conv == 'flow_conv1':
            weight, shift = first_layer(weight, convention, means, 1 / PIXEL_UNIT)
            bias = bias + shift
        return {'arg:%s_%s' % (layer.conv, part): np.ascontiguousarray(value, np.float32)
                for part, value in (('weight', weight), ('bias', bias))}
