"""Features of other frames from those of a key frame (Deep Feature Flow, arXiv 1611.07715)."""
import mxnet as mx

from lib.symbols.flownet import FLOW_UNIT, flownet
from lib.symbols.operators import flow_warp


def propagate(feature, current, reference, feature_dim, network, shared=False, scaled=True, training=False):
    """Feature maps of the current frames, from those of the reference frames.

    Args:
        feature: [N, feature_dim, h, w], of `reference`; [1, feature_dim, h, w] with `shared`.
        current: images [N, 3, H, W]; reference: the same, or [1, 3, H, W] with `shared`.
        network: the config's section of that name, for its flow and flow_width.
        scaled: multiply by the predicted scale map.
        training: as of flownet.

    Returns:
        [N, feature_dim, h, w]
    """
    flow, scale = flownet(current, reference, feature_dim, network.flow_width, shared, network.flow, training)
    return flow_warp(feature, flow, scale if scaled else None, name='warping_feat', shared=shared)


def choose(eq_flag, feature, propagated):
    """`feature` for images whose eq_flag [N] is 1 (reference and current frame coincide), else `propagated`."""
    return mx.sym.where(eq_flag, feature, propagated, name='choose_feat')


def cell_flow(symbol):
    """The flow in a network for current frames, to the key frame: [1, 2, h, w], cells of the feature map."""
    return symbol.get_internals()['Convolution5_output'] * FLOW_UNIT


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
    moved = flow_warp(key, cell_flow(symbol), name='warping_image')
    return mx.sym.sqrt(mx.sym.mean(mx.sym.square(moved - current)), name='mismatch')
