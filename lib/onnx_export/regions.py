"""Conversions of what chooses regions and pools them: two operators that no runtime has."""

import numpy as np

from lib.boxes.anchors import base_anchors
from lib.onnx_export.builder import FLOAT, INT64
from lib.onnx_export.converter import converts, unsupported


@converts('_contrib_Proposal')
def proposal(build, node, inputs):
    """Return the regions [R, 5] of one image; build, node, inputs: see converter.py.

    Faster R-CNN (arXiv 1506.01497, section 3.1), as lib/operator_cxx/proposal describes it.
    """
    if node.get('iou_loss', False) or node.get('output_score', False):
        raise unsupported(node, 'iou_loss or output_score')
    probability, deltas, im_info = inputs
    stride = node.get('feature_stride', 16)
    anchors = base_anchors(
        stride, node.get('scales', (4, 8, 16, 32)), node.get('ratios', (0.5, 1, 2))
    )
    corners = _decoded(build, deltas, anchors, stride, im_info)
    score = build.part(probability, 1, len(anchors), 2 * len(anchors))
    score = build.op('Transpose', score, perm=[0, 2, 3, 1])
    score = _without_border(build, score, stride, im_info)
    if node.get('rpn_min_size', 16) > 0:
        corners, score = _without_small(
            build, corners, score, node.get('rpn_min_size', 16), im_info
        )
    boxes = build.op(
        'Reshape',
        build.op('Concat', *(build.op('Unsqueeze', side, [-1]) for side in corners), axis=-1),
        [-1, 4],
    )
    chosen = _chosen(build, boxes, build.op('Reshape', score, [-1]), node)
    return build.op('Pad', chosen, [0, 1, 0, 0])


def _decoded(build, deltas, anchors, stride, im_info):
    """x1, y1, x2, y2, each [1, h, w, A], of the anchors moved by `deltas` [1, 4A, h, w] and
    clipped to the image.
    """
    count = len(anchors)
    moves = build.op(
        'Reshape',
        build.op('Transpose', deltas, perm=[0, 2, 3, 1]),
        build.join(1, build.size(deltas, 2), build.size(deltas, 3), count, 4),
    )
    dx, dy, dw, dh = (
        build.op('Squeeze', build.part(moves, 4, place, place + 1), [4]) for place in range(4)
    )
    near, far = [], []
    for axis, shape, place, move, grow in (
        (3, [1, 1, -1, 1], 0, dx, dw),
        (2, [1, -1, 1, 1], 1, dy, dh),
    ):
        size = anchors[:, place + 2] - anchors[:, place] + 1
        middle = anchors[:, place] + 0.5 * (size - 1)
        cells = build.op(
            'Mul', build.op('Reshape', build.count(build.size(deltas, axis)), shape), float(stride)
        )
        centre = build.op('Add', cells, middle.astype(np.float32))
        centre = build.op('Add', build.op('Mul', move, size.astype(np.float32)), centre)
        grown = build.op('Mul', build.op('Exp', grow), size.astype(np.float32))
        half = build.op('Mul', build.op('Sub', grown, 1.0), 0.5)
        last = build.op('Sub', build.part(im_info, 1, 1 - place, 2 - place), 1.0)
        for side, corners in (('Sub', near), ('Add', far)):
            corners.append(
                build.op('Max', build.op('Min', build.op(side, centre, half), last), 0.0)
            )
    return near + far


def _without_border(build, score, stride, im_info):
    """`score` [1, h, w, A], -1 in cells that lie beyond the image."""
    for place, axis, shape in ((0, 1, [1, -1, 1, 1]), (1, 2, [1, 1, -1, 1])):
        side = build.part(im_info, 1, place, place + 1)
        cells = build.op('Floor', build.op('Div', side, float(stride)))
        cell = build.op('Reshape', build.count(build.size(score, axis)), shape)
        score = build.op('Where', build.op('GreaterOrEqual', cell, cells), -1.0, score)
    return score


def _without_small(build, corners, score, smallest, im_info):
    """(corners, score), -1 where a side is below `smallest` pixels of the frame.

    Such boxes grow by half of that on all sides, as MXNet's: they are chosen where too few others
    are left.
    """
    least = build.op('Mul', build.part(im_info, 1, 2, 3), float(smallest))
    sides = [
        build.op('Add', build.op('Sub', corners[place + 2], corners[place]), 1.0)
        for place in (0, 1)
    ]
    small = build.op('Or', *(build.op('Less', side, least) for side in sides))
    half = build.op('Where', small, build.op('Mul', least, 0.5), 0.0)
    grown = [
        build.op('Sub' if place < 2 else 'Add', corner, half)
        for place, corner in enumerate(corners)
    ]
    return grown, build.op('Where', small, -1.0, score)


def _chosen(build, boxes, score, node):
    """rpn_post_nms_top_n of `boxes` [n, 4], the best by `score` [n]: [R, 4], repeated from the
    start where fewer remain.
    """
    most, wanted = node.get('rpn_pre_nms_top_n', 6000), node.get('rpn_post_nms_top_n', 300)
    count = build.size(score, 0)
    if most > 0:
        count = build.op('Min', count, [most])
    best, order = build.ops('TopK', score, count, outputs=['', ''], axis=0, largest=1, sorted=1)
    boxes = build.op('Gather', boxes, order, axis=0)
    # Corners are inclusive pixels, NonMaxSuppression's are not: one more at the far ends gives the
    # same overlaps.
    whole = build.op('Add', boxes, np.array([0, 0, 1, 1], np.float32))
    kept = build.op(
        'NonMaxSuppression',
        build.op('Unsqueeze', whole, [0]),
        build.op('Unsqueeze', best, [0, 1]),
        [wanted],
        [float(node.get('threshold', 0.7))],
    )
    kept = build.op('Squeeze', build.part(kept, 1, 2, 3), [1])
    place = build.op(
        'Mod', np.arange(wanted, dtype=np.int64), build.op('Max', build.size(kept, 0), [1])
    )
    # The last entry is there for images in which no number is finite, where none is kept.
    return build.op(
        'Gather',
        boxes,
        build.op('Gather', build.op('Concat', kept, [0], axis=0), place, axis=0),
        axis=0,
    )


