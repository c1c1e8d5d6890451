"""Reading an .onnx: an image classifier's layers and tensors; needs the package onnx."""
import numpy as np

from dff.errors import CheckpointError, SetupError
from lib.weights.layers import Layer, Network
from lib.weights.registry import READERS

KINDS = {'Conv': 'conv', 'BatchNormalization': 'norm', 'Relu': 'relu', 'MaxPool': 'pool', 'Add': 'add',
         'Sum': 'add', 'Identity': 'same', 'Dropout': 'same', 'Transpose': 'same', 'Cast': 'same'}
# Position among a node's inputs: the part that stands there.
PARTS = {'Conv': {1: 'weight', 2: 'bias'}, 'BatchNormalization': {1: 'gamma', 2: 'beta', 3: 'mean', 4: 'var'}}


@READERS.register('.onnx')
def read_onnx(path):
    """The Network in a file, under the names of its initialisers and nodes.

    Raises CheckpointError where it is no whole ONNX model, SetupError where the package onnx is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise SetupError('%s needs the package onnx: `pip install -r requirements-onnx.txt` (%s)'
                         % (path, error)) from error
    from google.protobuf.message import DecodeError
    try:
        graph = onnx.load(str(path)).graph
        tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    except (DecodeError, ValueError, TypeError, AttributeError, onnx.checker.ValidationError) as error:
        raise CheckpointError('%s is not a whole ONNX model with its tensors inside (%s). Download or export it again'
                              % (path, ' '.join(str(error).split())[:120])) from error
    layers = [_layer(node, tensors, path) for node in graph.node]
    return Network(layers, {name: values.astype(np.float32) for name, values in tensors.items()
                            if values.dtype.kind == 'f'})


def _layer(node, tensors, path):
    """The Layer of a node."""
    parts = {part: node.input[position] for position, part in PARTS.get(node.op_type, {}).items()
             if position < len(node.input) and node.input[position]}
    for name in parts.values():
        if name not in tensors:
            raise CheckpointError('%s: %r of node %r is computed, no stored tensor; export the trained network '
                                  'with its constants folded' % (path, name, node.name or node.output[0]))
    inputs = [name for name in node.input if name and name not in tensors]
    return Layer(KINDS.get(node.op_type, node.op_type), node.name or node.output[0], inputs, list(node.output), parts,
                 _settings(node, {part: tensors[name].shape for part, name in parts.items()}))


def _settings(node, shapes):
    """{what: number} of a node; sides that differ count as the larger one."""
    given = {attribute.name: attribute for attribute in node.attribute}

    def largest(name, default):
        return max(given[name].ints, default=default) if name in given else default

    if node.op_type == 'BatchNormalization':
        return {'eps': given['epsilon'].f if 'epsilon' in given else 1e-5}
    if node.op_type not in ('Conv', 'MaxPool'):
        return {}
    kernel = largest('kernel_shape', max(shapes.get('weight', (1, 1, 1, 1))[2:], default=1))
    # Two rows of padding after the last one and none before it, or one each: what counts is where windows begin.
    pads = list(given['pads'].ints) if 'pads' in given else [0]
    found = {'kernel': kernel, 'pad': max(pads[:len(pads) // 2], default=0), 'stride': largest('strides', 1),
             'dilation': largest('dilations', 1), 'group': given['group'].i if 'group' in given else 1}
    if node.op_type == 'MaxPool':
        found['max'] = True
    return found
