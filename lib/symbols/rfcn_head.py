"""R-FCN head (arXiv 1605.06409): position-sensitive score maps, pooling, losses."""
import mxnet as mx

from lib.symbols.arithmetic import smooth_l1
from lib.symbols.operators import mine_hard, psroi_pooling
from lib.symbols.rcnn_targets import rcnn_targets


def rfcn_test(feature, rois, cfg):
    """Return the detections of RoIs.

    Args:
        feature: [N, C, h, w].
        rois: [N * R, 5], R = TEST.RPN_POST_NMS_TOP_N.
        cfg: the settings.

    Returns:
        (cls_prob_reshape [N, R, NUM_CLASSES], bbox_pred_reshape [N, R, 4K]), deltas in units of
        BBOX_STDS unless the test weights are loaded.
    """
    count = cfg.TEST.RPN_POST_NMS_TOP_N
    score, deltas = _head(feature, rois, cfg)
    probability = mx.sym.softmax(score, axis=1, name='cls_prob')
    return (mx.sym.Reshape(probability, shape=(-1, count, cfg.dataset.NUM_CLASSES), name='cls_prob_reshape'),
            mx.sym.Reshape(deltas, shape=(-1, count, 4 * box_sets(cfg)), name='bbox_pred_reshape'))


def rfcn_train(feature, rois, gt_boxes, cfg):
    """Return the losses on proposals.

    Args:
        feature: [B, C, h, w].
        rois: proposals [B * n, 5].
        gt_boxes: [B, G, 5].
        cfg: the settings.

    Returns:
        (cls_prob_reshape [B, m, NUM_CLASSES], bbox_loss_reshape [B, m, 4K], label [B, m], -1 where
        not counted)
    """
    train, images = cfg.TRAIN, cfg.TRAIN.BATCH_IMAGES
    rois, label, target, weight = rcnn_targets(rois, gt_boxes, cfg)
    score, deltas = _head(feature, rois, cfg)
    if train.ENABLE_OHEM:
        label, weight = mine_hard(score, deltas, label, target, weight, images, train.BATCH_ROIS_OHEM)
        counted = train.BATCH_ROIS_OHEM * images
    else:
        counted = train.BATCH_ROIS if train.BATCH_ROIS > 0 else train.RPN_POST_NMS_TOP_N * images
    probability = mx.sym.SoftmaxOutput(score, label, normalization='valid', use_ignore=True,
                                       ignore_label=-1, name='cls_prob')
    loss = mx.sym.MakeLoss(smooth_l1(deltas, target, weight, 1.0), grad_scale=1.0 / counted, name='bbox_loss')
    return (mx.sym.Reshape(probability, shape=(images, -1, cfg.dataset.NUM_CLASSES), name='cls_prob_reshape'),
            mx.sym.Reshape(loss, shape=(images, -1, 4 * box_sets(cfg)), name='bbox_loss_reshape'),
            mx.sym.BlockGrad(mx.sym.Reshape(label, shape=(images, -1)), name='blockgrad0'))


def box_sets(cfg):
    """Sets of four box deltas a RoI: background and object, or one a class."""
    return 2 if cfg.CLASS_AGNOSTIC else cfg.dataset.NUM_CLASSES


def _head(feature, rois, cfg):
    """Class scores [R, NUM_CLASSES] and box deltas [R, 4K] of RoIs [R, 5]."""
    return (_pooled(feature, rois, cfg, 'rfcn_cls', cfg.dataset.NUM_CLASSES, 'psroipooled_cls_rois', 'cls_score'),
            _pooled(feature, rois, cfg, 'rfcn_bbox', 4 * box_sets(cfg), 'psroipooled_loc_rois', 'bbox_pred'))


def _pooled(feature, rois, cfg, layer, outputs, pooling, name):
    """Mean over the bins of the position-sensitive pooling of 1x1 convolution `layer`: [R, outputs]."""
    side = cfg.network.RFCN_GROUP_SIZE
    maps = mx.sym.Convolution(feature, kernel=(1, 1), num_filter=side * side * outputs, name=layer)
    bins = psroi_pooling(maps, rois, spatial_scale=1.0 / cfg.network.RCNN_FEAT_STRIDE, output_dim=outputs,
                         pooled_size=side, group_size=side, name=pooling)
    # The mean as a product with a vector: faster than a mean over axes, and than oneDNN's pooling backwards.
    mean = mx.sym.full((side * side, 1), 1.0 / (side * side))
    score = mx.sym.dot(mx.sym.Reshape(bins, shape=(-1, side * side)), mean)
    return mx.sym.Reshape(score, shape=(-1, outputs), name=name)
