"""FlowNet (the simple variant of Dosovitskiy et al., arXiv 1504.06852) with a head that predicts the scale map too.

Its encoder, and others that can take its place: lib/symbols/flow_networks.
"""
import functools
import json
import re

import mxnet as mx

from lib.symbols.flow_layers import leaky
from lib.symbols.operators import flow_warp, image_pair
from lib.symbols.registry import FLOW_NETWORKS
from lib.symbols.widths import channels

FLOW_UNIT = 2.5    # cells of 16 pixels for one unit of the predictions
STRIDE = 16        # pixels of those cells
PIXEL_UNIT = 1 / 255.0
INPUT_SCALE = 0.5  # sides of the images that the network sees, of the images'
LAST, PREDICTED = 4, 8      # pixels of these for a place of the last skip connection, and of those it predicts from
SUM = 'flow_of_pass'      # first in the names of what a pass and those before it have found together
FIRST_FLOW = 'Convolution5_output'
# skip connection, level of the flow predicted before, its layer, channels of the deconvolution
DECODER = [('conv5_1', 6, 'Convolution1', 512), ('conv4_1', 5, 'Convolution2', 256),
           ('conv3_1', 4, 'Convolution3', 128), ('conv2', 3, 'Convolution4', 64)]


def flownet(current, reference, feature_dim, width=1.0, shared_reference=False, kind='flownet', training=False,
            stride=STRIDE, passes=1, input_scale=INPUT_SCALE):
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
        passes: how many such networks look, one behind the other. From the second on, whose layers are named
            pass2_..., they see the reference images as fetched along the flow found so far, and add what is left of
            the motion (as FlowNet 2.0, arXiv 1612.01925, section 4). The scale map is the last one's.
        input_scale: sides of what it sees, of the images': 0.5, or 0.25, where a quarter of the places are left. The
            parameters are the same, and so is what one unit of the predictions is.

    Returns:
        (flow [N, 2, H/S, W/S] in cells, x first; scale [N, feature_dim, H/S, W/S])
    """
    cell = int(stride * input_scale)
    estimate = functools.partial(_estimate, network=FLOW_NETWORKS.get(kind), feature_dim=feature_dim, width=width,
                                 training=training, cell=cell)
    pair = image_pair(current, reference, PIXEL_UNIT, shared_reference, again=input_scale < INPUT_SCALE)
    flow, scale = estimate(pair)
    for number in range(2, passes + 1):
        again = _renamed(mx.sym.Group(list(estimate(mx.sym.Variable('pair')))), 'pass%d_' % number)
        rest, scale = again(pair=_fetched(pair, flow, cell, cells_of_unit(stride)))
        flow = mx.sym.elemwise_add(flow, rest, name='%s%d' % (SUM, number))
    return flow * cells_of_unit(stride), scale


def settings_of(network):
    """Return {argument of flownet: value}, of `network`, the config's section of that name."""
    return dict(width=network.flow_width, kind=network.flow, stride=network.RCNN_FEAT_STRIDE,
                passes=network.FLOW_PASSES, input_scale=network.FLOW_INPUT_SCALE)


def _renamed(symbol, prefix):
    """`symbol` of the variable `pair` with `prefix` before the names of its layers and of their parameters."""
    tree = json.loads(symbol.tojson(remove_amp_cast=False))
    for node in tree['nodes']:
        if node['name'] != 'pair':
            node['name'] = prefix + node['name']
    return mx.sym.load_json(json.dumps(tree))


