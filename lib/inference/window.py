"""FGFA's networks bound to a device, with the window of frames that they join."""
import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from dff.errors import ConfigError
from dff.networks import Outputs
from lib.inference.exported_check import window_inputs
from lib.inference.key_frames import network_input
from lib.inference.networks import with_test_settings
from lib.symbols.outputs import own_outputs

CACHES = 'feat_cache', 'embed_cache'     # inputs that hold what is kept of each frame of a window


class WindowNetworks:
    """FGFA's networks (dff.networks.Windows) and their only window (Windowed).

    The window's features are one array on the device, in which each is written to its place: the input of the
    network that joins them.

    Args:
        cfg, instance, binder, head: as of FrameNetworks.
        reach: K; the window has 2 K + 1 places.
    """

    def __init__(self, cfg, instance, binder, head, reach):
        symbols = instance.test_networks(with_test_settings(cfg, KEY_FRAME_INTERVAL=reach))
        shapes = head.input_shapes(*network_input(cfg))
        self._frames, self._head, self._reach = [None] * (2 * reach + 1), head, reach
        outputs = head.symbols(instance.head_outputs(symbols['window']))
        # Those read from a file may pass inputs on, too.
        feature, flow = (mx.sym.Group(own_outputs(symbols[name])) for name in ('feature', 'flow'))
        kept = feature.infer_shape(data=shapes['data'])[1]
        self.pools = {
            'feature': binder.pool(feature, shapes),
            'flow': binder.pool(flow, {'data': shapes['data'], 'data_ref': shapes['data']}),
            'window': binder.pool(mx.sym.Group(outputs), dict(shapes, **window_inputs(kept, reach)))}
        self._executor = None

    def window(self, reach):
        """Return this window, which is the only one (dff.networks.Windows).

        reach: K. Raises ConfigError for another one than it was made for.
        """
        if reach != self._reach:
            raise ConfigError('in MXNet the window of a model is fixed when it is loaded, to %d frames to each side; '
                              'found %d: set TEST.KEY_FRAME_INTERVAL, or export it to ONNX, where any goes'
                              % (self._reach, reach))
        return self

    def put(self, place, frame):
        """See dff.networks.Windowed."""
        kept = self.pools['feature'].forward({'data': frame.tensor}).outputs
        shapes = {name: value.shape for name, value in self._inputs(frame).items()}
        shapes.update(window_inputs([value.shape for value in kept], self._reach))
        self._executor = self.pools['window'].get(shapes)
        for name, value in zip(CACHES, kept):
            value.copyto(self._at(name, place))
        self._frames[place] = frame

    def repeat(self, place, source):
        """See dff.networks.Windowed."""
        for name in CACHES:
            self._at(name, source).copyto(self._at(name, place))
        self._frames[place] = self._frames[source]

    def join(self, place):
        """See dff.networks.Windowed."""
        frame, inputs = self._frames[place], self._executor.arg_dict
        pair = self.pools['flow'].get(dict.fromkeys(('data', 'data_ref'), frame.tensor.shape))
        pair.arg_dict['data'][:] = frame.tensor
        known = {}        # a frame that is in the window several times: one of its places
        for number, other in enumerate(self._frames):
            if id(other) in known:
                self._at('flow', known[id(other)]).copyto(self._at('flow', number))
                continue
            pair.arg_dict['data_ref'][:] = other.tensor
            pair.forward(is_train=False)[0].copyto(self._at('flow', number))
            known[id(other)] = number
        for name, value in dict(self._inputs(frame), centre=place).items():
            inputs[name][:] = value
        return Outputs(self._head.to_host(self._executor.forward(is_train=False)))

    def _inputs(self, frame):
        """What the network that joins needs of a frame itself."""
        names = self.pools['window'].input_names
        return {name: value for name, value in self._head.inputs(frame).items() if name in names}

    def _at(self, name, place):
        """A view of a place in an input of the network that joins."""
        return self._executor.arg_dict[name][place:place + 1]
