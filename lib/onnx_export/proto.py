"""ONNX files: made from a Builder, checked by the standard's own checker, and written."""

import os
from typing import Dict, NamedTuple, Sequence, Tuple, Union

import numpy as np

from dff.errors import CheckpointError, ExportError
from dff.files import atomic_path
from dff.packages import needed
from lib.onnx_export.builder import Builder

OPSET, IR_VERSION = (
    16,
    8,
)  # what every runtime of the last years reads; GridSample, the youngest operator, is of 16
PACKAGES = 'onnx', 'onnxruntime'


class Tensor(NamedTuple):
    """An input or output of a model."""

    name: str
    type: type  # of NumPy
    shape: Tuple[Union[int, str], ...]  # a word: a size that differs from run to run
    meaning: str


def require_packages():
    """Raise SetupError unless the packages that exporting needs are installed."""
    for name in PACKAGES:
        needed(name, 'exporting to ONNX needs the package', 'pip install -r requirements-onnx.txt')


def make_model(
    build: Builder,
    name: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    metadata: Dict[str, str],
):
    """Return the ModelProto of a finished Builder.

    Args:
        build: whose values of these names are the outputs.
        name: of the graph.
        inputs, outputs: Tensors.
        metadata: {key: text}.

    Raises ExportError where the checker of the standard, or its inference of shapes, refuses it.
    """
    import onnx
    from onnx import helper

    nodes, constants = _nodes(build)
    ends = [
        [
            helper.make_tensor_value_info(
                each.name,
                helper.np_dtype_to_tensor_dtype(np.dtype(each.type)),
                each.shape,
                doc_string=each.meaning,
            )
            for each in tensors
        ]
        for tensors in (inputs, outputs)
    ]
    model = helper.make_model(
        helper.make_graph(nodes, name, *ends, initializer=constants),
        opset_imports=[helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='Deep Feature Flow',
    )
    helper.set_model_props(model, metadata)
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError('%s is no valid ONNX graph: %s' % (name, error)) from error
    return model


def _nodes(build):
    """([NodeProto], [TensorProto] of the constants that they use) of a Builder."""
    from onnx import helper, numpy_helper

    nodes = [
        helper.make_node(
            each.operator,
            each.inputs,
            each.outputs,
            name=each.name,
            **{
                key: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
                for key, value in each.attributes.items()
            },
        )
        for each in build.operations
    ]
    used = {value for each in build.operations for value in each.inputs}
    constants = [
        numpy_helper.from_array(np.ascontiguousarray(value), key)
        for key, value in build.constants.items()
        if key in used
    ]
    return nodes, constants


def write_model(model, path):
    """Write a ModelProto whole or not at all. Raises CheckpointError where that fails."""
    try:
        with atomic_path(path) as temporary, open(temporary, 'wb') as stream:
            stream.write(model.SerializeToString())
    except (OSError, ValueError) as error:
        raise CheckpointError('cannot write %s: %s' % (os.path.basename(path), error)) from error
