"""Features of several frames joined by their embeddings: the native operator, MXNet's own, the definition."""
import json

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np
import pytest

from lib.operator_cxx import loader
from lib.symbols.aggregation import aggregate, cosines, embed, frame_weights
from tests.helpers import native_oracles
from tests.helpers.aggregation import carried_and_joined
from tests.helpers.native_tools import assert_close, builtin, run

native = pytest.mark.skipif(not loader.load(), reason='the native operators are not built (sh init.sh builds them)')
NAMES = 'features', 'embeddings', 'query', 'flow'
SHAPES = [(1, 1), (2, 1), (5, 1), (3, 2)]


def arrays_of(frames, images, channels=4, embedding=6, size=(3, 5), flow=True):
    random = np.random.RandomState(frames)
    shapes = {'features': (frames * images, channels), 'embeddings': (frames * images, embedding),
              'query': (images, embedding)}
    found = {name: random.randn(*shape, *size).astype(np.float32) for name, shape in shapes.items()}
    if flow:
        # Away from whole cells, where the interpolation has a corner and no derivative.
        whole = random.randint(-2, 2, (frames * images, 2) + size)
        found['flow'] = (whole + random.uniform(0.1, 0.9, whole.shape)).astype(np.float32)
    return found


def symbol_of(frames, arrays):
    return aggregate(*(mx.sym.Variable(name) for name in NAMES[:3]), frames,
                     mx.sym.Variable('flow') if 'flow' in arrays else None)


@pytest.mark.parametrize('frames, images', SHAPES)
@pytest.mark.parametrize('make', [pytest.param(symbol_of, marks=native),
                                  lambda *arguments: builtin(lambda: symbol_of(*arguments))], ids=['native', 'own'])
@pytest.mark.parametrize('flow', [True, False])
def test_the_frames_count_by_their_cosines(frames, images, make, flow):
    arrays = arrays_of(frames, images, flow=flow)
    assert_close(run(make(frames, arrays), arrays)[0], carried_and_joined(frames=frames, **arrays)[0], 1e-6)


@pytest.mark.parametrize('frames, images', SHAPES)
def test_cosines_and_weights(frames, images):
    arrays = arrays_of(frames, images, flow=False)
    _, cosine, weights = carried_and_joined(frames=frames, **arrays)
    symbol = cosines(mx.sym.Variable('embeddings'), mx.sym.Variable('query'), frames)
    del arrays['features']
    assert_close(run(symbol, arrays)[0].reshape(cosine.shape), cosine, 1e-6)
    assert_close(run(frame_weights(symbol, frames), arrays)[0][:, :, 0], weights, 1e-6)


@native
@pytest.mark.parametrize('frames, images, size', [(2, 1, (7, 9)), (3, 2, (4, 5)), (1, 1, (2, 2))])
@pytest.mark.parametrize('flow', [True, False])
def test_gradients_are_those_of_mxnet_s_own(frames, images, size, flow):
    arrays = arrays_of(frames, images, 19, 9, size, flow)
    grad = np.random.RandomState(0).randn(images, 19, *size)
    out, gradients = run(symbol_of(frames, arrays), arrays, grad)
    wanted, wanted_gradients = run(builtin(lambda: symbol_of(frames, arrays)), arrays, grad)
    assert_close(out, wanted, 1e-5)
    for name in arrays:
        assert_close(gradients[name], wanted_gradients[name], 1e-4)


@native
def test_gradients_are_central_differences():
    arrays = arrays_of(3, 2)
    random = np.random.RandomState(1)
    grad = random.randn(2, 4, 3, 5).astype(np.float32)
    _, gradients = run(symbol_of(3, arrays), arrays, grad)
    for name, value in arrays.items():
        places = [tuple(random.randint(0, n) for n in value.shape) for _ in range(40)]

        def loss(moved, name=name):
            return (carried_and_joined(frames=3, **dict(arrays, **{name: moved}))[0] * grad).sum()
        assert_close(np.array([gradients[name][place] for place in places]),
                     native_oracles.central_difference(loss, value, places), 1e-4)


@native
def test_equal_runs_give_equal_bits():
    arrays = arrays_of(5, 1, 40, 40, (9, 13))
    grad = np.random.RandomState(1).randn(1, 40, 9, 13)
    first, again = (run(symbol_of(5, arrays), arrays, grad) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    for name in arrays:
        np.testing.assert_array_equal(first[1][name], again[1][name])


def test_the_embedding_has_the_original_s_layers():
    symbol = embed(mx.sym.Variable('feature'), 512, 2048)
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(feature=(2, 1024, 3, 4))[0]))
    assert shapes == {
        'feature': (2, 1024, 3, 4), 'em_conv1_weight': (512, 1024, 1, 1), 'em_conv1_bias': (512,),
        'em_conv2_weight': (512, 512, 3, 3), 'em_conv2_bias': (512,),
        'em_conv3_weight': (2048, 512, 1, 1), 'em_conv3_bias': (2048,)}
    assert symbol.infer_shape(feature=(2, 1024, 3, 4))[1] == [(2, 2048, 3, 4)]


@native
def test_no_window_is_copied_where_nothing_is_trained():
    for training in (True, False):
        symbol = aggregate(*(mx.sym.Variable(name) for name in NAMES[:3]), 2, mx.sym.Variable('flow'), training)
        copies = [node for node in json.loads(symbol.tojson())['nodes'] if node['op'] == '_copy']
        assert len(copies) == (4 if training else 0)
