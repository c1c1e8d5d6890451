"""Region proposal network (Faster R-CNN, arXiv 1506.01497, section 3.1): head, proposals, losses."""
import mxnet as mx

from lib.boxes.anchors import anchor_scales
from lib.symbols.arithmetic import affine, smooth_l1
from lib.symbols.operators import proposal


def rpn_test(feature, im_info, cfg, images=1):
    """Return proposals in testing, rois [N * TEST.RPN_POST_NMS_TOP_N, 5].

    Args:
        feature: [N, C, h, w].
        im_info: [N, 3], height, width, scale.
        cfg: the settings.
        images: N.
    """
    score, deltas = _head(feature, cfg)
    probability = mx.sym.softmax(score, axis=1, name='rpn_cls_prob')
    return _proposals(probability, deltas, im_info, cfg, cfg.TEST, images)


def rpn_train(feature, im_info, label, bbox_target, bbox_weight, cfg):
    """Return proposals and losses in training.

    Args:
        feature: [B, C, h, w].
        im_info: [B, 3], height, width, scale.
        label: [B, A*h*w], 1 object, 0 background, -1 ignored.
        bbox_target, bbox_weight: [B, 4A, h, w].
        cfg: the settings.

    Returns:
        (rois [B * TRAIN.RPN_POST_NMS_TOP_N, 5], rpn_cls_prob [B, 2, A*h, w],
        rpn_bbox_loss [B, 4A, h, w])
    """
    score, deltas = _head(feature, cfg)
    probability = mx.sym.SoftmaxOutput(score, label, multi_output=True, normalization='valid', use_ignore=True,
                                       ignore_label=-1, name='rpn_cls_prob')
    loss = smooth_l1(deltas, bbox_target, bbox_weight, 1.0 if cfg.network.NORMALIZE_RPN else 3.0)
    loss = mx.sym.MakeLoss(loss, grad_scale=1.0 /
                           (cfg.TRAIN.RPN_BATCH_SIZE * cfg.TRAIN.BATCH_IMAGES),
                           name='rpn_bbox_loss')
    return _proposals(probability, deltas, im_info, cfg, cfg.TRAIN, cfg.TRAIN.BATCH_IMAGES), probability, loss


def num_anchors(cfg):
    """Anchors at each place of the feature map."""
    return len(cfg.network.ANCHOR_SCALES) * len(cfg.network.ANCHOR_RATIOS)


def _head(feature, cfg):
    """Scores [N, 2, A*h, w], background first, and box deltas [N, 4A, h, w]."""
    anchors = num_anchors(cfg)
    score = mx.sym.Convolution(feature, kernel=(1, 1), num_filter=2 * anchors, name='rpn_cls_score')
    deltas = mx.sym.Convolution(feature, kernel=(1, 1), num_filter=4 * anchors, name='rpn_bbox_pred')
    return mx.sym.Reshape(score, shape=(0, 2, -1, 0), name='rpn_cls_score_reshape'), deltas


def _proposals(probability, deltas, im_info, cfg, phase, images):
    network, anchors = cfg.network, num_anchors(cfg)
    probability = mx.sym.Reshape(probability, shape=(0, 2 * anchors, -1, 0), name='rpn_cls_prob_reshape')
    if network.NORMALIZE_RPN:
        deltas = affine(deltas, network.ANCHOR_STDS, network.ANCHOR_MEANS, anchors)
    return proposal(probability, deltas, im_info, images, feature_stride=network.RPN_FEAT_STRIDE,
                    scales=anchor_scales(network), ratios=network.ANCHOR_RATIOS,
                    rpn_pre_nms_top_n=phase.RPN_PRE_NMS_TOP_N, rpn_post_nms_top_n=phase.RPN_POST_NMS_TOP_N,
                    threshold=phase.RPN_NMS_THRESH, rpn_min_size=phase.RPN_MIN_SIZE, name='rois')
