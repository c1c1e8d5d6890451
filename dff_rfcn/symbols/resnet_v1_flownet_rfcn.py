"""Deep Feature Flow with R-FCN, with a ResNet-v1 and a FlowNet of configured size."""
import mxnet as mx

from lib.symbols.detector import Detector
from lib.symbols.registry import register
from lib.symbols.warp import choose, propagate
from dff.errors import ConfigError


@register
class resnet_v1_flownet_rfcn(Detector):
    """DFF R-FCN (arXiv 1611.07715); network.depth, width, flow and flow_width choose its parts."""

    def get_train_symbol(self, cfg):
        """Losses for data and data_ref [B, 3, H, W], eq_flag [B], and the inputs of R-FCN's training.

        The feature is that of data_ref, carried to data by the flow; used as it is where eq_flag is 1.
        """
        data_ref, data = mx.sym.Variable('data_ref'), mx.sym.Variable('data')
        feature = self.feature(data_ref, cfg)
        carried = self._propagate(feature, data, data_ref, cfg, training=True)
        return self.group(self.losses(choose(mx.sym.Variable('eq_flag'), feature, carried), cfg))

    def get_key_test_symbol(self, cfg):
        """Detections of a key frame, data [1, 3, H, W], and its feature, for the frames that follow.

        data_key and feat_key are handed through, so that both test networks have the same inputs.
        """
        data_key, feat_key, data = (mx.sym.Variable(name) for name in ('data_key', 'feat_key', 'data'))
        feature = self.feature(data, cfg)
        return self.group([data_key, feat_key, feature] + self.detect(feature, mx.sym.Variable('im_info'), cfg, 1))

    def get_cur_test_symbol(self, cfg):
        """Detections of another frame, data [1, 3, H, W], from the key frame's data_key and feat_key [1, C, h, w]."""
        feat_key, data, data_key = (mx.sym.Variable(name) for name in ('feat_key', 'data', 'data_key'))
        feature = self._propagate(feat_key, data, data_key, cfg)
        return self.group(self.detect(feature, mx.sym.Variable('im_info'), cfg, 1))

    def get_batch_test_symbol(self, cfg):
        """Detections of a key frame data_key [1, 3, H, W] and of the frames data_other [K - 1, 3, H, W] after it.

        K = TEST.KEY_FRAME_INTERVAL; im_info [K, 3], the key frame first.
        """
        data_key, data_other = mx.sym.Variable('data_key'), mx.sym.Variable('data_other')
        interval = cfg.TEST.KEY_FRAME_INTERVAL
        if interval < 2:
            raise ConfigError('TEST.KEY_FRAME_INTERVAL is %d; the batch network needs at least 2' % interval)
        feature = self.feature(data_key, cfg)
        carried = self._propagate(feature, data_other, data_key, cfg, shared=True)
        feature = mx.sym.Concat(feature, carried, dim=0, name='feat_all')
        return self.group(self.detect(feature, mx.sym.Variable('im_info'), cfg, interval))

    def _propagate(self, feature, current, reference, cfg, **options):
        return propagate(feature, current, reference, cfg.network.DFF_FEAT_DIM, cfg.network, **options)
