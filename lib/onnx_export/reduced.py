"""Models that compute with fewer bits: float16 for GPUs, int8 for processors.

Only the layers of the networks do, from one convolution to the next. Coordinates, in proposals,
flow, pooling and boxes, stay float32: float16 would round them to half pixels.
"""

import collections
import contextlib
import logging
import os
import tempfile

from dff.errors import ExportError

# These begin it; those carry it on, where all that they read is of it. 'Slice' crops.
BEGIN = 'Conv', 'ConvTranspose'
CARRY = 'Relu', 'LeakyRelu', 'MaxPool', 'AveragePool', 'Add', 'Concat', 'Slice'
# Convolutions of fewer channels, in or out, stay float32: images, and predictions of flow.
LEAST_CHANNELS = 8


def layers_of(model):
    """Return the names of the nodes of a ModelProto that are layers, and no arithmetic of boxes."""
    constants = {each.name for each in model.graph.initializer}
    inside, names = set(), []
    for node in model.graph.node:
        read = [each for each in node.input if each and each not in constants]
        read = read[:1] if node.op_type == 'Slice' else read
        if node.op_type in BEGIN or (node.op_type in CARRY and set(read) <= inside):
            names.append(node.name)
            inside.update(node.output)
    return names


def to_float16(model):
    """Return a ModelProto whose layers compute in float16; inputs and outputs stay float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    layers = set(layers_of(model))
    others = [node.name for node in model.graph.node if node.name not in layers]
    return convert_float_to_float16(
        model, keep_io_types=True, op_block_list=[], node_block_list=others
    )


def to_int8(model, feeds, float_layers):
    """Return a ModelProto whose convolutions, and what lies between them, compute in int8.

    Weights have a scale for each filter, all else one for each tensor (QDQ form). What a convolution
    gives to other arithmetic than layers', or to several readers, stays float32: OpenVINO computes the
    readers in int8, too, which of a correlation leaves little.

    Args:
        model: ModelProto.
        feeds: [{input: array}], what the ranges of values are measured on.
        float_layers: layers that stay float32, besides those of few channels.

    Raises ExportError where nothing is left to be quantised.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    names = set(layers_of(model))
    weights = {each.name: min(each.dims[:2]) for each in model.graph.initializer if each.dims}
    wide = [
        node
        for node in model.graph.node
        if node.name in names
        and node.op_type in ('Conv', 'Relu', 'LeakyRelu', 'MaxPool', 'Add')
        and node.name.rpartition('/')[0] not in float_layers
        and not (node.op_type == 'Conv' and weights[node.input[1]] < LEAST_CHANNELS)
    ]
    if not any(node.op_type == 'Conv' for node in wide):
        raise ExportError('no convolution of this network has %d channels' % LEAST_CHANNELS)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path, out = (os.path.join(folder, name + '.onnx') for name in ('float32', 'int8'))
        onnx.save(model, path)
        quantize_static(
            path,
            out,
            _Feeds(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            # Eight bits of both overflow the 16-bit sums of processors without VNNI.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=[node.name for node in wide],
        )
        return _with_float_outputs(onnx.load(out), _given_away(model, names))


def _given_away(model, layers):
    """Outputs of convolutions in `layers`, names of nodes, that another node than one layer reads.

    The activation of a convolution belongs to it where it is a LeakyRelu: of a Relu, whose range
    begins at 0, nothing is lost in either runtime.
    """
    readers = collections.defaultdict(list)
    for node in model.graph.node:
        for name in set(node.input) if node.op_type != 'Shape' else ():
            readers[name].append(node)
    found = set()
    for node in model.graph.node:
        if node.op_type != 'Conv' or node.name not in layers:
            continue
        read = readers[node.output[0]]
        leaky = [each.op_type for each in read] == ['LeakyRelu']
        last = readers[read[0].output[0]] if leaky else read
        if (leaky and len(last) > 1) or any(each.name not in layers for each in last):
            found.add(node.output[0])
    return found


def _with_float_outputs(model, tensors):
    """`model`, a ModelProto in QDQ form, without the rounding of `tensors`, names of outputs of nodes."""
    rounded = {node.output[0]: node for node in model.graph.node
               if node.op_type == 'QuantizeLinear' and node.input[0] in tensors}
    back = {node.output[0]: node for node in model.graph.node
            if node.op_type == 'DequantizeLinear' and node.input[0] in rounded}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name in back:
                node.input[place] = rounded[back[name].input[0]].input[0]
    nodes = [node for node in model.graph.node if not {*node.output} & {*rounded, *back}]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    constants = [each for each in model.graph.initializer if each.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(constants)
    return model


@contextlib.contextmanager
def _quiet():
    """Without the advice to prepare models by a tool that folds what is folded here already."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Feeds:
    """The calibration data, one feed after another."""

    def __init__(self, feeds):
        self._feeds = iter(feeds)

    def get_next(self):
        """Return the next feed; None after the last."""
        return next(self._feeds, None)
