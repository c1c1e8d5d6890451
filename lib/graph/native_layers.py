"""Convolutions and deconvolutions that native operators of this project compute, where those are faster.

    onednn      as they are
    winograd    DFFWinograd: convolutions of 3x3, of 5x5 with stride 2, and deconvolutions that double a map's size
    products    DFFDeconvolution: such deconvolutions, as products and sums

The native operators apply the bias and the activation behind themselves.
"""
import numpy as np

from lib.graph.graph import Node, array_of, has_own_params, only_user, slope_of
from lib.graph.winograd import PANEL, POSITIONS, cost, depth_of, fits, pays, transformed

ONEDNN, WINOGRAD, PRODUCTS = WAYS = ('onednn', 'winograd', 'products')
HOPELESS = 1.5      # times the multiply-adds of a layer as it is: Winograd's algorithm is not even tried
DOUBLING = ((4, 4), (2, 2), (1, 1), (0, 0))      # kernel, stride, pad, adj of a deconvolution


class Layer:
    """A layer that can be computed in several ways.

    node: Node of the convolution or deconvolution; sizes: {node name: shape of its output}.

    Attributes: node; ways, of WAYS; shape, of its input, and out_shape; filters; follower: the activation behind
    that native operators apply, or None; slope, its factor on negative values.
    """

    def __init__(self, node, sizes):
        self.node, self.follower, self.slope = node, None, 1.0
        self.shape, self.out_shape = tuple(sizes[node.input(0).name]), tuple(sizes[node.name])
        self.filters = node.get('num_filter')
        self.ways = (ONEDNN,) if node.op == 'Convolution' else (ONEDNN, PRODUCTS)
        if self.shape[0] * cost(node, self.shape, self.out_shape) < HOPELESS * self.multiply_adds():
            self.ways += (WINOGRAD,)

    def follow(self, node):
        """Apply the activation `node` as well, if it is one that can be."""
        slope = slope_of(node)
        if slope is not None:
            self.follower, self.slope = node, slope

    def by_rule(self):
        """The way that the cost model of winograd.py expects to be the fastest; of deconvolutions the products."""
        if self.node.op == 'Deconvolution':
            return PRODUCTS
        return WINOGRAD if pays(self.node, self.shape, self.out_shape) else ONEDNN

    def multiply_adds(self):
        """Those of the layer as it is built."""
        places, channels = self.out_shape, self.shape[1]
        if self.node.op == 'Deconvolution':
            places, channels = self.shape, self.filters
        return int(np.prod(places)) * channels * int(np.prod(self.node.get('kernel')))

    def operator(self, way):
        """(name, {attribute: text}) of the native operator of `way`."""
        settings = {'num_filter': self.filters, 'slope': self.slope}
        if way == WINOGRAD:
            settings.update(dilate=self.node.get('dilate', (1, 1))[0], stride=self._stride(), up=self._up())
        return {WINOGRAD: 'DFFWinograd', PRODUCTS: 'DFFDeconvolution'}[way], {
            key: str(value) for key, value in settings.items()}

    def weight_shape(self, way, channels):
        """Return the shape of the native operator's weight for so many input channels."""
        if way == PRODUCTS:
            return self.filters, channels, int(np.prod(DOUBLING[0]))
        panels = -(-self.filters * self._up() ** 2 // PANEL)
        return POSITIONS, panels, depth_of(channels, self._stride()), PANEL

    def _up(self):
        return 2 if self.node.op == 'Deconvolution' else 1

    def _stride(self):
        return 1 if self.node.op == 'Deconvolution' else self.node.get('stride', (1, 1))[0]


def use_native_layers(graph, arguments, sizes, choose):
    """Let native operators compute layers, with the activations behind them.

    Args:
        graph: Graph of the network; changed.
        arguments: {name: array} of its parameters; changed.
        sizes: {node name: shape of its output}.
        choose: function from [Layer] to [a way of each]; `by_rule` is one.
    """
    users = graph.users()
    layers = [Layer(node, sizes) for node in graph.nodes()
              if _can_be_native(node) and has_own_params(node, users, arguments)]
    crops = [_behind(layer, users) for layer in layers]
    for layer, crop, way in zip(layers, crops, choose(layers)):
        if way != ONEDNN:
            _use(graph, arguments, layer, crop, way)


def by_rule(layers):
    """The choice of the cost model, for each Layer of `layers`."""
    return [layer.by_rule() for layer in layers]


def _can_be_native(node):
    if node.op == 'Convolution':
        return fits(node)
    settings = tuple(node.get(key, (0, 0)) for key in ('kernel', 'stride', 'pad', 'adj'))
    return node.op == 'Deconvolution' and settings == DOUBLING and node.get('num_group', 1) == 1


def _behind(layer, users):
    """Find the activation behind a layer; returns the cropping between both, or None."""
    follower, crop = only_user(users, layer.node), None
    if layer.node.op == 'Deconvolution' and follower is not None and follower.op == 'slice_like':
        crop, follower = follower, only_user(users, follower)
    layer.follow(follower)
    return crop if layer.follower is not None else None


def _use(graph, arguments, layer, crop, way):
    """Put the native operator of `way` in the place of a layer and of the activation behind it."""
    node, (operator, attributes) = layer.node, layer.operator(way)
    if crop is not None:       # first the activation, then the crop
        graph.replace(layer.follower, crop)
        layer.follower.inputs[0], crop.inputs[0] = (node, 0), (layer.follower, 0)
    weight = node.name + ('_winograd' if way == WINOGRAD else '_taps')
    bias = node.input(2).name if len(node.inputs) > 2 else node.name + '_bias'
    value = array_of(arguments, node.input(1).name)
    arguments[weight] = transformed(value) if way == WINOGRAD else _taps(value)
    arguments.setdefault(bias, np.zeros(layer.filters, np.float32))
    inputs = [node.inputs[0]] + [(Node('null', each, {'__shape__': str(arguments[each].shape)}), 0)
                                 for each in (weight, bias)]
    graph.replace(layer.follower or node, Node(operator, node.name, attributes, inputs))


def _taps(weight):
    """Weight [I, O, 4, 4] of a deconvolution as DFFDeconvolution takes it: [O, I, 16]."""
    return np.ascontiguousarray(weight.transpose(1, 0, 2, 3)).reshape(weight.shape[1], weight.shape[0], -1)