@converts('_contrib_PSROIPooling')
def psroi_pooling(build, node, inputs):
    """Return position-sensitive pooling, [R, D, P, P]; build, node, inputs: see converter.py.

    R-FCN (arXiv 1605.06409, eq. 1), as lib/operator_cxx/psroi_pooling describes it, of one image.
    Each bin is four look-ups
    in a table of sums, which two products with triangular matrices make.
    """
    bins, depth = node.get('pooled_size'), node.get('output_dim')
    if node.get('group_size', 0) not in (0, bins):
        raise unsupported(node, 'a group_size other than pooled_size')
    data, rois = inputs
    height, width = (build.size(data, axis) for axis in (2, 3))
    table, mean = _sums(build, data, height, width, bins * bins, depth)
    sides = [
        _bin_sides(build, rois, place, node, length) for place, length in ((2, height), (1, width))
    ]
    (top, bottom), (left, right) = (
        [build.op('Unsqueeze', side, [axis]) for side in pair] for pair, axis in zip(sides, (2, 1))
    )
    cells = build.op('Mul', build.op('Sub', bottom, top), build.op('Sub', right, left))
    total = None
    for row, column, operator in (
        (bottom, right, None),
        (top, right, 'Sub'),
        (bottom, left, 'Sub'),
        (top, left, 'Add'),
    ):
        corner = build.op('Gather', table, _place(build, row, column, height, width, bins), axis=0)
        total = corner if total is None else build.op(operator, total, corner)
    cells = build.op('Unsqueeze', build.op('Cast', cells, to=FLOAT), [3])
    pooled = build.op('Add', build.op('Div', total, build.op('Max', cells, 1.0)), mean)
    pooled = build.op('Where', build.op('Greater', cells, 0.0), pooled, 0.0)
    return build.op('Transpose', pooled, perm=[0, 3, 1, 2])


def _sums(build, data, height, width, groups, depth):
    """Table [groups * (h + 1) * (w + 1), depth] of sums over all cells above and to the left, and
    what was taken off before.

    That is the mean of each channel, [bins, bins, depth]: sums then stay small, and float32 exact
    enough.
    """
    flat = build.op('Transpose', build.op('Reshape', data, [depth, -1]), perm=[1, 0])
    flat = build.op('Reshape', flat, [groups, -1, depth])
    mean = build.op('ReduceMean', flat, axes=[1], keepdims=1)
    rows = build.op('Reshape', build.op('Sub', flat, mean), build.join(groups, height, -1))
    rows = build.op('MatMul', _triangle(build, height), rows)
    columns = build.op('Reshape', rows, build.join(-1, width, depth))
    columns = build.op('MatMul', _triangle(build, width), columns)
    side = int(round(groups**0.5))
    return build.op('Reshape', columns, [-1, depth]), build.op(
        'Reshape', mean, [1, side, side, depth]
    )


def _triangle(build, size):
    """[size + 1, size], 1 where the column is less than the row, else 0."""
    more = build.op('Add', size, 1)
    row, column = (
        build.op('Unsqueeze', build.count(each), [axis]) for each, axis in ((more, 1), (size, 0))
    )
    return build.op('Cast', build.op('Less', column, row), to=FLOAT)


def _bin_sides(build, rois, place, node, length):
    """Where the bins begin and end along one axis, in cells: two int64 [R, P]. place: column of
    the near corner in rois.
    """
    scale, bins = float(node.get('spatial_scale')), node.get('pooled_size')
    near, far = (
        build.op('Floor', build.op('Add', build.part(rois, 1, each, each + 1), 0.5))
        for each in (place, place + 2)
    )
    start = build.op('Mul', near, scale)
    end = build.op('Mul', build.op('Add', far, 1.0), scale)
    step = build.op('Div', build.op('Max', build.op('Sub', end, start), 0.1), float(bins))
    sides = []
    for first, rounding in ((0, 'Floor'), (1, 'Ceil')):
        bin_number = np.arange(first, first + bins, dtype=np.float32)[None]
        side = build.op(rounding, build.op('Add', build.op('Mul', step, bin_number), start))
        side = build.op('Max', build.op('Min', side, build.op('Cast', length, to=FLOAT)), 0.0)
        sides.append(build.op('Cast', side, to=INT64))
    # A bin that ends before it begins has no cells, and no negative number of them.
    return sides[0], build.op('Max', *sides)


def _place(build, row, column, height, width, bins):
    """Rows of the table, int64 [R, P, P], for corners at `row` [R, P, 1] and `column` [R, 1, P] of
    each bin's own map.
    """
    across, down = build.op('Add', width, 1), build.op('Add', height, 1)
    own_map = build.op(
        'Mul',
        np.arange(bins * bins, dtype=np.int64).reshape(1, bins, bins),
        build.op('Mul', across, down),
    )
    return build.op('Add', build.op('Add', build.op('Mul', row, across), column), own_map)
