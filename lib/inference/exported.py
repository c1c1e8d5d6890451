"""A trained network as one folder that the demos run without a YAML file, and without the code that builds networks.

    model.json                what it is, and its settings: classes, pixel means, SCALES, key-frame interval, thresholds
    <name>.<operators>.json   its test networks, batch normalisation folded: `frame`, or `key` and `current` of DFF, or
                              `feature`, `flow` and `window` of FGFA; of native operators and of MXNet's own, the
                              first where they are built
    model-0000.params         their parameters; or, a quarter of that in size, model-0000.npz (lib.engine.compact.py)
"""
import functools
import json
import os

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.engine.checkpoint import file_name, load_params, save_arrays
from lib.engine.param_shapes import check_params
from lib.graph.exported_network import FRAME_INPUTS, LABEL
from lib.graph.inference_graph import fold_batch_norm
from lib.graph.network_rules import check_nodes
from lib.graph.symbol_file import read_symbol
from lib.engine.compact import FILE as COMPACT, load_compact, save_compact
from lib.inference.exported_check import Fit, check_settings, mxnet_refusing, reach_of, window_inputs
from lib.inference.exported_check import largest_input as largest_of
from lib.inference.key_frames import check_stride, input_format
from lib.operator_cxx import loader
from lib.graph.graph import Graph
from dff.errors import CheckpointError, ConfigError, shown
from dff.files import atomic_path
from dff.frames import largest_input
from dff.runtime import speed_record
from dff.runtime.onnx_networks import ENDINGS, NAMES

FORMAT = 1
INDEX = 'model.json'
INPUTS = FRAME_INPUTS | {LABEL}
NATIVE, BUILT_IN = 'native', 'built_in'


def export_model(config, instance, arg_params, aux_params, classes, folder, source, compact=False):
    """Write a network with its parameters into a folder.

    Args:
        config: its settings.
        instance: of its symbol class.
        arg_params, aux_params: {name: NDArray}.
        classes: what dataset.CLASSES shall list.
        folder: made if needed.
        source: what messages call the parameters, and what model.json keeps of their origin.
        compact: weights as 8-bit integers (lib.engine.compact.py).

    What an earlier export wrote there goes first, its ONNX files too, but not before all is ready to be written.

    Raises CheckpointError where parameters are missing or of another network.FEATURE_STRIDE, or a file cannot be
    written, ConfigError where the settings ask for what an exported model does not do.
    """
    check_exportable(config.TEST)
    check_stride(config, arg_params, source)
    texts, params, shapes = {}, {}, _input_shapes(config, instance)

    def folded():
        return {name: _folded(symbol, shapes, arg_params, aux_params, params, source)
                for name, symbol in instance.test_networks(config).items()}
    with loader.built_in():
        texts[BUILT_IN] = folded()
    if loader.load():
        texts[NATIVE] = folded()
    _remove_earlier(folder)
    _save_params(folder, params, compact)
    index = {'format': FORMAT, 'networks': sorted(texts[BUILT_IN]), 'operators': sorted(texts), 'made_from': source,
             'settings': _settings(config, classes)}
    files = {'%s.%s.json' % (name, operators): text
             for operators, named in texts.items() for name, text in named.items()}
    try:
        # The index comes last: a folder without it is no model.
        for name, text in list(files.items()) + [(INDEX, json.dumps(index, indent=1))]:
            with atomic_path(os.path.join(folder, name)) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
                stream.write(text)
    except OSError as error:
        raise CheckpointError('cannot write %s: %s' % (os.path.join(folder, name), error.strerror)) from error


def _remove_earlier(folder):
    """What makes `folder` an earlier model, the index first: an export that is stopped leaves no mixture of both."""
    onnx = [name + ending for name in sorted(set(sum(NAMES, ()))) for ending in ENDINGS.values()]
    for name in [INDEX, file_name('model', 0), COMPACT, speed_record.FILE, *onnx]:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            try:
                os.remove(path)
            except OSError as error:
                raise CheckpointError('cannot replace %s: %s' % (path, error.strerror)) from error


