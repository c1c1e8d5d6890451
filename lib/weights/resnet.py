"""ResNets of other frameworks: names and conventions of the layers of lib/symbols/backbones/resnet_v1.py."""
from collections import namedtuple

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np

from lib.symbols.backbones.resnet_v1 import BN_EPS, STAGES, resnet_v1, unit_name
from lib.weights.convention import IMAGENET_MEANS, IMAGENET_STDS, ONE, PIXEL_MEANS, Convention, first_layer
from lib.weights.forward import resnet_feature
from lib.weights.resnet_graph import recognise

# A layer: our names of its convolution and normalisation, its stage (1: the stem), its unit's index, its branch.
Layer = namedtuple('Layer', 'conv norm stage unit branch')
# example: a name that tells the family; names(layer, depth): the names of a layer's parts, {part: name}, of the parts
# weight, bias, gamma, beta, mean, var; stride_in_3x3: where its bottlenecks halve the size.
Family = namedtuple('Family', 'title convention stride_in_3x3 example names')


def layers(depth, other_stem=False):
    """Return every convolution of ResNet-v1 with its normalisation, as Layers.

    Args:
        depth: 18, 34, 50, 101 or 152.
        other_stem: whether the stem's width is not that of the rest, so that the first unit needs a
            convolution in its shortcut at any depth.
    """
    stages, bottleneck = STAGES[depth]
    found = [Layer('conv1', 'bn_conv1', 1, 0, '')]
    for stage, units in enumerate(stages, start=2):
        for unit in range(units):
            has_shortcut = unit == 0 and (bottleneck or stage > 2 or other_stem)
            for branch in (['1'] if has_shortcut else []) + ['2a', '2b'] + (['2c'] if bottleneck else []):
                name = '%d%s_branch%s' % (stage, unit_name(depth, stage, unit), branch)
                found.append(Layer('res' + name, 'bn' + name, stage, unit, branch))
    return found


def _named(conv, norm, mark, gamma='gamma', beta='beta', statistics='running'):
    """{part: name} where the parts' own names stand behind those of the layers, after `mark`."""
    return {
        'weight': conv + mark + 'weight', 'bias': conv + mark + 'bias', 'gamma':
        norm + mark + gamma, 'beta': norm + mark + beta, 'mean':
        norm + mark + statistics + '_mean', 'var': norm + mark + statistics + '_var'
    }


def _caffe(layer, depth):
    scale = 'scale' + layer.norm[len('bn'):]
    return {'weight': layer.conv + '.weight', 'bias': layer.conv + '.bias', 'mean': layer.norm + '.mean',
            'var': layer.norm + '.var', 'gamma': scale + '.gamma', 'beta': scale + '.beta'}


def _detectron_conv(layer):
    return 'conv1' if layer.stage == 1 else 'res%d_%d_branch%s' % (layer.stage, layer.unit, layer.branch)


def _detectron2(layer, depth):
    conv = _detectron_conv(layer)
    norm = 'res_conv1_bn' if layer.stage == 1 else conv + '_bn'
    return {'weight': conv + '_w', 'bias': conv + '_b', 'gamma': norm + '_gamma', 'beta': norm + '_beta',
            'mean': norm + '_running_mean', 'var': norm + '_running_var'}


def _detectron(layer, depth):
    conv = _detectron_conv(layer)
    norm = 'res_conv1_bn' if layer.stage == 1 else conv + '_bn'
    return {'weight': conv + '_w', 'bias': conv + '_b', 'gamma': norm + '_s', 'beta': norm + '_b'}


def _detectron2_own(layer, depth):
    if layer.stage == 1:
        conv = 'stem.conv1'
    else:
        conv = 'res%d.%d.%s' % (layer.stage, layer.unit, {
            '1': 'shortcut', '2a': 'conv1', '2b': 'conv2', '2c': 'conv3'
        }[layer.branch])
    return _named(conv, conv + '.norm', '.', 'weight', 'bias')


def _torchvision(layer, depth):
    if layer.stage == 1:
        conv, norm = 'conv1', 'bn1'
    else:
        unit = 'layer%d.%d.' % (layer.stage - 1, layer.unit)
        number = {'2a': '1', '2b': '2', '2c': '3'}.get(layer.branch)
        conv, norm = (unit + 'conv' + number,
                      unit + 'bn' + number) if number else (unit + 'downsample.0',
                                                            unit + 'downsample.1')
    return _named(conv, norm, '.', 'weight', 'bias')


