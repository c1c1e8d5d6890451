"""Features of several frames joined by the cosines of their embeddings, against the definition in NumPy."""
import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np
import pytest

from lib.symbols.aggregation import aggregate, cosines, embed, frame_weights
from tests.helpers.aggregation import joined

variable = mx.sym.Variable


@pytest.mark.parametrize('frames,images', [(1, 1), (2, 1), (5, 1), (3, 2)])
def test_the_frames_count_by_their_cosines(frames, images):
    random = np.random.RandomState(frames)
    features, embeddings = random.randn(frames * images, 4, 3, 5), random.randn(frames * images, 6, 3, 5)
    query = random.randn(images, 6, 3, 5)
    wanted, cosine, weights = joined(*(value.reshape((frames, images) + value.shape[1:]) for value in (
        features, embeddings)), query)
    arrays = {'features': mx.nd.array(features), 'embeddings': mx.nd.array(embeddings), 'query': mx.nd.array(query)}

    symbol = cosines(variable('embeddings'), variable('query'), frames)
    inputs = {name: arrays[name] for name in ('embeddings', 'query')}
    found = symbol.eval(**inputs)[0].asnumpy()
    np.testing.assert_allclose(found.reshape(cosine.shape), cosine, atol=1e-6)
    np.testing.assert_allclose(frame_weights(symbol, frames).eval(**inputs)[0].asnumpy()[:, :, 0], weights, atol=1e-6)
    found = aggregate(variable('features'), variable('embeddings'), variable('query'), frames).eval(**arrays)[0]
    np.testing.assert_allclose(found.asnumpy(), wanted, atol=1e-6)


def test_the_embedding_has_the_original_s_layers():
    symbol = embed(variable('feature'), 512, 2048)
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(feature=(2, 1024, 3, 4))[0]))
    assert shapes == {
        'feature': (2, 1024, 3, 4), 'em_conv1_weight': (512, 1024, 1, 1), 'em_conv1_bias': (512,),
        'em_conv2_weight': (512, 512, 3, 3), 'em_conv2_bias': (512,),
        'em_conv3_weight': (2048, 512, 1, 1), 'em_conv3_bias': (2048,)}
    assert symbol.infer_shape(feature=(2, 1024, 3, 4))[1] == [(2, 2048, 3, 4)]
