"""Flow-Guided Feature Aggregation with R-FCN, with a ResNet-v1 and a FlowNet of configured size."""
import mxnet as mx

from dff.networks import checked_reach
from lib.symbols.aggregation import aggregate, embed
from lib.symbols.detector import Detector
from lib.symbols.flownet import flownet, settings_of
from lib.symbols.operators import flow_warp
from lib.symbols.registry import register


@register
class resnet_v1_fgfa_rfcn(Detector):
    """FGFA R-FCN (arXiv 1703.10025); network.depth, width, flow and flow_width choose its parts.

    Its window has M = 2 K + 1 frames, K = TEST.KEY_FRAME_INTERVAL.
    """

    def get_train_symbol(self, cfg):
        """Losses for data, data_bef and data_aft [B, 3, H, W] and the inputs of R-FCN's training.

        The features of data_bef and data_aft are carried to data by the flow and joined; that of data is what
        they are compared with, and takes no part itself (eq. 2 to 5 of the paper, as the original trains).
        """
        images = mx.sym.Concat(*[mx.sym.Variable(name) for name in ('data', 'data_bef', 'data_aft')], dim=0)
        own, others = _first(self.feature(images, cfg), 3)
        current, references = _first(images, 3)
        flow = _flow(mx.sym.tile(current, reps=(2, 1, 1, 1)), references, cfg, training=True)
        warped = flow_warp(others, flow)
        # Embedded after the warp, and the labelled frame with them.
        query, embeddings = _first(self._embed(mx.sym.Concat(own, warped, dim=0), cfg), 3)
        return self.group(self.losses(aggregate(warped, embeddings, query, 2), cfg))

    def get_feat_symbol(self, cfg):
        """Feature and embedding of a frame, data [1, 3, H, W]: conv_embed [1, FGFA_FEAT_DIM, h, w].

        im_info, data_cache and feat_cache are handed through, as the original does.
        """
        feature = self.feature(mx.sym.Variable('data'), cfg)
        joined = mx.sym.Concat(feature, self._embed(feature, cfg), dim=1, name='conv_embed')
        return self.group([joined] + [mx.sym.Variable(name) for name in ('im_info', 'data_cache', 'feat_cache')])

    def get_aggregation_symbol(self, cfg):
        """Detections of the middle frame of a window: data_cache [M, 3, H, W], feat_cache [M, FGFA_FEAT_DIM, h, w].

        data, of any shape, is handed through, as the original does.
        """
        reach, dims = cfg.TEST.KEY_FRAME_INTERVAL, cfg.network.DFF_FEAT_DIM
        images, joined = mx.sym.Variable('data_cache'), mx.sym.Variable('feat_cache')
        middle = mx.sym.slice_axis(images, axis=0, begin=reach, end=reach + 1)
        flow = _flow(mx.sym.tile(middle, reps=(2 * reach + 1, 1, 1, 1)), images, cfg)
        features, embeddings = (mx.sym.slice_axis(joined, axis=1, begin=begin, end=end)
                                for begin, end in ((0, dims), (dims, None)))
        found = self._detect(features, embeddings, flow, mx.sym.full((1,), reach), cfg)
        return self.group([mx.sym.Variable('data')] + found)

    def get_parts_symbol(self, cfg):
        """Feature [1, DFF_FEAT_DIM, h, w] and embedding of a frame, data [1, 3, H, W]: what get_feat_symbol joins."""
        feature = self.feature(mx.sym.Variable('data'), cfg)
        return self.group([feature, self._embed(feature, cfg)])

    def get_flow_symbol(self, cfg):
        """Flow from a frame, data [1, 3, H, W], to another, data_ref: [1, 2, h, w], cells of the feature map."""
        return self.group([_flow(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), cfg)])

    def get_window_symbol(self, cfg):
        """Detections of one frame of a window, whose flows are known.

        feat_cache is [M, DFF_FEAT_DIM, h, w], embed_cache those of the embeddings, flow [M, 2, h, w], from the
        frame to all; centre [1]: which of them the frame is.
        """
        names = 'feat_cache', 'embed_cache', 'flow', 'centre'
        return self.group(self._detect(*(mx.sym.Variable(name) for name in names), cfg))

    def _embed(self, feature, cfg):
        dims = cfg.network.DFF_FEAT_DIM
        return embed(feature, dims // 2, cfg.network.FGFA_FEAT_DIM - dims)

    def _detect(self, features, embeddings, flow, centre, cfg):
        """Test outputs of the frame `centre` [1] of a window, with its `flow` to all frames of it."""
        # The frame's own embedding is compared as it is carried along its flow to itself, which need not be 0.
        query = flow_warp(*(mx.sym.take(value, centre, axis=0) for value in (embeddings, flow)), name='warping_query')
        frames = 2 * checked_reach(cfg.TEST.KEY_FRAME_INTERVAL) + 1
        joined = aggregate(features, embeddings, query, frames, flow, training=False)
        return self.detect(joined, mx.sym.Variable('im_info'), cfg, 1)


def _first(value, parts):
    """`value` [parts * N, ...] as its first N and all others."""
    split = mx.sym.Reshape(value, shape=(-4, parts, -1, -2))
    first, others = (mx.sym.slice_axis(split, axis=0, begin=begin, end=end) for begin, end in ((0, 1), (1, None)))
    return tuple(mx.sym.Reshape(part, shape=(-3, -2)) for part in (first, others))


def _flow(current, references, cfg, training=False):
    flow, _ = flownet(current, references, cfg.network.DFF_FEAT_DIM, training=training, **settings_of(cfg.network))
    return flow
