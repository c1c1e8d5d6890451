"""A test network whose layers hand on bytes, for processors that multiply bytes fast: lib/operator_cxx/int8.

A tensor between int8 layers is a map of bytes, channels last, with a scale and a zero of its own. What does not
work on bytes stays as it is; on the way there and back values are rounded to bytes and made of bytes again.
"""
from collections import namedtuple

import numpy as np

from lib.graph.graph import Graph, Node, array_of
from lib.graph.int8_chains import bytes_of, chains, scale_groups
from lib.graph.int8_weights import convolution, deconvolution, pooled_scores, scale_of
from lib.graph.pooled_scores import unpacked
from lib.operator_cxx import loader

# node: what makes bytes of so many channels (and what fills them up to a multiple of 4).
Bytes = namedtuple('Bytes', 'node scale channels')


def is_fast():
    """Return whether the native int8 operators are there, and this processor multiplies bytes fast (AVX-512 VNNI)."""
    return loader.load() and bool(loader.c_library().dff_int8_is_fast())


def on_bytes(plain, network, arguments, sizes, ranges, float_layers):
    """Return (symbol, arguments) of a network whose layers work on bytes where they can.

    Args:
        plain: symbol of the network before fusion.
        network: symbol after fusion, whose tensors were measured.
        arguments: {name: NDArray} of both.
        sizes: {node name: shape of its output} of `plain`.
        ranges: {tensor of `network`: (low, high)}, as they are to be.
        float_layers: names of the convolutions that stay in float.
    """
    graph, fused = Graph(plain), Graph(network)
    tensors, known, unknown = _tensors(graph, fused), {}, set(float_layers)
    for end, chain in chains(graph, fused, sizes, ()).items():
        known[end] = ranges.get(tensors.get(chain.node, end.name) + '_output')
    for node in graph.nodes():
        known[node] = known.get(node) or ranges.get(node.name if node.op == 'null' else node.name + '_output')
    count = -1
    while len(unknown) > count:      # a layer cannot read floats whose range was not measured
        count, found = len(unknown), chains(graph, fused, sizes, unknown)
        unknown |= {chain.node.name for chain in found.values() for source in bytes_of(chain)
                    if source not in found and known[source] is None}
    rewriting = _Rewriting(graph, found, scale_groups(found, known), arguments, sizes, known)
    rewriting.run()
    symbol = graph.symbol()
    needed = set(symbol.list_arguments())
    return symbol, {name: value for name, value in rewriting.arguments.items() if name in needed}


def _tensors(graph, fused):
    """Return {convolution: name of the fused node that computes it and what follows}.

    A weight may be used several times, in the same order in both.
    """
    names = {}
    for node in fused.nodes():
        if node.op == '_sg_mkldnn_conv':
            names.setdefault(node.input(1).name, []).append(node.name)
    return {node: names[node.input(1).name].pop(0) for node in graph.nodes()
            if node.op == 'Convolution' and names.get(node.input(1).name)}