def _estimate(pair, network, feature_dim, width, training, cell):
    """(flow in units of the predictions, scale map) of image pairs [N, 6, h, w]; cell: pixels of these for a cell."""
    features = network.encode(pair, width, training)
    steps = [step for step in DECODER if step[0] in features]
    # An encoder that ends before conv6_1 ends with what is a skip connection else.
    merged = features['conv6_1'] if 'conv6_1' in features else features[steps.pop(0)[0]]
    for skip, level, predictor, filters in steps:
        filters = channels(filters // network.deconvolution_share, width, 'network.flow_width')
        merged = _decode(merged, features[skip], level, predictor, filters)
    if cell == PREDICTED:
        # On the CPU, MXNet's gradient of this pooling is too small at a last row or column without a partner. Kept:
        # the original's gradients are the same, and the forward values are right.
        merged = mx.sym.Pooling(merged, pool_type='avg', kernel=(2, 2), stride=(2, 2),
                                pooling_convention='full', name='resize')
    else:
        merged = _mean_around(merged)
        if cell < LAST:
            # Finer than what is decoded: linear between its places. Of the pair only the size counts.
            places = mx.sym.slice_axis(pair, axis=1, begin=0, end=1)
            places = mx.sym.Pooling(places, pool_type='max', kernel=(1, 1), stride=(cell, cell), name='cells')
            merged = _enlarged(merged, LAST // cell, places, 'enlarge_cells', 'smooth_cells', 'crop_cells')
    flow = _predict(merged, 'Convolution5', PREDICTED // cell)
    # The bias stays at 1 (lr_mult 0): the network learns deviations from an unscaled feature.
    bias = mx.sym.Variable('Convolution5_scale_bias', lr_mult=0.0)
    scale = mx.sym.Convolution(merged, bias=bias, num_filter=feature_dim, kernel=(1, 1), name='Convolution5_scale')
    return flow, scale


def _fetched(pair, flow, cell, cells):
    """Image pairs [N, 6, h, w] whose reference is fetched along `flow`: its unit is `cells`, a cell `cell` pixels."""
    flow = mx.sym.BlockGrad(flow) * (cells * cell)
    flow = _enlarged(flow, cell, pair, 'enlarge', 'smooth_flow', 'crop_flow')
    current, reference = (mx.sym.slice_axis(pair, axis=1, begin=begin, end=begin + 3) for begin in (0, 3))
    return mx.sym.Concat(current, flow_warp(reference, flow, name='fetch_images'), dim=1, name='fetched_pair')


def whole_flow(names):
    """Return the name of the network's flow, what all passes have found, among `names` of a network's outputs.

    In units of the predictions; '' where there is none.
    """
    sums = [name for name in names if re.match(SUM + '[0-9]+_output$', name)]
    return max(sums, key=lambda name: int(re.sub('[^0-9]', '', name))) if sums else (
        FIRST_FLOW if FIRST_FLOW in names else '')


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


def _enlarged(body, factor, like, *names):
    """`body` of `factor` times the size, cropped to that of `like`; names: of the three layers."""
    # Each cell's value at its pixels, then the mean around each: linear between the middles of cells.
    enlarge, smooth, crop = names
    body = mx.sym.UpSampling(body, scale=factor, sample_type='nearest', name=enlarge)
    body = mx.sym.Pad(body, mode='edge', pad_width=(0, 0, 0, 0) + (factor // 2,) * 4)
    body = mx.sym.Pooling(body, pool_type='avg', kernel=(factor + 1, factor + 1), stride=(1, 1), name=smooth)
    return mx.sym.slice_like(body, like, axes=(2, 3), name=crop)


def _mean_around(body):
    """The mean of 3 x 3 cells: what a mean of 2 x 2 says of a place between them, at the cell itself."""
    body = mx.sym.Pad(body, mode='edge', pad_width=(0, 0, 0, 0, 1, 1, 1, 1))
    return mx.sym.Pooling(body, pool_type='avg', kernel=(3, 3), stride=(1, 1), name='smooth')


def predictions(flow):
    """Return {layer: prediction of flow} inside `flow`, of `flownet`: from coarse to fine, then the sums of passes.

    Not every flow network has all five of a pass.
    """
    inner = flow.get_internals()
    there = [name[:-len('_output')] for name in inner.list_outputs() if name.endswith('_output')]
    names = [predictor for _, _, predictor, _ in DECODER] + ['Convolution5']
    names = [name for name in names if name in there] + [name for name in there if name.startswith(SUM)]
    return {name: inner[name + '_output'] for name in names}
