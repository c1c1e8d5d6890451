"""DeepLab on every frame, with a ResNet-v1 of configured size."""
import mxnet as mx

from lib.symbols.deeplab import Segmenter
from lib.symbols.registry import register


@register
class resnet_v1_deeplab(Segmenter):
    """DeepLab (arXiv 1606.00915); network.depth and network.width set the size."""

    def get_train_symbol(self, cfg):
        """Loss for data [B, 3, H, W] and label [B, 1, H, W], class ids or 255."""
        return self.group([self.loss(self._scores(cfg))])

    def get_test_symbol(self, cfg):
        """Class probabilities softmax [N, NUM_CLASSES, H, W] for data [N, 3, H, W]; the scores are
        croped_score inside.
        """
        return self.group([mx.sym.SoftmaxOutput(self._scores(cfg), multi_output=True, name='softmax')])

    def get_symbol(self, cfg, is_train=True):
        """The training symbol, or that for testing: the original's name for both."""
        return self.get_train_symbol(cfg) if is_train else self.get_test_symbol(cfg)

    def _scores(self, cfg):
        data = mx.sym.Variable('data')
        return self.scores(self.feature(data, cfg), data, cfg)
