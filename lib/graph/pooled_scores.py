"""R-FCN's heads with the pooling first, by the native operator DFFPooledScores.

A head makes a score map for each bin and output by a 1x1 convolution, takes the mean of each bin of a
region in its map, and adds up the bins. All of these are linear: the scores are the same where each
bin's mean is taken of the feature, once for all heads, and multiplied by the weights of that bin
(lib/operator_cxx/pooled_scores/README.md).
"""
from collections import namedtuple

import numpy as np

from lib.graph.graph import Node, array_of, has_own_params

PANEL, LANES = 16, 8     # as in lib/operator_cxx/pooled_scores/element.h

# A convolution, a position-sensitive pooling, and the sum over its bins times `factor`; result: the node of that.
Head = namedtuple('Head', 'convolution pooling factor result')


def use_pooled_scores(graph, arguments, sizes, int8=False):
    """Let DFFPooledScores compute the heads that read one feature for the same regions, where it is faster.

    It computes in float32 in a network of int8, too.

    Args:
        graph: Graph of the network; changed.
        arguments: {name: array} of its parameters; changed.
        sizes: {node name: shape of its output}.
        int8: the convolutions will be in int8.
    """
    users, together = graph.users(), {}
    for node in graph.nodes():
        head = _head(node, users, sizes)
        if head and has_own_params(head.convolution, users, arguments):
            same = (head.convolution.inputs[0], node.inputs[1], node.get('spatial_scale'), node.get('pooled_size'))
            together.setdefault(same, []).append(head)
    for (feature, regions, _, _), heads in together.items():
        outputs = [head.pooling.get('output_dim') for head in heads]
        side = heads[0].pooling.get('pooled_size')
        if pays(sizes[feature[0].name], sizes[regions[0].name][0], sum(outputs), side, int8):
            _replace(graph, arguments, sizes, heads, outputs)


def _head(node, users, sizes):
    """The Head whose pooling is `node`, or None."""
    if node.op != 'DFFPSROIPooling' or node.input(0).op != 'Convolution':
        return None
    conv, side, outputs = node.input(0), node.get('pooled_size'), node.get('output_dim')
    plain = (conv.get('kernel') == (1, 1) and conv.get('stride', (1, 1)) == (1, 1) and conv.get('pad', (0, 0)) == (0, 0)
             and conv.get('num_group', 1) == 1 and users[conv] == [node])
    chain = [node]
    while plain and len(users[chain[-1]]) == 1 and users[chain[-1]][0] != 'head' and len(chain) < 4:
        chain += users[chain[-1]]
    if [each.op for each in chain[1:]] != ['Reshape', 'dot', 'Reshape']:
        return None
    bins, product, result = chain[1:]
    regions, mean = sizes[node.name][0], product.input(1)
    fits = (product.input(0) is bins and mean.op == '_full' and sizes[bins.name] == (regions * outputs, side * side)
            and sizes[mean.name] == (side * side, 1) and sizes[result.name] == (regions, outputs)
            # Nothing may be turned around on the way, and any number of regions must fit.
            and bins.get('shape') == (-1, side * side) and result.get('shape') == (-1, outputs))
    return Head(conv, node, float(mean.get('value')), result) if fits else None


def pays(feature, regions, outputs, side, int8=False):
    """Return whether DFFPooledScores takes clearly less time than 1x1 convolutions and the pooling of their maps.

    Time in multiply-adds of oneDNN's convolutions in float32. What else costs was measured on AVX-512
    (docs/lab/2026-11-cpu-speed.md).

    Args:
        feature: its shape (N, C, h, w).
        regions: their number, of all images.
        outputs: scores of a region, of all heads.
        side: bins along each side of a region.
        int8: the convolutions are in int8, and their maps are made float.
    """
    images, channels, height, width = feature
    cells, bins = images * height * width, regions * side ** 2
    cell = channels / 3.5 + 66 if int8 else channels + 33
    # A bin of a map costs much, as single values that lie far apart are read and written.
    maps = outputs * (side ** 2 * cells * cell + bins * 230)
    pooled = channels * (cells * 54 + bins * (_up(outputs, PANEL) * 1.1 + 30))
    return pooled < 0.9 * maps


def _replace(graph, arguments, sizes, heads, outputs):
    """Put one DFFPooledScores in the place of `heads`, of `outputs` scores each."""
    pooling = heads[0].pooling
    feature, side = heads[0].convolution.inputs[0], pooling.get('pooled_size')
    channels, first = sizes[feature[0].name][1], 0
    if feature[0].op == 'slice_axis' and feature[0].get('axis') == 1:
        feature, first = feature[0].inputs[0], feature[0].get('begin')     # read where they are, not copied
    parts = [_per_bin(head, arguments, side) for head in heads]
    name = '_'.join(head.convolution.name for head in heads)
    values = {name + '_pooled': packed(np.concatenate([weight for weight, _ in parts], axis=1)),
              name + '_bias': np.ascontiguousarray(np.concatenate([bias for _, bias in parts], axis=1))}
    arguments.update(values)
    given = [(Node('null', key, {'__shape__': str(value.shape)}), 0) for key, value in values.items()]
    attributes = dict(spatial_scale=pooling.attributes['spatial_scale'], pooled_size=side, outputs=sum(outputs),
                      first_channel=first, channels=channels)
    scores = Node('DFFPooledScores', name, {key: str(value) for key, value in attributes.items()},
                  [feature, pooling.inputs[1]] + given)
    ends = np.cumsum(outputs)
    for head, begin, end in zip(heads, ends - outputs, ends):
        part = {'axis': '1', 'begin': str(begin), 'end': str(end)}
        graph.replace(head.result, Node('slice_axis', head.result.name, part, [(scores, 0)]))


def _per_bin(head, arguments, side):
    """Weight [side^2, outputs, C] and bias [side^2, outputs] of every bin, times the factor of the sum; in float32."""
    conv, group, outputs = head.convolution, head.pooling.get('group_size'), head.pooling.get('output_dim')
    weight = array_of(arguments, conv.input(1).name).reshape(outputs, group ** 2, -1)
    has_bias = not conv.get('no_bias', False)
    bias = array_of(arguments, conv.input(2).name) if has_bias else np.zeros(outputs * group ** 2, np.float32)
    place = np.minimum(np.arange(side) * group // side, group - 1)       # of the grid, that a bin reads
    places = (place[:, None] * group + place).ravel()
    factor = np.float32(head.factor)
    return weight[:, places].transpose(1, 0, 2) * factor, bias.reshape(outputs, -1)[:, places].T * factor


def packed(weight):
    """Weight [bins, outputs, C] as DFFPooledScores takes it: float32 [chunks of C, panels of outputs, bins * 8, 16]."""
    bins, outputs, channels = weight.shape
    wide = np.zeros((bins, _up(outputs, PANEL), _up(channels, LANES)), np.float32)
    wide[:, :outputs, :channels] = weight
    wide = wide.reshape(bins, -1, PANEL, wide.shape[2] // LANES, LANES).transpose(3, 1, 0, 4, 2)
    return np.ascontiguousarray(wide).reshape(wide.shape[0], wide.shape[1], bins * LANES, PANEL)


def unpacked(weight, outputs, channels):
    """What `packed` made `weight` of: [bins, outputs, channels]."""
    chunks, panels, depth, _ = weight.shape
    wide = weight.reshape(chunks, panels, depth // LANES, LANES, PANEL).transpose(2, 1, 4, 0, 3)
    return wide.reshape(depth // LANES, panels * PANEL, chunks * LANES)[:, :outputs, :channels]


def _up(number, multiple):
    return -(-number // multiple) * multiple