def _gluon(layer, depth):
    if layer.stage == 1:
        conv, norm = 'features.0', 'features.1'
    else:
        unit = 'features.%d.%d.' % (layer.stage + 2, layer.unit)
        position = {'2a': 0, '2b': 3, '2c': 6}.get(layer.branch)
        conv, norm = ((unit + 'downsample.0', unit + 'downsample.1') if position is None
                      else (unit + 'body.%d' % position, unit + 'body.%d' % (position + 1)))
    return _named(conv, norm, '.')


def _gluon_scoped(layer, depth):
    """The names of Gluon's files from before MXNet 1.3.

    Layers of a stage are counted, the shortcut last in its unit.
    """
    if layer.stage == 1:
        conv, norm = 'conv0', 'batchnorm0'
    else:
        same = [other for other in layers(depth) if other.stage == layer.stage]
        same.sort(key=lambda other: (other.unit, other.branch == '1', other.branch))
        scope = 'stage%d_' % (layer.stage - 1)
        conv, norm = scope + 'conv%d' % same.index(layer), scope + 'batchnorm%d' % same.index(layer)
    return _named(conv, norm, '_')


def _own(layer, depth):
    return _named(layer.conv, layer.norm, '_', statistics='moving')


_MSRA = Convention('bgr', PIXEL_MEANS, ONE)
_BVLC = Convention('bgr', (104.0, 117.0, 123.0), ONE)
_DETECTRON = Convention('bgr', IMAGENET_MEANS, ONE)
_TORCHVISION = Convention('rgb', IMAGENET_MEANS, IMAGENET_STDS)
FAMILIES = [
    Family('Caffe, as KaimingHe/deep-residual-networks', _MSRA, False, 'res2a_branch2a.weight',
           _caffe),
    Family('detectron2, as its MSRA R-50.pkl and R-101.pkl', _DETECTRON, False,
           'res2_0_branch2a_bn_running_var', _detectron2),
    Family('Detectron, normalisation merged into a scale and a shift', _DETECTRON, False,
           'res2_0_branch2a_bn_s', _detectron),
    Family('detectron2, as it trains them', _DETECTRON, False, 'res2.0.conv1.norm.running_var',
           _detectron2_own),
    Family('PyTorch names, as torchvision, timm and mmdetection', _TORCHVISION, True,
           'layer1.0.conv2.weight', _torchvision),
    Family('MXNet Gluon model zoo, ResNet v1', _TORCHVISION, False, 'features.4.0.body.0.weight',
           _gluon),
    Family('MXNet Gluon model zoo, ResNet v1, old names', _TORCHVISION, False,
           'stage1_conv0_weight', _gluon_scoped),
    Family('this project and the original', Convention('rgb', PIXEL_MEANS, ONE), False,
           'res2a_branch2a_weight', _own),
]
OTHER_ARCHITECTURES = [   # a part of a name, and what it tells
    ('conv1.3.', 'its stem is three 3x3 convolutions (ResNet-C or D), ours one of 7x7'),
    ('.se.', 'its units have squeeze-and-excitation, ours have not'),
    ('_gn_', 'it has group normalisation, ours batch normalisation'),
    ('features.0.running_mean', 'it is a ResNet v2, normalised before each convolution, ours is a v1'),
]


def graph_family(network, path, caffe_style):
    """Return a ResNet-v1 under any names, recognised by its graph: (ResNet, Family, tensors).

    Args:
        network: lib.weights.layers.Network.
        path: of its file, for messages.
        caffe_style: whether it sees BGR images without scaling; else RGB ones, scaled as
            torchvision's.

    Raises:
        CheckpointError: the network is no ResNet-v1 of ours.
    """
    found = recognise(network, path)
    tensors = dict(network.tensors)
    for name, eps in found.eps.items():
        # Ours divides by sqrt(var + BN_EPS), theirs by sqrt(var + eps).
        var = found.parts[name]['var']
        tensors[var] = tensors[var] + np.float32(eps - BN_EPS)
    family = Family('a ResNet-v1, recognised by its graph', _BVLC if caffe_style else _TORCHVISION,
                    found.stride_in_3x3, '', lambda layer, depth: found.parts[layer.conv])
    return ResNet(found.depth, found.width, found.stem_width, found.pool_pad), family, tensors


