"""Training of the flow network, on any source of pairs."""
import os
import tempfile
from collections import namedtuple

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np

from lib.engine.checkpoint import load_params, save_arrays
from lib.engine.trained_with import write_settings
from lib.train.lr_scheduler import WarmupMultiFactorScheduler
from lib.train.module import MutableModule
from lib.flow.pairs import PairLoader
from lib.symbols.flownet import cells_of_unit, flownet, predictions, settings_of
from lib.symbols.initialise import initial_value, of_first_pass
from dff.errors import CheckpointError

# Weights in the loss, from coarse to fine; not every flow network has all.
COARSER = {'Convolution1': 0.1, 'Convolution2': 0.1, 'Convolution3': 0.2, 'Convolution4': 0.3}      # of others 1
EPSILON = 1e-6
VALIDATION_BATCHES = 4
# error, zero: end-point error and that of zero flow, feature-map pixels, means since the last record; validation: error
# over that of zero flow for held-out pairs, where it was measured.
Record = namedtuple('Record', 'batch error zero validation')


def train_flow(source, config, path, batches, batch_size, lr, logger, context, start=None,
               validation=None, frequent=100):
    """Train the flow network of `config` and write its parameters.

    With Adam; the rate halves four times on the way.

    Args:
        source: of pairs, see lib/flow/pairs.py.
        config: the settings.
        path: .params file to write.
        batches, batch_size: how many batches, of how many pairs.
        lr: learning rate at the beginning.
        logger: told the error every `frequent` batches.
        context: mx.Context to train on.
        start: prefix of parameters to go on from, or None.
        validation: a source of pairs to measure at every tenth of the way, where the parameters so
            far are written, too; or None.
        frequent: batches between two records.

    Returns:
        [Record]

    Raises:
        ConfigError, DataError, CheckpointError
    """
    _check_writable(path)
    symbol, labels = flow_symbol(config, (batch_size, 3) + tuple(config.SCALES[0]),
                                 getattr(source, 'weighted', False))
    loader = PairLoader(source, config, batches, batch_size, labels)
    module = _module(symbol, loader, config, start, batches, lr, logger, context)
    held_out = list(
        PairLoader(validation, config, VALIDATION_BATCHES, batch_size, labels,
                   'validation')) if validation else []
    errors, records = [], []
    unit = cells_of_unit(config.network.RCNN_FEAT_STRIDE)
    for number, batch in enumerate(loader, start=1):
        module.forward(batch)
        module.backward()
        module.update()
        errors.append(_errors(module, batch, unit))
        if number % frequent == 0 or number == batches:
            due = number == batches or number % max(frequent, batches // 10 // frequent * frequent) == 0
            measured = _measure(module, held_out, unit) if due and held_out else None
            record = Record(number, *map(float, np.mean(errors, axis=0)), measured)
            records.append(record)
            errors = []
            logger.info('pair batch %d/%d  end-point error %.3f feature-map pixels (zero flow: %.3f)%s' % (
                number, batches, record.error, record.zero,
                '' if measured is None else '  held-out pairs: %.3f of zero flow\'s' % measured))
            if due:
                save_arrays(path, {'arg:' + name: array for name, array in module.get_params()[0].items()})
                write_settings(path, config)
    return records


def _check_writable(path):
    """Raises CheckpointError where `path` cannot be written, before a training of hours instead of behind it."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise CheckpointError('cannot write %s: %s' % (path, error.strerror)) from error


def flow_symbol(config, shape, weighted=False):
    """Return (symbol, [(name, (h, w))] of its labels, coarse to fine).

    Its outputs are the mean end-point error at all scales, and the finest prediction.

    Args:
        config: the settings.
        shape: of the images, [B, 3, H, W].
        weighted: the labels have a third channel, the weight of the error there.
    """
    network = config.network
    images = mx.sym.Variable('data'), mx.sym.Variable('data_ref')
    flow, _ = flownet(*images, network.DFF_FEAT_DIM, training=True, **settings_of(network))
    found = predictions(flow)
    losses = []
    for name, prediction in found.items():
        truth = mx.sym.Variable('flow_' + name)
        if weighted:
            weight = mx.sym.sum(mx.sym.slice_axis(truth, axis=1, begin=2, end=3), axis=1)
            truth = mx.sym.slice_axis(truth, axis=1, begin=0, end=2)
        distance = mx.sym.square(prediction - truth)
        distance = mx.sym.sqrt(mx.sym.sum(distance, axis=1) + EPSILON)
        if weighted:
            distance = distance * weight
        losses.append(mx.sym.MakeLoss(mx.sym.mean(distance), grad_scale=COARSER.get(name, 1.0), name='error_' + name))
    finest = list(found.values())[-1]
    _, sizes, _ = mx.sym.Group(list(found.values())).infer_shape(data=shape, data_ref=shape)
    labels = [('flow_' + name, size[2:]) for name, size in zip(found, sizes)]
    return mx.sym.Group(losses + [mx.sym.BlockGrad(finest)]), labels


def _module(symbol, loader, config, start, batches, lr, logger, context):
    """A module with its first parameters and its optimizer."""
    names = [name for name, _ in loader.provide_data], [name for name, _ in loader.provide_label]
    module = MutableModule(symbol, *names, logger=logger, context=context)
    shapes, _, _ = symbol.infer_shape(**dict(loader.provide_data + loader.provide_label))
    args = load_params(start, 0)[0] if start else {}
    for name, shape in zip(symbol.list_arguments(), shapes):
        if name not in names[0] + names[1] and name not in args:
            first = args.get(of_first_pass(name))
            args[name] = mx.nd.array(initial_value(name, shape, config.TRAIN.SEED)) if first is None else first.copy()
    module.bind(loader.provide_data, loader.provide_label)
    module.init_params(arg_params=args, aux_params={})
    steps = [batches * part // 8 for part in (4, 5, 6, 7)]
    module.init_optimizer(optimizer='adam', optimizer_params={
        'learning_rate': lr, 'lr_scheduler': WarmupMultiFactorScheduler(steps, 0.5)})
    return module


def _errors(module, batch, unit):
    """(end-point error, that of zero flow) of the finest prediction for a batch, feature-map pixels.

    unit: of those, for one of the predictions.
    """
    flow, label = module.get_outputs()[-1].asnumpy(), batch.label[-1].asnumpy()
    truth, weight = label[:, :2], label[:, 2] if label.shape[1] > 2 else None
    return [unit * np.average(np.linalg.norm(value, axis=1), weights=weight) for value in (flow - truth, truth)]


def _measure(module, batches, unit):
    """Mean end-point error over `batches`, relative to that of zero flow."""
    errors = []
    for batch in batches:
        module.forward(batch, is_train=False)
        errors.append(_errors(module, batch, unit))
    error, zero = np.mean(errors, axis=0)
    return float(error / zero)
