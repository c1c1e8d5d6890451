"""Small graphs and networks in ONNX, beside MXNet's own results."""

import mxnet as mx
import numpy as np
import pytest

from lib.graph.graph import Graph
from lib.inference.exported import export_model
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny, tiny_seg

for package in ('onnx', 'onnxruntime'):
    pytest.importorskip(
        package, reason='%s is not installed: pip install -r requirements-onnx.txt' % package
    )

import onnxruntime  # noqa: E402

from lib.onnx_export import layers, motion, regions  # noqa: E402,F401  (they register conversions)
from lib.onnx_export.builder import Builder  # noqa: E402
from lib.onnx_export.converter import convert  # noqa: E402
from lib.onnx_export.proto import Tensor, make_model  # noqa: E402

TASKS = 'rfcn', 'dff_rfcn', 'deeplab', 'dff_deeplab'


def both(symbol, fixed=False, **inputs):
    """(MXNet's output, onnxruntime's) of a symbol; fixed: the model knows its inputs' sizes."""
    inputs = {name: np.asarray(value, np.float32) for name, value in inputs.items()}
    values = {name: mx.nd.array(value) for name, value in inputs.items()}
    wanted = symbol.bind(mx.cpu(), values, grad_req='null').forward(is_train=False)[0].asnumpy()
    build = Builder()
    (value,) = convert(Graph(symbol), build, {name: name for name in inputs}, {})
    build.op('Identity', value, output='result')

    def tensor(name, array, free):
        return Tensor(
            name,
            np.float32,
            tuple('%s_%d' % (name, axis) for axis in range(array.ndim)) if free else array.shape,
            '',
        )

    model = make_model(
        build,
        'test',
        [tensor(name, value, not fixed) for name, value in inputs.items()],
        [tensor('result', wanted, True)],
        {},
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=['CPUExecutionProvider']
    )
    return wanted, session.run(None, inputs)[0]


def tiny_task(name, **changes):
    """A Task with the settings of a tiny network."""
    task = tiny.fresh_task(name)
    task.config = (tiny_seg.seg_config if 'deeplab' in name else tiny.tiny_config)(name, **changes)
    if 'deeplab' not in name:
        task.config.dataset.CLASSES = ['ball', 'crate', 'cone']
    return task


def export_tiny(name, folder, **changes):
    """Write a tiny model of the task `name` as export_model does; returns the Task."""
    task = tiny_task(name, **changes)
    config, instance = task.config, get_symbol_instance(task.config)
    if 'deeplab' in name:
        config.dataset.CLASSES = [
            '%s %d 2 3' % (label, number) for number, label in enumerate(tiny_seg.CLASSES)
        ]
        instance.test_networks(config)
        params = tiny_seg.seg_params(config)
    else:
        params = tiny.tiny_params(config)
    export_model(
        config, instance, *params, config.dataset.CLASSES, str(folder), 'tiny-0000.params'
    )
    return task
