"""What every network class offers beside its symbols: size, shapes, their check, first parameter values."""
import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from dff.errors import ConfigError
from lib.engine.param_shapes import check_params
from lib.symbols.initialise import initial_value, of_first_pass
from lib.symbols.registry import BACKBONES


class SymbolBase:
    """Base of the network classes. `sym` is the symbol that was built last; the methods here are about that one.

    A subclass that fixes `depth` has the original's size, whatever the config.
    """

    depth = None

    def __init__(self):
        self.sym = None
        self.arg_shape_dict, self.out_shape_dict, self.aux_shape_dict = {}, {}, {}
        self._inputs = ()

    def backbone(self, cfg):
        """Return the backbone that cfg.network describes (lib/symbols/backbones).

        Raises ConfigError where it does not exist, and where the config asks for another size than a fixed one.
        """
        network = cfg.network
        if self.depth is not None:
            given = (network.backbone, network.depth, network.width, network.stem_width or network.width,
                     network.flow_width, network.flow)
            if given != ('resnet_v1', self.depth, 1.0, 1.0, 1.0, 'flownet'):
                raise ConfigError(
                    'the network %s has a fixed size: depth %d, width 1, flow flownet, flow_width '
                    '1. For another, set symbol to %s'
                    % (cfg.symbol, self.depth, type(self).__bases__[0].__name__))
        return BACKBONES.get(network.backbone)(network)

    def group(self, outputs):
        """Make the outputs the network's symbol, and return it."""
        self.sym = mx.sym.Group(outputs)
        return self.sym

    def infer_shape(self, data_shape_dict):
        """Fill arg_shape_dict, out_shape_dict and aux_shape_dict, {name: shape}, from {input name: shape}."""
        arg_shapes, out_shapes, aux_shapes = self.sym.infer_shape(**data_shape_dict)
        self.arg_shape_dict = dict(zip(self.sym.list_arguments(), arg_shapes))
        self.out_shape_dict = dict(zip(self.sym.list_outputs(), out_shapes))
        self.aux_shape_dict = dict(zip(self.sym.list_auxiliary_states(), aux_shapes))
        self._inputs = tuple(data_shape_dict)

    def check_parameter_shapes(self, arg_params, aux_params, data_shape_dict, is_train=True):
        """Compare parameters with what the network needs.

        Args:
            arg_params, aux_params: {name: array} of the arguments and the auxiliary states.
            data_shape_dict: {input name: shape}.
            is_train: whether the arguments with `label` in their names are needed, too.

        Raises:
            CheckpointError: parameters are missing, or one has another shape; names them.
        """
        self.infer_shape(data_shape_dict)
        arguments = {name: shape for name, shape in self.arg_shape_dict.items()
                     if name not in data_shape_dict and (is_train or 'label' not in name)}
        check_params([(arguments, arg_params), (self.aux_shape_dict, aux_params)])

    def init_weight(self, cfg, arg_params, aux_params):
        """Add first values, drawn with TRAIN.SEED, for all parameters that are absent.

        Those of the flow network's further passes (network.FLOW_PASSES) start as copies of the first one's.

        Call infer_shape (or check_parameter_shapes) before.

        Args:
            cfg: the settings.
            arg_params, aux_params: {name: NDArray}; changed.

        Returns:
            [name] of those that were added.
        """
        added = []
        for needed, given in ((self.arg_shape_dict, arg_params), (self.aux_shape_dict, aux_params)):
            for name, shape in needed.items():
                if name in given or name in self._inputs:
                    continue
                if of_first_pass(name) in given:
                    given[name] = given[of_first_pass(name)].copy()
                else:
                    given[name] = mx.nd.array(initial_value(name, shape, cfg.TRAIN.SEED))
                    added.append(name)
        return added
