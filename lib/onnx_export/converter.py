"""The project's graph in operators of the ONNX standard, by one small function for each operator.

A function that converts an operator is called with (Builder, Node, names of the values of its
inputs) and returns the name
of its output. Sizes are asked of the values when the network runs, so that height and width may
change from frame to frame.
"""

from typing import Any, Callable, Dict, List

import numpy as np

from dff.errors import ExportError
from lib.graph.graph import Graph, Node
from lib.onnx_export.builder import Builder

CONVERTERS: Dict[str, Callable[[Builder, Node, List[str]], str]] = {}


def converts(*operators: str) -> Callable:
    """Return a decorator that makes a function the converter of MXNet's `operators`."""

    def add(function):
        for operator in operators:
            CONVERTERS[operator] = function
        return function

    return add


def unsupported(node: Node, what: str) -> ExportError:
    """Return the error that says that `node` has a setting, `what`, for which there is no
    conversion.
    """
    return ExportError(
        'layer %s: %s with %s has no form in ONNX here; lib/onnx_export holds the conversions'
        % (node.name, node.op, what)
    )


def convert(
    graph: Graph, build: Builder, inputs: Dict[str, str], parameters: Dict[str, Any]
) -> List[str]:
    """Append the operations of `graph` to `build`, and return the names of its outputs.

    Args:
        graph: of the network, batch normalisation folded, of MXNet's own operators.
        build: a Builder.
        inputs: {variable: name of the value that it is}.
        parameters: {variable: array} of all others.

    Raises ExportError, which names the layer, for an operator without a converter.
    """
    values: Dict[Node, str] = {}
    for node in graph.nodes():
        build.layer = node.name
        if node.op == 'null':
            if node.name in inputs:
                values[node] = inputs[node.name]
            elif node.name in parameters:
                values[node] = build.constant(
                    node.name, np.asarray(parameters[node.name], np.float32)
                )
            else:
                raise ExportError(
                    '%s is neither an input of the network nor a parameter' % node.name
                )
            continue
        if node.op not in CONVERTERS:
            raise ExportError(
                'layer %s: there is no conversion of the operator %s to ONNX; it knows %s'
                % (node.name, node.op, ', '.join(sorted(CONVERTERS)))
            )
        values[node] = CONVERTERS[node.op](
            build, node, [values[source] for source, _ in node.inputs]
        )
    return [values[node] for node, _ in graph.heads]
