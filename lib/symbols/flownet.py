"""FlowNet (the simple variant of Dosovitskiy et al., arXiv 1504.06852) with a head that predicts the scale map too.

Its encoder, and others that can take its place: lib/symbols/flow_networks.
"""
import mxnet as mx

from lib.symbols.flow_layers import leaky
from lib.symbols.operators import image_pair
from lib.symbols.registry import FLOW_NETWORKS
from lib.symbols.widths import channels

FLOW_UNIT = 2.5    # cells of 16 pixels for one unit of the predictions
STRIDE = 16        # pixels of those cells
PIXEL_UNIT = 1 / 255.0
# skip connection, level of the flow predicted before, its layer, channels of the deconvolution
DECODER = [('conv5_1', 6, 'Convolution1', 512), ('conv4_1', 5, 'Convolution2', 256),
           ('conv3_1', 4, 'Convolution3', 128), ('conv2', 3, 'Convolution4', 64)]


def flownet(current, reference, feature_dim, width=1.0, shared_reference=False, kind='flownet', training=False,
            stride=STRIDE):
    """Flow and scale map between two sets of mean-subtracted RGB images [N, 3, H, W].

    Args:
        current, reference: symbols of the images. The flow leads from current to reference.
        feature_dim: channels of the feature map to be warped.
        width: factor on the number of channels of every layer but the predictions.
        shared_reference: `reference` is one image, [1, 3, H, W], for all of `current`.
        kind: network.flow, one of lib.symbols.registry.FLOW_NETWORKS; others raise ConfigError.
        training: give the first layer a form whose gradient is faster to compute.
        stride: S, pixels for a cell of the feature map: 16, or 8, the size of the last skip connection. The
            parameters are the same; at 8 the last layers do at every cell what they do at every second one at 16.

    Returns:
        (flow [N, 2, H/S, W/S] in cells, x first; scale [N, feature_dim, H/S, W/S])
    """
    network = FLOW_NETWORKS.get(kind)
    pair = image_pair(current, reference, PIXEL_UNIT, shared_reference)
    features = network.encode(pair, width, training)
    steps = [step for step in DECODER if step[0] in features]
    # An encoder that ends before conv6_1 ends with what is a skip connection else.
    merged = features['conv6_1'] if 'conv6_1' in features else features[steps.pop(0)[0]]
    for skip, level, predictor, filters in steps:
        filters = channels(filters // network.deconvolution_share, width, 'network.flow_width')
        merged = _decode(merged, features[skip], level, predictor, filters)
    if stride == STRIDE:
        # On the CPU, MXNet's gradient of this pooling is too small at a last row or column without a partner. Kept:
        # the original's gradients are the same, and the forward values are right.
        merged = mx.sym.Pooling(merged, pool_type='avg', kernel=(2, 2), stride=(2, 2),
                                pooling_convention='full', name='resize')
    else:
        merged = _mean_around(merged)
    flow = _predict(merged, 'Convolution5', STRIDE // stride) * cells_of_unit(stride)
    # The bias stays at 1 (lr_mult 0): the network learns deviations from an unscaled feature.
    bias = mx.sym.Variable('Convolution5_scale_bias', lr_mult=0.0)
    scale = mx.sym.Convolution(merged, bias=bias, num_filter=feature_dim, kernel=(1, 1), name='Convolution5_scale')
    return flow, scale


def cells_of_unit(stride):
    """Return how many cells of a feature map one unit of the predictions is; stride: pixels for a cell."""
    return FLOW_UNIT * (STRIDE // stride)


def _decode(body, skip, level, predictor, filters):
    """[skip, deconvolution, upsampled flow] one level up, at the size of `skip`."""
    flow = _predict(body, predictor)
    name = 'deconv%d' % (level - 1)
    up = leaky(_double(body, skip, filters, name), name)
    up_flow = _double(flow, skip, 2, 'upsample_flow%dto%d' % (level, level - 1))
    return mx.sym.Concat(skip, up, up_flow, dim=1, name='concat%d' % (level - 1))


def _double(body, like, filters, name):
    """4x4 deconvolution of stride 2, cropped to the size of `like` (2n or 2n - 1).

    Padding 1 takes away the border that the original crops at offset (1, 1).
    """
    body = mx.sym.Deconvolution(body, num_filter=filters, kernel=(4, 4), stride=(2, 2), pad=(1, 1),
                                no_bias=False, name=name)
    return mx.sym.slice_like(body, like, axes=(2, 3), name='crop_' + name)


def _predict(body, name, apart=1):
    """Flow from the cells around each, which are `apart` cells from each other."""
    reach = dict(pad=(apart, apart), dilate=(apart, apart)) if apart > 1 else dict(pad=(1, 1))
    return mx.sym.Convolution(body, num_filter=2, kernel=(3, 3), name=name, **reach)


def _mean_around(body):
    """The mean of 3 x 3 cells: what a mean of 2 x 2 says of a place between them, at the cell itself."""
    body = mx.sym.Pad(body, mode='edge', pad_width=(0, 0, 0, 0, 1, 1, 1, 1))
    return mx.sym.Pooling(body, pool_type='avg', kernel=(3, 3), stride=(1, 1), name='smooth')


def predictions(flow):
    """Return {layer: prediction of flow} inside `flow`, of `flownet`, from coarse to fine.

    Not every flow network has all five.
    """
    inner = flow.get_internals()
    there = set(inner.list_outputs())
    names = [predictor for _, _, predictor, _ in DECODER] + ['Convolution5']
    return {name: inner[name + '_output'] for name in names if name + '_output' in there}
