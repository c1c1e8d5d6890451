"""Training targets of the R-FCN head, composed of built-in operators (Fast R-CNN, arXiv 1504.08083, section 2.3)."""
import mxnet as mx

from lib.boxes.transform import target_normalisation
from lib.operator_cxx import loader
from lib.symbols.arithmetic import constant, gather_rows, order_first, rank, row_index
from dff.errors import ConfigError

FAR = 2.0 ** 18   # more than any number of RoIs, and small enough for float32 to count up to a few times it


def rcnn_targets(rois, gt_boxes, cfg):
    """Choose RoIs among proposals and ground-truth boxes, and give each a class and a box target.

    A RoI is foreground where its best overlap is FG_THRESH or more, background in [BG_THRESH_LO,
    BG_THRESH_HI). BATCH_ROIS -1 keeps all: foreground, background, then the rest, each in the
    order proposals, boxes. Otherwise every image keeps BATCH_ROIS / BATCH_IMAGES drawn with
    MXNet's random numbers, at most FG_FRACTION of them foreground. RoIs that are neither (kept to
    fill up) and padding boxes have label -1.

    Args:
        rois: [B * n, 5], image index, x1 y1 x2 y2.
        gt_boxes: [B, G, 5], x1 y1 x2 y2 class; class -1 marks padding.
        cfg: the settings; those named here are of TRAIN.

    Returns:
        (rois [B * m, 5], label [B * m], bbox_target [B * m, 4K], bbox_weight [B * m, 4K]), K = 2
        if CLASS_AGNOSTIC else NUM_CLASSES; m = n + G, or BATCH_ROIS / BATCH_IMAGES.

    Raises:
        ConfigError: BATCH_ROIS cannot be shared by the images, or is more than the proposals.
    """
    train = cfg.TRAIN
    share = _share(train)
    if loader.load():
        return _native(rois, gt_boxes, cfg, share)
    gt_boxes = mx.sym.BlockGrad(gt_boxes)
    boxes = mx.sym.slice_axis(mx.sym.BlockGrad(rois), axis=1, begin=1, end=5)
    boxes = mx.sym.Reshape(boxes, shape=(train.BATCH_IMAGES, -1, 4))
    real = _column(gt_boxes, 4) >= 0
    usable = mx.sym.Concat(mx.sym.ones_like(_column(boxes, 0)), real, dim=1)
    boxes = mx.sym.Concat(boxes, mx.sym.slice_axis(gt_boxes, axis=2, begin=0, end=4), dim=1)

    overlap = mx.sym.broadcast_mul(_overlaps(boxes, gt_boxes), mx.sym.expand_dims(real, axis=1))
    best = mx.sym.max(overlap, axis=2)
    matched = gather_rows(gt_boxes, mx.sym.argmax(overlap, axis=2))
    foreground = (best >= train.FG_THRESH) * usable
    background = (best < train.BG_THRESH_HI) * (best >= train.BG_THRESH_LO) * (1 - foreground) * usable
    foreground, order = _choose(foreground, background, train, share)
    label = foreground * (_column(matched, 4) + 1) + background - 1
    table = mx.sym.Concat(boxes, mx.sym.expand_dims(label, axis=2), matched, dim=2)
    table = gather_rows(table, order)
    image = mx.sym.expand_dims(row_index(order), axis=2)
    rois = mx.sym.Concat(image, mx.sym.slice_axis(table, axis=2, begin=0, end=4), dim=2)
    label = mx.sym.Reshape(_column(table, 4), shape=(-1,), name='label_rois')
    target, weight = _box_targets(table, label, cfg)
    return mx.sym.Reshape(rois, shape=(-1, 5), name='rois_chosen'), label, target, weight


def _share(train):
    """RoIs that every image keeps, 0: all."""
    if train.BATCH_ROIS == -1:
        return 0
    share, rest = divmod(train.BATCH_ROIS, train.BATCH_IMAGES)
    if rest or not 0 < share <= train.RPN_POST_NMS_TOP_N:
        raise ConfigError(
            'TRAIN.BATCH_ROIS is %d; it must be -1 (all), or a multiple of BATCH_IMAGES (%d) of at most '
            'RPN_POST_NMS_TOP_N (%d) an image'
            % (train.BATCH_ROIS, train.BATCH_IMAGES, train.RPN_POST_NMS_TOP_N))
    return share


