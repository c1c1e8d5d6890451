"""What a network gives: its test symbols, and which of their outputs and layers mean what.

Those who run networks, export them or measure them ask here, and know no layer's name.
"""
import contextlib

from lib.symbols.warp import cell_flow, mismatch


def own_outputs(symbol):
    """Return the outputs of `symbol` but those that only pass an input on: the original's key
    network returns two of them.
    """
    inputs = set(symbol.list_inputs())
    return [output for output in symbol if output.list_outputs()[0] not in inputs]


def layer_outputs(symbol, layers):
    """Return what each of `layers`, names, gives inside `symbol`."""
    inner = symbol.get_internals()
    return [inner[layer + '_output'] for layer in layers]


class NetworkOutputs:
    """Mixin of the network classes, which have get_test_symbol(cfg); or get_key_test_symbol(cfg) and
    get_cur_test_symbol(cfg); or get_parts_symbol(cfg), get_flow_symbol(cfg) and get_window_symbol(cfg).
    """

    # Layers whose outputs are classes or anchors: another class list changes their shapes, and no
    # others.
    class_layers = ()
    can_aggregate = False      # whether TRAIN.AGGREGATE and TEST.AGGREGATE may be recursive

    @property
    def propagates(self):
        """Whether features are carried from key frames to others, as in DFF.

        The frame baselines see every frame alone.
        """
        return hasattr(self, 'get_key_test_symbol')

    @property
    def aggregates(self):
        """Whether the features of a window of frames are joined for the one in its middle, as in FGFA."""
        return hasattr(self, 'get_window_symbol')

    def test_networks(self, cfg):
        """Return {'frame': symbol}, or {'key': symbol, 'current': symbol} where the network propagates.

        Where it aggregates: {'feature': symbol of a frame, 'flow': of two, 'window': of all}.
        """
        if self.aggregates:
            return {'feature': self.get_parts_symbol(cfg), 'flow': self.get_flow_symbol(cfg),
                    'window': self.get_window_symbol(cfg)}
        if self.propagates:
            return {'key': self.get_key_test_symbol(cfg), 'current': self.get_cur_test_symbol(cfg)}
        return {'frame': self.get_test_symbol(cfg)}

    def between_network(self, cfg):
        """Return the test network for frames between two key frames; None where there is none."""
        return self.get_between_test_symbol(cfg) if hasattr(self, 'get_between_test_symbol') else None

    def key_feature(self, symbol):
        """Return the output of the test network `symbol` for key frames that other frames get as `feat_key`."""
        return own_outputs(symbol)[0]

    def check_size(self, height, width):
        """Raise CheckpointError where the network cannot take an input of `height` and `width` pixels.

        Ours take any size; those that were read from files may not.
        """

    def guard(self):
        """Return a context manager around all that binds and runs the network."""
        return contextlib.nullcontext()

    def head_outputs(self, symbol):
        """Return the outputs of the test network `symbol` that the task's results are made of, a list."""
        raise NotImplementedError

    def flow_mismatch(self, symbol, cfg):
        """Return how badly the key frame's image fits the current one when it is moved along the
        flow, in grey levels: [1].

        symbol: the test network for other frames.
        """
        return mismatch(symbol, cfg.network.RCNN_FEAT_STRIDE)

    def flow(self, symbol, cfg):
        """Return the flow from the current frame to its key frame, in cells of the feature map: [1, 2, h, w].

        symbol: the test network for other frames; cfg: the settings.
        """
        return cell_flow(symbol, cfg.network.RCNN_FEAT_STRIDE)


class DetectionOutputs(NetworkOutputs):
    """Of detection: head_outputs are rois [R, 5], cls_prob [1, R, classes] and bbox_pred [1, R, 8 or 4 * classes]."""

    recognises = 'detection'
    class_layers = ('rfcn_cls', 'rfcn_bbox', 'rpn_cls_score', 'rpn_bbox_pred')

    def head_outputs(self, symbol):
        """See NetworkOutputs."""
        return own_outputs(symbol)[-3:]


class SegmentationOutputs(NetworkOutputs):
    """Of segmentation: head_outputs are the class scores [1, classes, h, w] at the feature map's size."""

    recognises = 'segmentation'
    class_layers = ('score', 'upsampling')

    def head_outputs(self, symbol):
        """See NetworkOutputs."""
        return layer_outputs(own_outputs(symbol)[-1], ['score'])
