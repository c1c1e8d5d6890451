"""The parts that R-FCN and DFF R-FCN have in common: backbone with detection feature, and the two heads on it."""
import mxnet as mx

from lib.symbols.outputs import DetectionOutputs
from lib.symbols.rfcn_head import rfcn_test, rfcn_train
from lib.symbols.rpn import rpn_test, rpn_train
from lib.symbols.symbol_base import SymbolBase


class Detector(DetectionOutputs, SymbolBase):
    """Base of the detection networks."""

    def feature(self, data, cfg):
        """Detection feature [N, DFF_FEAT_DIM, H/16, W/16] of images [N, 3, H, W]."""
        body = self.backbone(cfg).feature(data, cfg.network.BN_GLOBAL_STATS)
        body = mx.sym.Convolution(body, num_filter=cfg.network.DFF_FEAT_DIM, kernel=(3, 3), pad=(6, 6), dilate=(6, 6),
                                  name='feat_conv_3x3')
        return mx.sym.Activation(body, act_type='relu', name='feat_conv_3x3_relu')

    def detect(self, feature, im_info, cfg, images):
        """Return the test outputs [rois, cls_prob_reshape, bbox_pred_reshape].

        Args:
            feature: feature maps [N, C, h, w].
            im_info: [N, 3], height, width, scale.
            cfg: the settings.
            images: N.
        """
        rpn_half, rfcn_half = _halves(feature, cfg)
        rois = rpn_test(rpn_half, im_info, cfg, images)
        return [rois] + list(rfcn_test(rfcn_half, rois, cfg))

    def losses(self, feature, cfg):
        """Training outputs: rpn_cls_prob, rpn_bbox_loss, cls_prob_reshape, bbox_loss_reshape, blockgrad0."""
        rpn_half, rfcn_half = _halves(feature, cfg)
        im_info, gt_boxes, label, bbox_target, bbox_weight = (
            mx.sym.Variable(name) for name in ('im_info', 'gt_boxes', 'label', 'bbox_target', 'bbox_weight'))
        rois, rpn_prob, rpn_loss = rpn_train(rpn_half, im_info, label, bbox_target, bbox_weight, cfg)
        return [rpn_prob, rpn_loss] + list(rfcn_train(rfcn_half, rois, gt_boxes, cfg))


def _halves(feature, cfg):
    """Channels for the RPN and channels for R-FCN."""
    half = cfg.network.DFF_FEAT_DIM // 2
    return [mx.sym.slice_axis(feature, axis=1, begin=begin, end=begin + half) for begin in (0, half)]
