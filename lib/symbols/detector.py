"""The parts that R-FCN and DFF R-FCN have in common: backbone with detection feature, and the two heads on it."""
import mxnet as mx

from dff.errors import ConfigError
from lib.symbols.outputs import DetectionOutputs
from lib.symbols.rfcn_head import rfcn_test, rfcn_train
from lib.symbols.rpn import rpn_test, rpn_train
from lib.symbols.symbol_base import SymbolBase

STRIDE = 16     # image pixels for one of the deepest feature map of every backbone
FINE_LAYER = 'feat_lateral_weight'      # that networks of FEATURE_STRIDE 8 have, and no others


class Detector(DetectionOutputs, SymbolBase):
    """Base of the detection networks."""

    def feature(self, data, cfg):
        """Detection feature [N, DFF_FEAT_DIM, H/S, W/S] of images [N, 3, H, W], S = network.FEATURE_STRIDE."""
        backbone = self.backbone(cfg)
        deep = backbone.feature(data, cfg.network.BN_GLOBAL_STATS)
        body = mx.sym.Convolution(deep, num_filter=cfg.network.DFF_FEAT_DIM, kernel=(3, 3), pad=(6, 6), dilate=(6, 6),
                                  name='feat_conv_3x3')
        body = mx.sym.Activation(body, act_type='relu', name='feat_conv_3x3_relu')
        if cfg.network.RCNN_FEAT_STRIDE == STRIDE:
            return body
        return _finer(body, _layer_of_stride_8(deep, backbone, cfg), cfg.network.DFF_FEAT_DIM)

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


def _layer_of_stride_8(deep, backbone, cfg):
    """The output [N, ..., H/8, W/8] inside a backbone's feature map `deep`."""
    if not hasattr(backbone, 'layer_of_stride_8'):
        raise ConfigError('network.FEATURE_STRIDE is 8, but the backbone %s names no layer of stride 8, with a method '
                          'layer_of_stride_8: set it to 16, or add the method' % cfg.network.backbone)
    return deep.get_internals()[backbone.layer_of_stride_8() + '_output']


def _finer(body, fine, channels):
    """Feature [N, channels, H/8, W/8]: the one of stride 16, enlarged, and what an earlier layer adds to it.

    Top-down with lateral 1x1 convolutions, as Feature Pyramid Networks (Lin et al., arXiv 1612.03144, section 3).
    At first (lib/symbols/initialise.py) it is the enlarged `body` alone, bilinear between the middles of cells, as
    the heads know it from checkpoints of stride 16.

    Args:
        body: [N, channels, H/16, W/16].
        fine: [N, C, H/8, W/8].
        channels: of `body`.
    """
    # One cell more on all sides, so that the rim is no darker; cropped where an odd number of cells was halved.
    body = mx.sym.Pad(body, mode='edge', pad_width=(0, 0, 0, 0, 1, 1, 1, 1))
    body = mx.sym.Deconvolution(body, num_filter=channels, num_group=channels, kernel=(4, 4), stride=(2, 2),
                                pad=(3, 3), no_bias=True, name='feat_up')
    body = mx.sym.slice_like(body, fine, axes=(2, 3), name='crop_feat_up')
    fine = mx.sym.Convolution(fine, num_filter=channels, kernel=(1, 1), name='feat_lateral')
    body = mx.sym.elemwise_add(body, fine, name='feat_fine')
    return mx.sym.Activation(body, act_type='relu', name='feat_fine_relu')


def _halves(feature, cfg):
    """Channels for the RPN and channels for R-FCN."""
    half = cfg.network.DFF_FEAT_DIM // 2
    return [mx.sym.slice_axis(feature, axis=1, begin=begin, end=begin + half) for begin in (0, half)]
