"""The parts that DeepLab and DFF-DeepLab have in common: backbone, class scores at the images' size, loss."""
import mxnet as mx

from dff.labels import IGNORE_LABEL
from lib.symbols.outputs import SegmentationOutputs
from lib.symbols.symbol_base import SymbolBase
from lib.symbols.widths import channels

STRIDE = 16            # image pixels for one of the feature map


class Segmenter(SegmentationOutputs, SymbolBase):
    """Base of the segmentation networks (DeepLab, arXiv 1606.00915, with stride 16 and one classifier)."""

    pool_pad = 1

    def feature(self, data, cfg):
        """Feature map res5c_relu [N, C, H/16, W/16] of images [N, 3, H, W]."""
        return self.backbone(cfg).feature(data, cfg.network.BN_GLOBAL_STATS, self.pool_pad)

    def feature_dim(self, cfg):
        """C, the channels of `feature`."""
        return self.backbone(cfg).channels()

    def scores(self, feature, data, cfg):
        """Return class scores [N, NUM_CLASSES, H, W].

        Args:
            feature: feature maps [N, C, h, w].
            data: images [N, 3, H, W], which give the size.
            cfg: the settings.
        """
        hidden = _convolution(feature, 'fc6', channels(1024, cfg.network.width, 'network.width'))
        hidden = mx.sym.Activation(hidden, act_type='relu', name='relu_fc6')
        score = _convolution(hidden, 'score', cfg.dataset.NUM_CLASSES)
        return _upsample(score, data, cfg.dataset.NUM_CLASSES)

    def loss(self, score):
        """Class probabilities [N, NUM_CLASSES, H, W] with the loss against `label` [N, 1, H, W],
        the mean over valid pixels.
        """
        return mx.sym.SoftmaxOutput(score, mx.sym.Variable('label'), multi_output=True,
                                    normalization='valid', use_ignore=True,
                                    ignore_label=IGNORE_LABEL, name='softmax')


def _convolution(data, name, filters):
    """1x1 convolution whose bias learns twice as fast, as in Caffe."""
    bias = mx.sym.Variable(name + '_bias', lr_mult=2.0)
    return mx.sym.Convolution(data, bias=bias, kernel=(1, 1), num_filter=filters, name=name)


def _upsample(score, like, classes):
    """`score` [N, classes, h, w] in the size of `like`, by fixed bilinear interpolation.

    Padding takes away the border that the original crops at offset (8, 8); at the other end everything stays, since
    images may be up to 8 pixels longer than 16 h.
    """
    weight = mx.sym.Variable('upsampling_weight', lr_mult=0.0)
    whole, half = (STRIDE, STRIDE), (STRIDE // 2, STRIDE // 2)
    score = mx.sym.Deconvolution(score, weight=weight, num_filter=classes, num_group=classes,
                                 kernel=(2 * STRIDE, 2 * STRIDE), stride=whole, pad=half, adj=half,
                                 no_bias=True, name='upsampling')
    return mx.sym.slice_like(score, like, axes=(2, 3), name='croped_score')
