"""R-FCN on every frame, with a ResNet-v1 of configured size."""
import mxnet as mx

from lib.symbols.detector import Detector
from lib.symbols.registry import register


@register
class resnet_v1_rfcn(Detector):
    """R-FCN (arXiv 1605.06409); network.depth and network.width set the size of the backbone."""

    def get_train_symbol(self, cfg):
        """Losses for data [B, 3, H, W], im_info [B, 3], gt_boxes [B, G, 5], label [B, A*h*w], bbox_* [B, 4A, h, w]."""
        return self.group(self.losses(self.feature(mx.sym.Variable('data'), cfg), cfg))

    def get_test_symbol(self, cfg):
        """Detections for data [N, 3, H, W] and im_info [N, 3], N = TEST.BATCH_IMAGES."""
        feature = self.feature(mx.sym.Variable('data'), cfg)
        return self.group(self.detect(feature, mx.sym.Variable('im_info'), cfg, cfg.TEST.BATCH_IMAGES))