def _native(rois, gt_boxes, cfg, share):
    """The same from lib/operator_cxx/rcnn_targets, several times faster."""
    train = cfg.TRAIN
    means, stds = target_normalisation(train)
    inputs = [rois, gt_boxes]
    if share:  # MXNet draws the numbers that decide: its seed counts
        proposal = _column(mx.sym.Reshape(rois, shape=(train.BATCH_IMAGES, -1, 5)), 0)
        inputs.append(mx.sym.random.uniform_like(mx.sym.Concat(proposal, _column(gt_boxes, 0), dim=1)))
    outputs = mx.sym.DFFRCNNTargets(
        *inputs, images=train.BATCH_IMAGES, kept=share,
        foreground_limit=round(train.FG_FRACTION * share),
        sets=2 if cfg.CLASS_AGNOSTIC else cfg.dataset.NUM_CLASSES, agnostic=int(cfg.CLASS_AGNOSTIC),
        foreground=train.FG_THRESH, background_high=train.BG_THRESH_HI,
        background_low=train.BG_THRESH_LO,
        means=means, stds=stds,
        weights=tuple(train.BBOX_WEIGHTS), name='rcnn_targets_native')
    names = ('rois_chosen', 'label_rois', 'bbox_target_rois', 'bbox_weight_rois')
    return tuple(mx.sym.BlockGrad(output, name=name) for output, name in zip(outputs, names))


def _choose(foreground, background, train, share):
    """Foreground [B, n] that may stay, and the indices [B, m] of the RoIs to keep, foreground first."""
    if not share:
        position = mx.sym.expand_dims(mx.sym.contrib.arange_like(foreground, axis=1), axis=0)
        return foreground, order_first(mx.sym.broadcast_minus((2 * foreground + background) * FAR, position))
    chance = mx.sym.random.uniform_like(foreground)
    foreground = foreground * (rank(foreground + chance) < round(train.FG_FRACTION * share))
    order = order_first(2 * foreground + background + chance)
    return foreground, mx.sym.slice_axis(order, axis=1, begin=0, end=share)


def _overlaps(boxes, gt_boxes):
    """Intersection over union of boxes [B, n, 4] and gt_boxes [B, G, >= 4] -> [B, n, G]."""
    left, top, right, bottom = (mx.sym.slice_axis(boxes, axis=2, begin=i, end=i + 1) for i in range(4))
    gt_left, gt_top, gt_right, gt_bottom = (mx.sym.expand_dims(_column(gt_boxes, i), axis=1) for i in range(4))
    width = mx.sym.broadcast_minimum(right, gt_right) - mx.sym.broadcast_maximum(left, gt_left) + 1
    height = mx.sym.broadcast_minimum(bottom, gt_bottom) - mx.sym.broadcast_maximum(top, gt_top) + 1
    shared = mx.sym.maximum(width, 0) * mx.sym.maximum(height, 0)
    area = (right - left + 1) * (bottom - top + 1)
    gt_area = (gt_right - gt_left + 1) * (gt_bottom - gt_top + 1)
    return shared / (mx.sym.broadcast_add(area, gt_area) - shared)


def _box_targets(table, label, cfg):
    """Box targets and weights [B * m, 4K] from rows of box, label, matched box, and label [B * m]."""
    train = cfg.TRAIN
    width, height, x, y = _centres(*(_column(table, i) for i in range(4)))
    gt_width, gt_height, gt_x, gt_y = _centres(*(_column(table, i) for i in range(5, 9)))
    deltas = [(gt_x - x) / width, (gt_y - y) / height, mx.sym.log(gt_width / width), mx.sym.log(gt_height / height)]
    deltas = [(delta - mean) / std
              for delta, mean, std in zip(deltas, *target_normalisation(train))]
    deltas = mx.sym.Reshape(mx.sym.stack(*deltas, axis=2), shape=(-1, 1, 4))
    sets = 2 if cfg.CLASS_AGNOSTIC else cfg.dataset.NUM_CLASSES
    slot = mx.sym.one_hot(label > 0 if cfg.CLASS_AGNOSTIC else label, depth=sets)
    slot = mx.sym.broadcast_mul(slot, mx.sym.expand_dims(label > 0, axis=1))
    slot = mx.sym.broadcast_axis(mx.sym.expand_dims(slot, axis=2), axis=2, size=4)
    # `where`, not a product: the deltas of degenerate background boxes are NaN.
    target = mx.sym.where(slot, mx.sym.broadcast_axis(deltas, axis=1, size=sets), mx.sym.zeros_like(slot))
    weight = mx.sym.broadcast_mul(slot, mx.sym.Reshape(constant(train.BBOX_WEIGHTS), shape=(1, 1, 4)))
    return (mx.sym.Reshape(target, shape=(0, -3), name='bbox_target_rois'),
            mx.sym.Reshape(weight, shape=(0, -3), name='bbox_weight_rois'))


def _centres(left, top, right, bottom):
    """Width, height and centre; corners are inclusive."""
    width, height = right - left + 1, bottom - top + 1
    return width, height, left + 0.5 * (width - 1), top + 0.5 * (height - 1)


def _column(data, index):
    """data [B, n, k] -> its column [B, n]."""
    return mx.sym.Reshape(mx.sym.slice_axis(data, axis=2, begin=index, end=index + 1), shape=(0, 0))