def _save_params(folder, params, compact):
    """The parameters in one of their two forms."""
    if compact:
        save_compact(folder, params)
    else:
        save_arrays(file_name(os.path.join(folder, 'model'), 0),
                    {'arg:' + name: mx.nd.array(value) for name, value in params.items()})


def check_exportable(test):
    """Raise ConfigError for TEST settings `test` that ask for networks which exports do not have."""
    if test.AGGREGATE != 'none':
        raise ConfigError('TEST.AGGREGATE: %s is not for exported models, whose key networks take one image: export '
                          'with --set TEST.AGGREGATE=none' % test.AGGREGATE)


def _input_shapes(config, instance):
    """{input of the test networks: shape} at the largest size that SCALES allows."""
    image = (1, 3) + largest_input(input_format(config))
    shapes = {'data': image, 'data_key': image, 'im_info': (1, 3)}
    if instance.propagates:
        feature = instance.key_feature(instance.test_networks(config)['key'])
        shapes['feat_key'] = feature.infer_shape(data=image)[1][0]
    if instance.aggregates:
        kept = instance.test_networks(config)['feature'].infer_shape(data=image)[1]
        shapes.update(window_inputs(kept, config.TEST.KEY_FRAME_INTERVAL), data_ref=image)
    return shapes


def _folded(symbol, shapes, arg_params, aux_params, params, source):
    """The JSON text of `symbol` with its normalisation folded; its parameters are added to `params`."""
    inputs = set(symbol.list_arguments()) & set(shapes)
    arg_shapes, _, aux_shapes = symbol.infer_shape(**{name: shapes[name] for name in inputs})
    needed = {name: shape for name, shape in zip(symbol.list_arguments(), arg_shapes) if name not in INPUTS}
    check_params([(needed, arg_params), (dict(zip(symbol.list_auxiliary_states(), aux_shapes)), aux_params)], source)
    graph, arguments = Graph(symbol), dict(arg_params)
    fold_batch_norm(graph, arguments, aux_params)
    symbol = graph.symbol()
    params.update({name: arguments[name] for name in symbol.list_arguments() if name not in INPUTS})
    left = symbol.list_auxiliary_states()
    if left:
        raise CheckpointError('%s: %s is not behind a convolution, and cannot be folded' % (source, left[0]))
    return symbol.tojson()


def _settings(config, classes):
    """What running the network takes of the settings, as plain values."""
    network = {key: value for key, value in config.network.items()
               if not key.startswith(('pretrained', 'FIXED_PARAMS'))}
    test = {key: value for key, value in config.TEST.items() if key != 'test_epoch'}
    dataset = {'dataset': config.dataset.dataset, 'NUM_CLASSES': config.dataset.NUM_CLASSES, 'CLASSES': list(classes)}
    return {'symbol': config.symbol, 'CLASS_AGNOSTIC': config.CLASS_AGNOSTIC, 'SCALES': list(config.SCALES[0]),
            'network': network, 'dataset': dataset, 'TEST': test}


def is_exported(path):
    """Whether `path` is a folder that export_model wrote, and not the prefix of a checkpoint."""
    return bool(path) and os.path.isfile(os.path.join(path, INDEX))


def exported_settings(folder):
    """The settings, a tree as of a YAML file, of an exported folder. Raises CheckpointError."""
    return _index(folder)['settings']