class _Rewriting:
    """Layer by layer: `made` holds the bytes of each end that has them, `floats` a node that makes floats."""

    def __init__(self, graph, found, scales, arguments, sizes, ranges):
        self._graph, self._found, self._scales, self._sizes, self._ranges = graph, found, scales, sizes, ranges
        self.arguments = dict(arguments)
        self._made, self._quantised, self._floats = {}, {}, {}
        self._users = graph.users()
        self._inside = {chain.node: end for end, chain in found.items()}
        self._read = {source for chain in found.values() for source in bytes_of(chain)}

    def run(self):
        """Change the graph."""
        for end, chain in self._found.items():
            in_bytes = end in self._read or chain.node.op not in ('Convolution', 'DFFPooledScores')
            made = getattr(self, '_' + chain.node.op.lower())(chain, self._scales[end] if in_bytes else None)
            if in_bytes:
                self._made[end] = made
            else:
                self._floats[end] = made
            if not in_bytes or not all(self._reads_bytes(end, user) for user in self._users[end]):
                self._replace(end, self._float((end, 0))[0])

    def _reads_bytes(self, end, user):
        """Whether a user of a chain's end takes its bytes: a layer, or a sum or a size of one."""
        if user == 'head':
            return False
        if user in self._inside:
            return end in bytes_of(self._found[self._inside[user]])
        if user.op == 'Reshape':
            return all(each in self._inside and self._reads_bytes(end, each) for each in self._users[user])
        for chain in self._found.values():
            is_other = chain.other and chain.other[0] is end and user.op == 'elemwise_add'
            is_like = chain.like is end and user.op == 'slice_like' and user.input(1) is end
            if (is_other or is_like) and chain.node in (user.input(0), user.input(1)):
                return True
        return False

    def _replace(self, end, as_float):
        """Let what reads floats read `as_float`; layers on bytes ask `made`."""
        for node in self._graph.nodes():
            if node in self._inside or node.op.startswith('DFFInt8'):
                continue
            node.inputs = [(as_float, 0) if entry == (end, 0) else entry for entry in node.inputs]
        self._graph.heads = [(as_float, 0) if entry == (end, 0) else entry for entry in self._graph.heads]

    def _float(self, entry):
        """The entry that has the floats of `entry`."""
        end = entry[0]
        if end in self._made and end not in self._floats:
            made = self._made[end]
            attributes = dict(begin=0, count=made.channels, zero=made.scale.zero, scale=repr(made.scale.scale))
            self._floats[end] = _node('DFFInt8Dequantise', end.name + '_float', attributes, [(made.node, 0)])
        return (self._floats[end], 0) if end in self._floats else entry

    def _bytes(self, entry):
        """The Bytes of what a layer reads; rounded first where it is float, and then only the channels read."""
        node, index = entry
        if node in self._made:
            return self._made[node]
        if entry not in self._quantised:
            source, begin = entry, 0
            count = self._sizes[node.name][1]
            if node.op == 'slice_axis' and node.get('axis') == 1 and node.get('begin') >= 0:
                source, begin = node.inputs[0], node.get('begin')
            scale = scale_of(*self._ranges[node])
            attributes = dict(begin=begin, count=count, zero=scale.zero, scale=repr(1.0 / scale.scale))
            made = _node('DFFInt8Quantise', node.name + '_bytes', attributes, [source])
            self._quantised[entry] = Bytes(made, scale, count)
        return self._quantised[entry]

    def _layer(self, chain, operator, pack, scale, attributes, more):
        """A convolution or deconvolution; `more`: inputs behind its parameters."""
        node, given = chain.node, self._bytes(chain.node.inputs[0])
        filters = node.get('num_filter')
        bias = (np.zeros(filters, np.float32) if node.get('no_bias', False)
                else array_of(self.arguments, node.input(2).name))
        packed = pack(array_of(self.arguments, node.input(1).name), bias, given.scale, scale)
        inputs = [(given.node, 0)] + self._parameters(node, packed)
        attributes = dict(attributes, num_filter=filters, slope=chain.slope, in_zero=given.scale.zero,
                          zero=scale.zero if scale else 0)
        made = _node(operator, node.name, attributes, inputs + more)
        return Bytes(made, scale, filters) if scale else made

    def _parameters(self, node, packed):
        """Inputs that have the values of a Packed."""
        inputs = []
        for what, value in packed._asdict().items():
            name = '%s_int8_%s' % (node.name, what)
            self.arguments[name] = value
            inputs.append((Node('null', name, {'__shape__': str(value.shape)}), 0))
        return inputs

    def _convolution(self, chain, scale):
        node, other = chain.node, self._bytes(chain.other) if chain.other else None
        # Added to a result in bytes, or as it is.
        factor = other.scale.scale / (scale.scale if scale else 1.0) if other else 0.0
        attributes = dict(_window(node), dilate=node.get('dilate', (1, 1))[0], is_float=int(scale is None),
                          has_other=int(other is not None), other_scale=repr(factor),
                          other_zero=other.scale.zero if other else 0)
        more = [(other.node, 0)] if other else []
        return self._layer(chain, 'DFFInt8Convolution', convolution, scale, attributes, more)

    def _deconvolution(self, chain, scale):
        return self._layer(chain, 'DFFInt8Deconvolution', deconvolution, scale, {}, [(self._made[chain.like].node, 0)])

    def _pooling(self, chain, scale):
        node, given = chain.node, self._made[chain.node.input(0)]
        attributes = dict(_window(node), mean=int(node.get('pool_type', 'max') == 'avg'),
                          is_full=int(node.get('pooling_convention') == 'full'))
        return given._replace(node=_node('DFFInt8Pooling', node.name, attributes, [(given.node, 0)]))

    def _concat(self, chain, scale):
        parts = [self._made[source] for source, _ in chain.node.inputs]
        made = _node('DFFInt8Concat', chain.node.name, {'num_args': len(parts)}, [(part.node, 0) for part in parts])
        return Bytes(made, scale, sum(part.channels for part in parts))

    def _slice_axis(self, chain, scale):
        attributes = chain.part._asdict()
        source = self._made[attributes.pop('source')]
        return Bytes(_node('DFFInt8Slice', chain.node.name, attributes, [(source.node, 0)]), scale, chain.part.count)

    def _leakyrelu(self, chain, scale):
        given = self._made[chain.node.input(0)]
        attributes = dict(slope=chain.slope, in_zero=given.scale.zero, zero=scale.zero,
                          factor=repr(given.scale.scale / scale.scale))
        return Bytes(_node('DFFInt8Activation', chain.node.name, attributes, [(given.node, 0)]), scale, given.channels)

    _activation = _leakyrelu

    def _dffflowwarp(self, chain, scale):
        (feature, flow), factors = map(self._float, chain.node.inputs[:2]), self._made[chain.node.input(2)]
        attributes = dict(scale_zero=factors.scale.zero, zero=scale.zero,
                          factor=repr(factors.scale.scale / scale.scale))
        made = _node('DFFInt8FlowWarp', chain.node.name, attributes, [feature, flow, (factors.node, 0)])
        return Bytes(made, scale, factors.channels)

    def _dffcorrelation(self, chain, scale):
        node, (current, reference) = chain.node, [self._made[source] for source, _ in chain.node.inputs]
        reach = node.get('max_displacement')
        factor = current.scale.scale ** 2 / (current.channels * scale.scale)
        attributes = dict(max_displacement=reach, in_zero=current.scale.zero, zero=scale.zero, slope=chain.slope,
                          factor=repr(factor))
        made = _node('DFFInt8Correlation', node.name, attributes, [(current.node, 0), (reference.node, 0)])
        return Bytes(made, scale, (2 * reach + 1) ** 2)

    def _dffpooledscores(self, chain, scale):
        node, given = chain.node, self._made[chain.node.input(0)]
        weight = unpacked(array_of(self.arguments, node.input(2).name), node.get('outputs'), node.get('channels'))
        packed = pooled_scores(weight, given.scale)
        inputs = [(given.node, 0), self._float(node.inputs[1])] + self._parameters(node, packed) + [node.inputs[3]]
        return _node('DFFInt8PooledScores', node.name, dict(node.attributes, zero=given.scale.zero), inputs)


def _window(node):
    kernel, pad = node.get('kernel'), node.get('pad', (0, 0))
    stride = node.get('stride', (1, 1))[0]
    return dict(kernel_h=kernel[0], kernel_w=kernel[1], stride=stride, pad_h=pad[0], pad_w=pad[1])


def _node(operator, name, attributes, inputs):
    return Node(operator, name, {key: str(value) for key, value in attributes.items()}, inputs)
