"""int8 of exported networks: what is rounded between layers, and what is handed to other arithmetic as it is."""
import numpy as np
import pytest

onnx, runtime = (pytest.importorskip(name, reason='%s is not installed: pip install -r requirements-onnx.txt' % name)
                 for name in ('onnx', 'onnxruntime'))

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from lib.onnx_export.reduced import to_int8  # noqa: E402

CHANNELS = 8
SHAPE = [2, CHANNELS, 6, 10]


def network(*tails, activation='LeakyRelu'):
    """image -> conv a, activation -> conv b -> sigmoid; tails: (operator, input) of other readers."""
    rng = np.random.RandomState(0)
    weights = [numpy_helper.from_array((rng.randn(CHANNELS, CHANNELS, 3, 3) / 8).astype(np.float32), name)
               for name in ('a_weight', 'b_weight')]
    nodes = [helper.make_node('Conv', ['image', 'a_weight'], ['a'], 'a/Conv', pads=[1] * 4),
             helper.make_node(activation, ['a'], ['a_act'], 'a_act/' + activation),
             helper.make_node('Conv', ['a_act', 'b_weight'], ['b'], 'b/Conv', pads=[1] * 4),
             helper.make_node('Sigmoid', ['b'], ['out'], 'out/Sigmoid')]
    outputs = {'out': TensorProto.FLOAT}
    for number, (operator, read) in enumerate(tails):
        name = 'tail%d' % number
        outputs[name] = TensorProto.INT64 if operator == 'Shape' else TensorProto.FLOAT
        nodes.append(helper.make_node(operator, [read], [name], '%s/%s' % (name, operator)))
    graph = helper.make_graph(nodes, 'network', [helper.make_tensor_value_info('image', TensorProto.FLOAT, SHAPE)],
                              [helper.make_tensor_value_info(*each, None) for each in outputs.items()], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 16)], ir_version=8)


def images(count):
    return [{'image': np.random.RandomState(i).randn(*SHAPE).astype(np.float32)} for i in range(count)]


def computed(model, feed):
    """What onnxruntime makes of a ModelProto, a list."""
    session = runtime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    return session.run(None, feed)


def rounded(model):
    """Names of the values that are rounded to 8 bits."""
    return {node.input[0] for node in model.graph.node if node.op_type == 'QuantizeLinear'}


@pytest.mark.parametrize('tails, activation, expected', [
    ([], 'LeakyRelu', {'image', 'a', 'a_act'}),                    # not what the sigmoid gets
    ([], 'Relu', {'image', 'a_act'}),                              # a Relu is part of the convolution's rounding
    ([('Abs', 'a')], 'LeakyRelu', {'image', 'a_act'}),             # other arithmetic reads what the layer gives
    ([('Abs', 'a_act')], 'LeakyRelu', {'image', 'a_act'}),         # two readers of its activation
    ([('Shape', 'a_act')], 'LeakyRelu', {'image', 'a', 'a_act'})])     # a size has no values to round
def test_what_is_rounded(tails, activation, expected):
    model = to_int8(network(*tails, activation=activation), images(3), ())
    onnx.checker.check_model(model)
    assert rounded(model) == expected
    read = {name for node in model.graph.node for name in node.input}
    assert {each.name for each in model.graph.initializer} <= read


def test_what_is_handed_on_is_not_rounded():
    """Of two convolutions one after the other only the second's input is in 8 bits for the reader of the first."""
    float32 = network(('Abs', 'a'))
    small = to_int8(float32, images(3), ())
    feed = images(1)[0]
    one, other = computed(float32, feed), computed(small, feed)
    step = np.diff(np.unique(other[1])).min()
    assert step < 1e-4, 'steps of 256 levels would be a hundred times as large'
    for exact, found in zip(one, other):
        assert 0 < np.linalg.norm(found - exact) / np.linalg.norm(exact) < 0.05


def test_openvino_gives_what_onnxruntime_gives():
    openvino = pytest.importorskip('openvino', reason='openvino is not installed')
    model = to_int8(network(('Abs', 'a'), ('Neg', 'a_act')), images(3), ())
    feed = images(1)[0]
    expected, core = computed(model, feed), openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), 'CPU',
                                  {'INFERENCE_PRECISION_HINT': 'f32'})
    found = compiled(feed)
    for number, values in enumerate(expected):
        error = np.linalg.norm(found[compiled.output(number)] - values) / np.linalg.norm(values)
        assert error < 0.01