class ResNet:
    """ResNet-v1 of one depth, as something that a file is converted to.

    Args:
        depth: 18, 34, 50, 101 or 152.
        width, stem_width: as network.width and network.stem_width.
        pool_pad: padding of the first pooling, which both networks of the parity check have.
    """

    families, other_architectures = FAMILIES, OTHER_ARCHITECTURES
    inputs, absent = ('data',), []

    def __init__(self, depth, width=1.0, stem_width=0.0, pool_pad=1):
        self.depth, self.layers = depth, layers(depth, stem_width not in (0.0, width))
        self.width, self.stem_width, self.pool_pad = width, stem_width, pool_pad

    def names(self, family, layer):
        """{part: their name} of a layer."""
        return family.names(layer, self.depth)

    def adapted(self, family, author, caffe_style):
        """Return a family with the convention and stride that a file really has.

        Args:
            family: Family that the names tell.
            author: what the file says of its origin, or ''.
            caffe_style: whether a file with PyTorch's names has weights of Caffe.
        """
        if author == 'torchvision':
            return family._replace(convention=_TORCHVISION, stride_in_3x3=True)
        if caffe_style:
            return family._replace(convention=_DETECTRON, stride_in_3x3=False)
        return family

    def means(self, convention):
        """PIXEL_MEANS with which nothing needs to be changed."""
        return convention.means

    def settings(self, family, means):
        """{config key: value} for networks that start from the converted file."""
        settings = {'network.PIXEL_MEANS': [round(float(mean), 3) for mean in means]}
        if STAGES[self.depth][1] and family.stride_in_3x3:
            settings['network.STRIDE_IN_3X3'] = True
        if (self.width, self.stem_width or self.width) != (1.0, 1.0):
            settings.update({'network.depth': self.depth, 'network.width': self.width,
                             'network.stem_width': self.stem_width})
        return settings

    def other_size(self, family, has):
        """The depth, not ours, whose layers a file has all; None where there is none.

        has(name): whether it has the name.
        """
        whole = [
            depth for depth in STAGES if all(
                has(name)
                for layer in layers(depth)
                for part, name in family.names(layer, depth).items() if part != 'bias')
        ]
        depth = max(whole, key=lambda depth: len(layers(depth)), default=None)
        return None if depth in (None, self.depth) else 'resnet_v1_%d' % depth

    def symbol(self, family):
        """The network that the parity check runs, of input `data`."""
        return resnet_v1(mx.sym.Variable('data'), self.depth, self.width, stride_in_3x3=family.stride_in_3x3,
                         pool_pad=self.pool_pad, stem_width=self.stem_width)

    def reference(self, images, names, tensors, family, means):
        """Return [res5c_relu] of the first of `images`, through the foreign network.

        See lib.weights.forward.resnet_feature for `names`, `tensors`, `family` and `means`.
        """
        return [resnet_feature(images[0], self, names, tensors, family, means)]

    def convert_layer(self, layer, tensors, convention, means):
        """Return our parameters of one layer, {name: float32 array}.

        A bias goes into the mean of the normalisation that follows it; a normalisation without
        statistics is a scale and a shift (BatchNorm with mean 0 and the variance for which it
        divides by exactly 1), and so is one that was folded into the convolution.

        Args:
            layer: Layer.
            tensors: {part: array}, the parts that the file has.
            convention: the Convention of the file.
            means: PIXEL_MEANS, listed blue, green, red.
        """
        weight, filters = tensors['weight'], len(tensors['weight'])
        weight, shift = first_layer(weight, convention, means) if layer.stage == 1 else (weight, 0)
        mean = tensors.get('mean', np.zeros(filters)) - shift - tensors.get('bias', 0)
        values = {'arg:%s_weight' % layer.conv: weight,
                  'arg:%s_gamma' % layer.norm: tensors.get('gamma', np.ones(filters)),
                  'arg:%s_beta' % layer.norm: tensors.get('beta', np.zeros(filters)),
                  'aux:%s_moving_mean' % layer.norm: mean,
                  'aux:%s_moving_var' % layer.norm: tensors.get('var', np.full(filters, 1 - BN_EPS))}
        return {name: np.ascontiguousarray(value, np.float32) for name, value in values.items()}
