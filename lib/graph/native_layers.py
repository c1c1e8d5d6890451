"""Convolutions and deconvolutions that native operators of this project compute, where those are faster.

    DFFWinograd         convolutions of 3x3, and of 5x5 with stride 2 (lib/operator_cxx/winograd)
    DFFDeconvolution    deconvolutions that double a map's size (lib/operator_cxx/deconvolution)

Both apply the bias and the activation behind themselves.
"""
import numpy as np

from lib.graph.graph import Node, array_of
from lib.graph.winograd import PANEL, POSITIONS, depth_of, fits, pays, transformed

DOUBLING = ((4, 4), (2, 2), (1, 1), (0, 0))      # kernel, stride, pad, adj of a deconvolution


class NativeLayer:
    """A layer that a native operator can compute.

    node: Node of the convolution or deconvolution; sizes: {node name: shape of its output}.

    Attributes: node; operator, its name; shape, of its input, and out_shape; settings: {attribute: value}, with them
    the factor on negative values of the activation behind, `slope`; follower: that activation, or None.
    """

    def __init__(self, node, sizes):
        self.node, self.follower = node, None
        self.shape, self.out_shape = tuple(sizes[node.input(0).name]), tuple(sizes[node.name])
        self.settings = {'num_filter': node.get('num_filter'), 'slope': 1.0}
        self.operator = 'DFFDeconvolution'
        if node.op == 'Convolution':
            self.operator = 'DFFWinograd'
            self.settings.update(dilate=node.get('dilate', (1, 1))[0], stride=node.get('stride', (1, 1))[0])

    def follow(self, node):
        """Apply the activation `node` as well, if it is one that can be."""
        slope = _slope(node)
        if slope is not None:
            self.follower, self.settings['slope'] = node, slope

    def by_rule(self):
        """Whether the native operator is faster, by the cost model (winograd.py); deconvolutions always were."""
        return self.operator == 'DFFDeconvolution' or pays(self.node, self.shape, self.out_shape)

    def multiply_adds(self):
        """Those of the layer as it is built."""
        places, channels = (self.out_shape, self.shape[1])
        if self.operator == 'DFFDeconvolution':
            places, channels = self.shape, self.out_shape[1]
        return int(np.prod(places)) * channels * int(np.prod(self.node.get('kernel')))

    def weight_shape(self, channels):
        """Return the shape of the native operator's weight for so many input channels."""
        filters = self.settings['num_filter']
        if self.operator == 'DFFDeconvolution':
            return filters, channels, int(np.prod(DOUBLING[0]))
        return POSITIONS, -(-filters // PANEL), depth_of(channels, self.settings['stride']), PANEL

    def weight(self, value):
        """Return the native operator's weight from that of the layer, `value`."""
        if self.operator == 'DFFWinograd':
            return transformed(value)
        return np.ascontiguousarray(value.transpose(1, 0, 2, 3)).reshape(value.shape[1], value.shape[0], -1)

    def attributes(self):
        """Return the native operator's settings as a Node has them."""
        return {key: str(value) for key, value in self.settings.items()}


def use_native_layers(graph, arguments, sizes, choose):
    """Let native operators compute layers, with the activations behind them.

    Args:
        graph: Graph of the network; changed.
        arguments: {name: array} of its parameters; changed.
        sizes: {node name: shape of its output}.
        choose: function from [NativeLayer] to [whether to use the native operator]; `by_rule` is one.
    """
    users = graph.users()
    layers = [NativeLayer(node, sizes) for node in graph.nodes() if _can_be_native(node)]
    crops = {layer: _behind(layer, users) for layer in layers}
    for layer, native in zip(layers, choose(layers)):
        if native:
            _use(graph, arguments, layer, crops[layer])


def by_rule(layers):
    """The choice of the cost model, for each NativeLayer of `layers`."""
    return [layer.by_rule() for layer in layers]


def _can_be_native(node):
    if node.op == 'Convolution':
        return fits(node)
    settings = tuple(node.get(key, (0, 0)) for key in ('kernel', 'stride', 'pad', 'adj'))
    return node.op == 'Deconvolution' and settings == DOUBLING and node.get('num_group', 1) == 1


def _behind(layer, users):
    """Find the activation behind a layer; returns the cropping between both, or None."""
    follower, crop = _only_user(users, layer.node), None
    if layer.operator == 'DFFDeconvolution' and follower is not None and follower.op == 'slice_like':
        crop, follower = follower, _only_user(users, follower)
    layer.follow(follower)
    return crop if layer.follower is not None else None


def _use(graph, arguments, layer, crop):
    """Put the native operator in the place of a layer and of the activation behind it."""
    node = layer.node
    if crop is not None:       # first the activation, then the crop
        graph.replace(layer.follower, crop)
        layer.follower.inputs[0], crop.inputs[0] = (node, 0), (layer.follower, 0)
    weight = node.name + ('_winograd' if layer.operator == 'DFFWinograd' else '_taps')
    bias = node.input(2).name if len(node.inputs) > 2 else node.name + '_bias'
    arguments[weight] = layer.weight(array_of(arguments, node.input(1).name))
    arguments.setdefault(bias, np.zeros(layer.settings['num_filter'], np.float32))
    inputs = [node.inputs[0]] + [(Node('null', each, {'__shape__': str(arguments[each].shape)}), 0)
                                 for each in (weight, bias)]
    native = Node(layer.operator, node.name, layer.attributes(), inputs)
    graph.replace(layer.follower or node, native)


def _only_user(users, node):
    """The node that alone reads `node`, or None."""
    return users[node][0] if len(users[node]) == 1 and users[node][0] != 'head' else None


def _slope(node):
    """Factor on negative values of an activation that native operators apply themselves; None for anything else."""
    if node is None or node.op not in ('Activation', 'LeakyReLU'):
        return None
    kind = node.get('act_type', 'leaky')
    return {'relu': 0.0, 'leaky': node.get('slope', 0.25)}.get(kind)
