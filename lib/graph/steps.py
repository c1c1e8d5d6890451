"""A network computed one node after the other, for whoever looks at every tensor of it: what nothing reads any
more is let go, so that all of them together are never in memory.
"""
import collections

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.graph.graph import Graph


def steps(symbol, values):
    """Yield (Node, [NDArray that it reads], [NDArray that it makes]) of every operator, in order, on the CPU.

    An array lives as long as a later node reads it, or the caller keeps it.

    Args:
        symbol: a network without auxiliary states.
        values: {argument: NDArray}, of all its arguments.
    """
    nodes = Graph(symbol).nodes()
    readers = collections.Counter(source for node in nodes for source, _ in node.inputs)
    made = {}
    for node in nodes:
        if node.op == 'null':
            made[node] = [values[node.name]]
            continue
        operands = [made[source][place] for source, place in node.inputs]
        for source, _ in node.inputs:
            readers[source] -= 1
            if not readers[source]:
                made.pop(source)
        outputs = _computed(node, operands)
        yield node, operands, outputs
        if readers[node]:
            made[node] = outputs
        del operands, outputs


def _computed(node, operands):
    """The outputs of a node, once they are there: else memory for those after it would be taken, too."""
    arguments = {'input%d' % place: value for place, value in enumerate(operands)}
    executor = Graph.of_node(node).symbol().bind(mx.cpu(), arguments, grad_req='null')
    outputs = executor.forward(is_train=False)
    for output in outputs:
        output.wait_to_read()
    return outputs