def load_exported(folder, network):
    """Return (network, (arg_params, aux_params), name of the parameter file) of an exported folder.

    Args:
        folder: that export_model wrote.
        network: instance of the symbol class that its settings name; what the outputs mean is asked of it.

    The network returned gives the symbols of the folder, whatever its settings. Its `check_size` is called
    with the height and width of every input, and `guard()` around what runs it. Raises CheckpointError where
    a file is missing, damaged, or holds what no export writes, or another kind of network.
    """
    index = _index(folder)
    operators = NATIVE if NATIVE in index['operators'] and loader.load() else BUILT_IN
    if (network.propagates, network.aggregates) != ('key' in index['networks'], 'window' in index['networks']):
        raise CheckpointError('%s: the networks in it are not those of %s; export the model again'
                              % (os.path.join(folder, INDEX), type(network).__name__))
    paths = {name: os.path.join(folder, '%s.%s.json' % (name, operators)) for name in index['networks']}
    symbols = {name: (path, read_symbol(path, check_nodes)) for name, path in paths.items()}
    prefix = os.path.join(folder, 'model')
    if os.path.isfile(os.path.join(folder, COMPACT)):
        params, source = (load_compact(folder), {}), os.path.join(folder, COMPACT)
    else:
        params, source = load_params(prefix, 0), file_name(prefix, 0)
    fit = Fit(symbols, index['settings'], network.recognises, params[0], source)
    fit(*largest_of(index['settings']))
    symbols = {name: symbol for name, (_, symbol) in symbols.items()}
    exported = _Exported(network, symbols, fit, params[0], source, reach_of(index['settings']))
    return exported, params, source


def _index(folder):
    path = os.path.join(folder, INDEX)
    try:
        with open(path, encoding='utf-8') as stream:
            index = json.load(stream)
        known = (index['format'] == FORMAT and isinstance(index['settings']['symbol'], str)
                 and BUILT_IN in index['operators']
                 and index['networks'] in (['frame'], ['current', 'key'], ['feature', 'flow', 'window']))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError('%s is damaged (%s); export the model again' % (path, shown(error))) from error
    if not known:
        raise CheckpointError('%s is of another version of this project; export the model again' % path)
    check_settings(index['settings'], path)
    return index


class _Exported:
    """A symbol class whose test networks were read from files."""

    def __init__(self, network, symbols, check_size, arg_params, source, reach):
        self._symbols, self._network, self._params, self._source = symbols, network, arg_params, source
        self._reach = reach
        self.check_size, self.guard = check_size, functools.partial(mxnet_refusing, source)
        self.propagates, self.recognises = network.propagates, network.recognises
        self.key_feature, self.head_outputs = network.key_feature, network.head_outputs
        self.can_aggregate, self.aggregates = False, network.aggregates
        self.flow_mismatch, self.flow = network.flow_mismatch, network.flow

    def between_network(self, cfg):
        """Return the test network for frames between two key frames, None where there is none.

        It is no file of the folder: this code makes it, of the parameters of the network for other frames, in which
        no normalisation was folded. Raises CheckpointError where they are not of the sizes that `cfg` says.
        """
        symbol = self._network.between_network(cfg)
        if symbol is not None:
            one = _input_shapes(cfg, self._network)
            shapes = dict(one, key_share=(1,), **{name: (2,) + one[name][1:] for name in ('data_key', 'feat_key')})
            inputs = set(symbol.list_arguments()) & set(shapes)
            with self.guard():
                found = symbol.infer_shape(**{name: shapes[name] for name in inputs})[0]
            needed = {name: shape for name, shape in zip(symbol.list_arguments(), found)
                      if name not in shapes and name not in INPUTS}
            check_params([(needed, self._params)], self._source)
        return symbol

    def test_networks(self, cfg):
        """Return {name: symbol}, as NetworkOutputs does; `cfg` changes nothing.

        Raises ConfigError where it asks for another window than the networks are for.
        """
        if self.aggregates and cfg.TEST.KEY_FRAME_INTERVAL != self._reach:
            raise ConfigError('this model was exported for windows of %d frames to each side, found %d: export it with '
                              '--interval %d, or to ONNX, where any goes'
                              % (self._reach, cfg.TEST.KEY_FRAME_INTERVAL, cfg.TEST.KEY_FRAME_INTERVAL))
        return dict(self._symbols)
