"""Deep Feature Flow with R-FCN, with a ResNet-v1 and a FlowNet of configured size."""
import mxnet as mx

from lib.symbols.detector import Detector
from lib.symbols.registry import register
from lib.symbols.warp import choose, join_recursively, propagate, propagate_from_both, propagate_in_steps
from dff.errors import ConfigError


@register
class resnet_v1_flownet_rfcn(Detector):
    """DFF R-FCN (arXiv 1611.07715); network.depth, width, flow and flow_width choose its parts.

    With TRAIN.AGGREGATE and TEST.AGGREGATE: recursive, the feature of a key frame is joined with that of the key frame
    before, which was joined with that of the one before it, and so on (arXiv 1711.11577).
    """

    can_aggregate = True

    def get_train_symbol(self, cfg):
        """Losses for data and data_ref [B, 3, H, W], eq_flag [B], and the inputs of R-FCN's training.

        The feature is that of data_ref, carried to data by the flow; used as it is where eq_flag is 1. With
        TRAIN.AGGREGATE: recursive that of data_ref is joined with that of data_old [B, 3, H, W] before, but where
        old_flag [B] is 1.
        """
        if cfg.TRAIN.AGGREGATE == 'recursive':
            return self._recursive_train_symbol(cfg)
        data_ref, data = mx.sym.Variable('data_ref'), mx.sym.Variable('data')
        feature = self.feature(data_ref, cfg)
        carried = self._propagate(feature, data, data_ref, cfg, training=True)
        return self.group(self.losses(choose(mx.sym.Variable('eq_flag'), feature, carried), cfg))

    def _recursive_train_symbol(self, cfg):
        images = data, data_ref, data_old = [mx.sym.Variable(name) for name in ('data', 'data_ref', 'data_old')]
        recent, old = mx.sym.split(self.feature(mx.sym.Concat(data_ref, data_old, dim=0), cfg), axis=0, num_outputs=2)

        def joined(carried, own):
            both = join_recursively(carried, own, cfg.network)
            return choose(mx.sym.Variable('old_flag'), own, both, name='choose_old')
        feature, carried = propagate_in_steps(recent, old, images, cfg.network.DFF_FEAT_DIM, cfg.network, joined)
        return self.group(self.losses(choose(mx.sym.Variable('eq_flag'), feature, carried), cfg))

    def get_key_test_symbol(self, cfg):
        """Detections of a key frame, data [1, 3, H, W], and its feature, for the frames that follow.

        data_key and feat_key are handed through, so that both test networks have the same inputs. With
        TEST.AGGREGATE: recursive they are the key frame before and its feature, which the feature is joined with, but
        where first_flag [1] is 1.
        """
        data_key, feat_key, data = (mx.sym.Variable(name) for name in ('data_key', 'feat_key', 'data'))
        feature = self.feature(data, cfg)
        if cfg.TEST.AGGREGATE == 'recursive':
            carried = self._propagate(feat_key, data, data_key, cfg)
            both = join_recursively(carried, feature, cfg.network)
            feature = choose(mx.sym.Variable('first_flag'), feature, both)
        return self.group([data_key, feat_key, feature] + self.detect(feature, mx.sym.Variable('im_info'), cfg, 1))

    def get_cur_test_symbol(self, cfg):
        """Detections of another frame, data [1, 3, H, W], from the key frame's data_key and feat_key [1, C, h, w]."""
        feat_key, data, data_key = (mx.sym.Variable(name) for name in ('feat_key', 'data', 'data_key'))
        feature = self._propagate(feat_key, data, data_key, cfg)
        return self.group(self.detect(feature, mx.sym.Variable('im_info'), cfg, 1))

    def get_between_test_symbol(self, cfg):
        """Detections of a frame between two key frames, data [1, 3, H, W], from data_key [2, 3, H, W] and
        feat_key [2, C, h, w] of both; key_share [1]: see propagate_from_both.
        """
        feat_key, data, data_key, share = (mx.sym.Variable(name) for name in ('feat_key', 'data', 'data_key',
                                                                              'key_share'))
        feature = propagate_from_both(feat_key, data, data_key, share, cfg.network.DFF_FEAT_DIM, cfg.network,
                                      by_cosine=cfg.TEST.AGGREGATE == 'recursive')
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
