"""A network's symbol as nodes that can be rewritten, and back: what MXNet's own interface to symbols cannot do."""
import json

import mxnet as mx
import numpy as np

WORDS = {'True': True, 'False': False, 'None': None}


def _value(text):
    """What MXNet wrote as an attribute: a number, one of WORDS, a tuple (in () or []) of these, or any other word."""
    # Python 3.11's parser of literals fails where two threads are in it (CPython issue 106905).
    if text[:1] + text[-1:] in ('()', '[]'):
        return tuple(_value(part.strip()) for part in text[1:-1].split(',') if part.strip())
    if text in WORDS:
        return WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


class Node:
    """An operator or, with op 'null', a variable.

    inputs: [(Node, number of its output)]; attributes: {name: text}; subgraphs: what loops and branches run, as in
    the symbol's JSON.
    """

    def __init__(self, op, name, attributes=None, inputs=(), subgraphs=()):
        self.op, self.name, self.attributes, self.inputs = op, name, dict(attributes or {}), list(inputs)
        self.subgraphs = list(subgraphs)

    def get(self, key, default=None):
        """The attribute as the number, tuple or word that it stands for."""
        text = self.attributes.get(key)
        return default if text is None else _value(text)

    def input(self, index):
        """The Node that computes input `index`."""
        return self.inputs[index][0]


class Graph:
    """The nodes that the outputs of `symbol` need. Of operators with one name, all but the first get another."""

    def __init__(self, symbol):
        # tojson() as it is would remove casts of mixed precision, of which there are none, from a
        # copy that MXNet never frees.
        tree, nodes, names = json.loads(symbol.tojson(remove_amp_cast=False)), [], set()
        for number, entry in enumerate(tree['nodes']):
            inputs = [(nodes[head[0]], head[1]) for head in entry['inputs']]
            name = entry['name']
            if name in names and entry['op'] != 'null':
                name = '%s_node%d' % (name, number)
            names.add(name)
            nodes.append(Node(entry['op'], name, entry.get('attrs'), inputs, entry.get('subgraphs', ())))
        self.heads = [(nodes[head[0]], head[1]) for head in tree['heads']]

    def nodes(self):
        """All of them, each after its inputs."""
        ordered, seen = [], set()
        stack = [(node, False) for node, _ in reversed(self.heads)]
        while stack:
            node, inputs_done = stack.pop()
            if inputs_done:
                ordered.append(node)
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                stack.extend((source, False) for source, _ in reversed(node.inputs))
        return ordered

    def users(self):
        """{node: [nodes that read it, 'head' for each output of the network that it is]}."""
        nodes = self.nodes()
        users = {node: [] for node in nodes}
        for node in nodes:
            for source, _ in node.inputs:
                users[source].append(node)
        for node, _ in self.heads:
            users[node].append('head')
        return users

    def number_names(self, kept):
        """Name all operators but those of the kinds `kept` by their place.

        The names are then the same whatever was built before in this process.
        """
        for number, node in enumerate(self.nodes()):
            if node.op != 'null' and node.op not in kept:
                node.name = 'node%d_%s' % (number, node.op.lower().strip('_'))

    def replace(self, old, new):
        """Let everything that reads output 0 of `old` read that of `new`."""
        for node in self.nodes():
            if node is not new:
                node.inputs = [(new, 0) if entry == (old, 0) else entry for entry in node.inputs]
        self.heads = [(new, 0) if entry == (old, 0) else entry for entry in self.heads]

    def merge_equal(self):
        """Let the first of the operators that compute the same of the same inputs stand for all of them."""
        stands, known = {}, {}
        for node in self.nodes():
            node.inputs = [(stands.get(source, source), index) for source, index in node.inputs]
            if node.inputs and not node.subgraphs:      # variables and constants have no inputs
                key = node.op, tuple(sorted(node.attributes.items())), tuple(node.inputs)
                stands[node] = known.setdefault(key, node)
        self.heads = [(stands.get(node, node), index) for node, index in self.heads]

    @classmethod
    def of_node(cls, node):
        """The Graph of one node alone, its inputs variables: input0, input1 and so on."""
        inputs = [(Node('null', 'input%d' % place), 0) for place in range(len(node.inputs))]
        return cls.ending_in(Node(node.op, node.name, node.attributes, inputs))

    @classmethod
    def ending_in(cls, node):
        """The Graph whose output is that of `node`."""
        graph = cls.__new__(cls)
        graph.heads = [(node, 0)]
        return graph

    def symbol(self):
        """The nodes as a symbol of MXNet."""
        nodes = self.nodes()
        numbers = {node: number for number, node in enumerate(nodes)}
        entries = [{'op': node.op, 'name': node.name, 'attrs': node.attributes,
                    'inputs': [[numbers[source], index, 0] for source, index in node.inputs],
                    **({'subgraphs': node.subgraphs} if node.subgraphs else {})} for node in nodes]
        return mx.sym.load_json(json.dumps({
            'nodes': entries, 'arg_nodes': [number for number, node in enumerate(nodes) if node.op == 'null'],
            'heads': [[numbers[node], index, 0] for node, index in self.heads],
            'attrs': {'mxnet_version': ['int', 10901]}}))      # of an older version MXNet says that it upgrades it


def output_shapes(symbol, shapes):
    """Return {node name: shape of its output 0} of the nodes in `symbol`; shapes: {input name: shape}."""
    inner = symbol.get_internals()
    names = inner.list_outputs()
    return dict(zip((name[:-len('_output')] if name.endswith('_output') else name for name in names),
                    inner.infer_shape(**shapes)[1]))


def only_user(users, node):
    """Return the node that alone reads `node`, or None; users: of Graph.users."""
    return users[node][0] if len(users[node]) == 1 and users[node][0] != 'head' else None


def has_own_params(node, users, parameters):
    """Return whether all inputs of `node` but the first are of `parameters`, and it alone reads them.

    Of others its weight cannot be changed: they are computed, or shared with other layers.

    Args:
        node: Node of a layer.
        users: of Graph.users.
        parameters: names, or a dict by name.
    """
    return all(source.op == 'null' and source.name in parameters and len(users[source]) == 1
               for source, _ in node.inputs[1:])


def slope_of(node):
    """Return the factor on negative values of an activation that layers take in; None for anything else."""
    if node is None or node.op not in ('Activation', 'LeakyReLU'):
        return None
    return {'relu': 0.0, 'leaky': node.get('slope', 0.25)}.get(node.get('act_type', 'leaky'))


def array_of(arrays, name):
    """Return a parameter of {name: NDArray or NumPy array} as NumPy array."""
    value = arrays[name]
    return value if isinstance(value, np.ndarray) else value.asnumpy()
