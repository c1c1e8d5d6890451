"""Features of other frames from those of key frames (Deep Feature Flow, arXiv 1611.07715)."""
import mxnet as mx

from lib.symbols.aggregation import aggregate, cosines, embed
from lib.symbols.flownet import cells_of_unit, flownet, settings_of, whole_flow
from lib.symbols.operators import flow_warp

EMBED_SHARE = 4     # channels of the embedding for one of the layers before it
EMBEDDING = tuple('em_conv%d_%s' % (layer, kind) for layer in (1, 2, 3) for kind in ('weight', 'bias'))

def propagate(feature, current, reference, feature_dim, network, shared=False, scaled=True, training=False):
    """Feature maps of the current frames, from those of the reference frames.

    Args:
        feature: [N, feature_dim, h, w], of `reference`; [1, feature_dim, h, w] with `shared`.
        current: images [N, 3, H, W]; reference: the same, or [1, 3, H, W] with `shared`.
        network: the config's section of that name, for its settings of the flow.
        scaled: multiply by the predicted scale map.
        training: as of flownet.

    Returns:
        [N, feature_dim, h, w]
    """
    flow, scale = flownet(current, reference, feature_dim, shared_reference=shared, training=training,
                          **settings_of(network))
    return flow_warp(feature, flow, scale if scaled else None, name='warping_feat', shared=shared)


def propagate_in_steps(recent, old, images, feature_dim, network, joined):
    """The feature of the labelled frames, by way of two key frames.

    The old key frames' features are carried to the recent ones and joined with theirs, the result is carried to the
    labelled frames: one key frame of sparsely recursive feature aggregation (Zhu et al., arXiv 1711.11577).

    Args:
        recent, old: features [N, feature_dim, h, w] of the key frames.
        images: (labelled, recent, old), [N, 3, H, W] each.
        feature_dim, network: as of propagate.
        joined: (carried old features, recent features) -> features of the recent key frames.

    Returns:
        (features of the recent key frames, features of the labelled frames), [N, feature_dim, h, w] each
    """
    labelled_image, recent_image, old_image = images
    # One flow network, which sees both steps: its layers have one name each.
    flow, scale = (_halves(both) for both in flownet(
        mx.sym.Concat(recent_image, labelled_image, dim=0), mx.sym.Concat(old_image, recent_image, dim=0),
        feature_dim, training=True, **settings_of(network)))
    feature = joined(flow_warp(old, flow[0], scale[0], name='warping_old'), recent)
    return feature, flow_warp(feature, flow[1], scale[1], name='warping_feat')


def propagate_from_both(features, current, references, share, feature_dim, network, scaled=True, by_cosine=False):
    """Feature maps of a frame between two key frames, from those of both.

    Each counts by how near its key frame is in time, and with `by_cosine` also by how much what is carried from it
    looks like what is carried from the first one, the nearer: FGFA's weights (arXiv 1703.10025, eq. 4), times those.

    Args:
        features: [2, feature_dim, h, w], of `references`.
        current: image [1, 3, H, W]; references: [2, 3, H, W].
        share: [1], by how much the second one counts by its distance, 0 to 1; the first one has the rest.
        feature_dim, network, scaled: as of propagate.
        by_cosine: the network has embeddings.

    Returns:
        [1, feature_dim, h, w]
    """
    carried = propagate(features, mx.sym.Concat(current, current, dim=0), references, feature_dim, network,
                        scaled=scaled)
    share = mx.sym.Reshape(share, shape=(1, 1, 1, 1))
    if by_cosine:
        embeddings = _embed(carried, network)
        # Less 1, the first one's cosine with itself: no sharpness makes numbers too large.
        likeness = (cosines(embeddings, _halves(embeddings)[0], 2) - 1) * network.EMBED_SHARPNESS
        near, far = _halves(mx.sym.exp(likeness))
        far = mx.sym.broadcast_mul(far, share)
        share = far / (mx.sym.broadcast_mul(near, 1 - share) + far)
    # Not a split, which has two outputs: ONNX files are made of nodes of one.
    near, far = (mx.sym.slice_axis(carried, axis=0, begin=side, end=side + 1) for side in (0, 1))
    return _mixed(near, far, share, 'both_sides')


def join_recursively(carried, own, network):
    """The feature of key frames joined with what is carried from the key frames before (arXiv 1711.11577).

    At each place both count by the softmax of the cosines of their embeddings with that of `own`, times
    EMBED_SHARPNESS. By the paper's 1 the carried one counts for 0.12 at least; the larger, the sooner it does not
    count where it differs.

    Args:
        carried, own: [N, C, h, w].
        network: the config's section of that name, for its EMBED_DIM and EMBED_SHARPNESS.

    Returns:
        [N, C, h, w]
    """
    features = mx.sym.Concat(carried, own, dim=0)
    embeddings = _embed(features, network)
    old, query = _halves(embeddings)
    if network.EMBED_SHARPNESS == 1:
        return aggregate(features, embeddings, query, 2)
    # The softmax of two numbers, of which that of `own` is a cosine of 1.
    share = mx.sym.sigmoid((cosines(old, query, 1) - 1) * network.EMBED_SHARPNESS)
    return _mixed(own, carried, share, 'joined')


def _embed(features, network):
    # The paper's 2048 have 512 channels before them.
    return embed(features, network.EMBED_DIM // EMBED_SHARE, network.EMBED_DIM)


def _mixed(near, far, share, name):
    """`near` and `far`, which has `share` of the weight."""
    # Not a sum over the axis of both, which takes MXNet as long as the rest of it.
    return mx.sym.elemwise_add(mx.sym.broadcast_mul(near, 1 - share), mx.sym.broadcast_mul(far, share), name=name)


def _halves(both):
    return mx.sym.split(both, axis=0, num_outputs=2)


def choose(eq_flag, feature, propagated, name='choose_feat'):
    """`feature` for images whose eq_flag [N] is 1 (reference and current frame coincide), else `propagated`.

    name: of the layer.
    """
    return mx.sym.where(eq_flag, feature, propagated, name=name)


def cell_flow(symbol, stride):
    """The flow in a network for current frames, to the key frame: [1, 2, h, w], cells of the feature map.

    symbol: the network; stride: pixels for a cell.
    """
    inner = symbol.get_internals()
    return inner[whole_flow(inner.list_outputs())] * cells_of_unit(stride)


def mismatch(symbol, stride):
    """How badly the key frame's image, moved along the flow, fits the current one in a network for current frames: [1].

    Root mean square difference, in grey levels, of both images averaged over the cells of the feature map.

    Args:
        symbol: the network, with inputs data and data_key.
        stride: pixels for one cell of the feature map.
    """
    inner = symbol.get_internals()
    cell = dict(pool_type='avg', kernel=(stride, stride), stride=(stride, stride), pooling_convention='full')
    current, key = (mx.sym.Pooling(inner[name], **cell) for name in ('data', 'data_key'))
    moved = flow_warp(key, cell_flow(symbol, stride), name='warping_image')
    return mx.sym.sqrt(mx.sym.mean(mx.sym.square(moved - current)), name='mismatch')
