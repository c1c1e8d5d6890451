"""Deep Feature Flow with DeepLab, with a ResNet-v1 and a FlowNet of configured size."""
import mxnet as mx

from lib.symbols.deeplab import Segmenter
from lib.symbols.registry import register
from lib.symbols.warp import choose, propagate, propagate_from_both
from dff.errors import ConfigError


@register
class resnet_v1_flownet_deeplab(Segmenter):
    """DFF-DeepLab (arXiv 1611.07715); network.depth, width, flow and flow_width choose its parts.

    network.USE_SCALE_MAP multiplies the warped feature by the predicted scale map, as the paper does (section 3);
    the original's code leaves it out.
    """

    def get_train_symbol(self, cfg):
        """Loss for data and data_ref [B, 3, H, W], eq_flag [B] and label [B, 1, H, W], class ids or 255.

        The feature is that of data_ref, carried to data by the flow; used as it is where eq_flag is 1. data_ref and
        eq_flag are handed through, as in the original.
        """
        data_ref, data, eq_flag = (mx.sym.Variable(name) for name in ('data_ref', 'data', 'eq_flag'))
        feature = self.feature(data_ref, cfg)
        feature = choose(eq_flag, feature, self._propagate(feature, data, data_ref, cfg, training=True))
        return self.group([self.loss(self.scores(feature, data, cfg)), data_ref, eq_flag])

    def get_key_test_symbol(self, cfg):
        """Feature res5c_relu and class scores croped_score [1, NUM_CLASSES, H, W] of a key frame, data [1, 3, H, W].

        data_key and feat_key are handed through, so that both test networks have the same inputs.
        """
        data_key, feat_key, data = (mx.sym.Variable(name) for name in ('data_key', 'feat_key', 'data'))
        feature = self.feature(data, cfg)
        return self.group([data_key, feat_key, feature, self.scores(feature, data, cfg)])

    def get_cur_test_symbol(self, cfg):
        """Carried feature and class scores of another frame, data, from the key frame's data_key and
        feat_key [1, C, h, w].

        data_key is handed through.
        """
        feat_key, data, data_key = (mx.sym.Variable(name) for name in ('feat_key', 'data', 'data_key'))
        feature = self._propagate(feat_key, data, data_key, cfg)
        return self.group([data_key, feature, self.scores(feature, data, cfg)])

    def get_between_test_symbol(self, cfg):
        """Class scores of a frame between two key frames, data [1, 3, H, W], from data_key [2, 3, H, W] and
        feat_key [2, C, h, w] of both; key_share [1]: see propagate_from_both.
        """
        feat_key, data, data_key, share = (mx.sym.Variable(name) for name in ('feat_key', 'data', 'data_key',
                                                                              'key_share'))
        feature = propagate_from_both(feat_key, data, data_key, share, self.feature_dim(cfg), cfg.network,
                                      scaled=cfg.network.USE_SCALE_MAP)
        return self.group([data_key, feature, self.scores(feature, data, cfg)])

    def get_batch_test_symbol(self, cfg):
        """Class scores of a key frame data_key [1, 3, H, W] and of the frames data_other [K - 1, 3, H, W] after it.

        K = TEST.KEY_FRAME_INTERVAL; croped_score [K, NUM_CLASSES, H, W], the key frame first.
        """
        data_key, data_other = mx.sym.Variable('data_key'), mx.sym.Variable('data_other')
        if cfg.TEST.KEY_FRAME_INTERVAL < 2:
            raise ConfigError('TEST.KEY_FRAME_INTERVAL is %d; the batch network needs at least 2'
                              % cfg.TEST.KEY_FRAME_INTERVAL)
        feature = self.feature(data_key, cfg)
        carried = self._propagate(feature, data_other, data_key, cfg, shared=True)
        feature = mx.sym.Concat(feature, carried, dim=0, name='feat_all')
        return self.group([self.scores(feature, data_key, cfg)])

    def _propagate(self, feature, current, reference, cfg, **options):
        return propagate(feature, current, reference, self.feature_dim(cfg), cfg.network,
                         scaled=cfg.network.USE_SCALE_MAP, **options)
