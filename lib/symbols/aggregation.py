"""Features of several frames joined into one (Flow-Guided Feature Aggregation, arXiv 1703.10025).

The frames' features are carried to one frame, along the flow. At each place every frame counts by how much its
embedding looks like the query, the embedding of the frame that the result is for.
"""
import mxnet as mx

from lib.operator_cxx import loader
from lib.symbols.operators import differentiable, flow_warp


def embed(feature, hidden, embedding_dim):
    """Return the embeddings of feature maps, in which FGFA compares frames (section 3.3 there).

    Call it once in a network, with the maps of all frames along the first axis: its layers have one name each.

    Args:
        feature: [N, C, h, w].
        hidden: channels of em_conv1 and em_conv2.
        embedding_dim: E, channels of em_conv3.

    Returns:
        [N, E, h, w]
    """
    body = feature
    for name, kernel in (('em_conv1', 1), ('em_conv2', 3)):
        body = mx.sym.Convolution(body, num_filter=hidden, kernel=(kernel, kernel), pad=(kernel // 2, kernel // 2),
                                  name=name)
        body = mx.sym.Activation(body, act_type='relu', name=name + '_relu')
    return mx.sym.Convolution(body, num_filter=embedding_dim, kernel=(1, 1), name='em_conv3')


def cosines(embeddings, query, frames):
    """Return the cosine of each frame's embedding with the query, at each place (eq. 4 of FGFA).

    Args:
        embeddings: [M * N, E, h, w]: frame 0 of all N images, frame 1 of all, and so on.
        query: [N, E, h, w].
        frames: M.

    Returns:
        [M * N, 1, h, w]
    """
    embeddings, query = (mx.sym.L2Normalization(value, mode='channel') for value in (embeddings, query))
    return mx.sym.sum(embeddings * mx.sym.tile(query, reps=(frames, 1, 1, 1)), axis=1, keepdims=True, name='cosine')


def frame_weights(cosine, frames):
    """Return by how much each frame counts: the softmax of the cosines over the frames.

    Args:
        cosine: [M * N, 1, h, w], of `cosines`.
        frames: M.

    Returns:
        [M, N, 1, h, w]; sums to 1 over M.
    """
    return mx.sym.softmax(mx.sym.Reshape(cosine, shape=(-4, frames, -1, -2)), axis=0, name='frame_weights')


def aggregate(features, embeddings, query, frames, flow=None, training=True):
    """Return the frames' features joined: the sum of them, times `frame_weights` (eq. 2 of FGFA).

    Args:
        features: [M * N, C, h, w]: frame 0 of all N images, frame 1 of all, and so on.
        embeddings: [M * N, E, h, w], of `features` or carried along with them.
        query: [N, E, h, w], the embeddings that the frames' are compared with.
        frames: M.
        flow: [M * N, 2, h, w] in pixels of this map, x first: features and embeddings are carried along it
            before (see flow_warp); None: they are already.
        training: whether gradients will be computed; where not, no variable is copied.

    Returns:
        [N, C, h, w]
    """
    if loader.load():
        inputs = [symbol for symbol in (features, embeddings, query, flow) if symbol is not None]
        if training:
            inputs = [differentiable(symbol) for symbol in inputs]
        return mx.sym.DFFAggregate(*inputs, frames=frames, has_flow=int(flow is not None), name='aggregated')
    if flow is not None:
        features, embeddings = (flow_warp(maps, flow, name=name) for maps, name in (
            (features, 'warping_feat'), (embeddings, 'warping_embed')))
    weights = frame_weights(cosines(embeddings, query, frames), frames)
    features = mx.sym.Reshape(features, shape=(-4, frames, -1, -2))
    return mx.sym.sum(mx.sym.broadcast_mul(features, weights), axis=0, name='aggregated')
