"""Training of all tasks: from settings to checkpoints."""
import contextlib
import os
import pprint

from lib.config.checks import lr_steps
from lib.engine.devices import contexts
from lib.train.averages import Averages
from lib.train.callback import Progress
from lib.engine.checkpoint import BEST, averages_of, load_arrays, load_params, seed_epoch
from lib.train.checkpointer import Checkpointer, remove_unfinished, resume_position
from lib.engine.distributed import connect
from lib.train.divergence import LossWatch
from lib.train.fine_tuning import check_values, drop_class_layers, read_pretrained, report_meaning, report_new
from lib.train.frozen import describe_fixed, fixed_param_names, with_stored_statistics
from lib.train.lr_scheduler import WarmupMultiFactorScheduler, effective_lr_report
from lib.train.module import MutableModule
from lib.train.resume import compare, data_of, find_start, settings_of
from lib.train.watch.reports import memory_mb, open_reports
from lib.train.watch.validation import (EnoughValidated, Validation, open_validation,
                                        validation_is_missing)
from lib.symbols.registry import get_symbol_instance
from dff.errors import Stopped
from lib.utils.log import create_logger, log_file
from lib.jobs.output_lock import one_writer
from lib.utils.stop import StopRequest


def train_net(task, config, cfg_path):
    """Train the network of `config` and write checkpoints; returns their prefix.

    Args:
        task: a lib.tasks.task.Task; each labelled frame is trained on together with its `references`.
        config: its settings.
        cfg_path: their file, whose name the output folder has.

    Raises ConfigError, DataError, CheckpointError, DivergenceError, SetupError, and Stopped after a signal.
    """
    group = connect(config.default.kvstore)
    logger, folder = create_logger(config, cfg_path, config.dataset.image_set, quiet=group.rank > 0)

    def train():
        with open_reports(config, log_file(logger)) as reports:
            return _train(task, config, cfg_path, group, logger, folder, reports)
    if group.rank:
        return train()
    with one_writer(folder, logger.info, lambda: remove_unfinished(folder, config.TRAIN.model_prefix)):
        return train()


def _train(task, config, cfg_path, group, logger, folder, reports):
    """Train with the workers of `group`, in the output folder; as train_net. reports: as of open_reports."""
    prefix = os.path.join(folder, config.TRAIN.model_prefix)
    logger.debug('settings of %s:\n%s', cfg_path, pprint.pformat(config))
    devices = contexts(config.gpus, logger.info)

    start = find_start(config, prefix, logger, group)
    if start and start.epoch >= config.TRAIN.end_epoch and not validation_is_missing(start, config):
        return prefix
    validates = config.TRAIN.VALIDATE_EVERY > 0
    validation_run = open_validation(task, config) if validates and not group.rank else None
    loader = task.kind.train_loader(config, len(devices), task.references)
    loader.share(group.rank, group.size)
    classes = task.kind.class_lines(config)
    facts = {'settings': settings_of(config),
             'data': data_of(config, loader, classes, len(devices) * group.size)}
    if start:
        compare(start, config, facts['data'], prefix, logger.info)
    symbol, fixed, params = make_network(config, loader, classes, prefix, start, logger)
    lr_report = effective_lr_report(config.TRAIN.lr, len(devices) * group.size,
                                    config.TRAIN.BATCH_IMAGES, task.kind.lr_rule)
    logger.info(lr_report)

    data_shapes, label_shapes = loader.max_shapes()
    module = MutableModule(symbol, loader.data_names, loader.label_names, logger=logger, context=devices,
                           fixed_param_names=fixed, max_data_shapes=data_shapes, max_label_shapes=label_shapes)
    first_batch = go_on(module, loader, start, logger) if start else 0
    optimizer = optimizer_params(config, loader.batches_per_epoch)
    report_start(config, start, first_batch, optimizer, loader.batches_per_epoch, logger.info)
    seed_epoch(config.TRAIN.SEED, config.TRAIN.begin_epoch, first_batch)
    metrics = task.kind.train_metrics()
    progress = make_progress(config, loader, logger, group.size, reports, optimizer, devices)
    averages = open_averages(module, config, prefix, start, logger.info)
    validation = None
    if validates:
        validation = Validation(validation_run, config, prefix, devices, group, classes, logger,
                                reports, progress.pause, loader.batches_per_epoch)
    with StopRequest() as stop, ending_early(config, logger.info, progress):
        checkpointer = Checkpointer(module, prefix, config, loader, stop, group, facts, averages,
                                    validation)
        checkpointer.catch_up(start, first_batch, params)
        callbacks = [LossWatch(metrics, config.TRAIN.MAX_LOSS, len(devices), lr_report), progress,
                     report_unusable(loader, logger), averages, checkpointer.end_batch]
        callbacks = count_from(config.TRAIN.begin_epoch, first_batch, filter(None, callbacks))
        module.fit(loader, eval_metric=metrics, batch_end_callback=callbacks,
                   epoch_end_callback=checkpointer.end_epoch, kvstore=group.kvstore, optimizer='sgd',
                   optimizer_params=optimizer, arg_params=params[0], aux_params=params[1],
                   begin_epoch=config.TRAIN.begin_epoch, num_epoch=config.TRAIN.end_epoch)
    if stop.received:
        raise Stopped('stopped by a signal; the training itself is complete', stop.received)
    return prefix


@contextlib.contextmanager
def ending_early(config, report, progress):
    """Where the body ends by TRAIN.PATIENCE, say so; a test that asks for no epoch takes the best.

    Args:
        config: the settings, whose TEST.test_epoch of -1 becomes `best`.
        report: called with a line.
        progress: the Progress, whose bar goes.
    """
    try:
        yield
    except EnoughValidated as end:
        progress.close()
        report(str(end))
        if config.TEST.test_epoch == -1:
            config.TEST.test_epoch = BEST


def open_averages(module, config, prefix, start, report):
    """Return the Averages of TRAIN.EMA; None where it is 0.

    Args:
        module: the MutableModule to train.
        config: the settings.
        prefix: of the checkpoints.
        start: the Checkpoint to go on from, or None.
        report: called with a line where it has none.

    Raises CheckpointError for averages that cannot be read.
    """
    if not config.TRAIN.EMA:
        return None
    before = None
    if start and 'averages' in start.record['sha256']:
        before = load_params(averages_of(prefix), start.epoch, start.batch)
    elif start:
        report('TRAIN.EMA: %s has no averages: they begin with its parameters' % start.params_file)
    return Averages(module, config.TRAIN.EMA, before)


def make_network(config, loader, classes, prefix, start, logger):
    """Return (symbol, names of frozen parameters, (arg_params, aux_params) to start from).

    config, loader, classes, prefix, start, logger: as of initial_params. Raises CheckpointError.
    """
    instance = get_symbol_instance(config)
    symbol = instance.get_train_symbol(config)
    params = initial_params(config, instance, loader, classes, prefix, start, logger)
    inputs = loader.data_names + loader.label_names
    fixed = fixed_param_names(symbol, inputs, config.network)
    symbol = with_stored_statistics(symbol, inputs + fixed)
    logger.info(describe_fixed(fixed, len(set(symbol.list_arguments()) - set(inputs)), config.network))
    return symbol, fixed, params


def go_on(module, loader, start, logger):
    """Return how many batches of the epoch a checkpoint has done; continue from there.

    Args:
        module: MutableModule; given the optimizer's states.
        loader: TrainLoader; moved to the place.
        start: the Checkpoint.
        logger: told where the place is counted anew.
    """
    batch, num_update = resume_position(start, loader.batches_per_epoch, logger.info)
    module.preload_optimizer_states(load_arrays(start.states_file), num_update, start.states_file)
    loader.skip_to(batch)
    return batch


def make_progress(config, loader, logger, processes, reports, optimizer, devices):
    """Return the Progress of a run, and report its start.

    Args:
        config: the settings.
        loader: TrainLoader of this process.
        logger: for its lines.
        processes: number of processes that train together.
        reports: callables of a report for programs.
        optimizer: optimizer_params of the run.
        devices: [mx.Context].
    """
    images, batches = loader.batch_size * processes, loader.batches_per_epoch
    scheduler = optimizer['lr_scheduler']
    scheduler.base_lr = optimizer['learning_rate']
    for report in reports:
        report({'kind': 'start', 'batches': batches, 'begin_epoch': config.TRAIN.begin_epoch,
                'end_epoch': config.TRAIN.end_epoch, 'images_per_batch': images})
    return Progress(batches, images, config.default.frequent, logger, config.TRAIN.end_epoch,
                    waited=lambda: loader.waited, reports=reports,
                    extra=lambda update: dict(memory_mb(devices), rate=scheduler(update)))


def report_unusable(loader, logger):
    """A batch_end_callback that logs each image that `loader` leaves out, once."""
    seen = set()

    def callback(_):
        for image, reason in list(loader.unusable.items()):
            if image not in seen:
                seen.add(image)
                logger.info('image %d left out (TRAIN.SKIP_BAD_IMAGES): %s', len(seen), reason)
    return callback


def count_from(epoch, first_batch, callbacks):
    """Return a batch_end_callback that calls all `callbacks` with the right numbers of batches.

    Those are as in a run that began in `epoch` behind its first `first_batch` batches.
    """
    callbacks = list(callbacks)

    def callback(param):
        if param.epoch == epoch:
            param = param._replace(nbatch=param.nbatch + first_batch)
        for function in callbacks:
            function(param)
    return callback


def initial_params(config, instance, loader, classes, prefix, start, logger):
    """Return the parameters to start from, ({name: NDArray}, {name: NDArray}).

    They are those of a checkpoint to resume, else of the pretrained files, and first values for
    what these lack. Pretrained files may be of other classes or anchors
    (lib/train/fine_tuning.py).

    Args:
        config: the settings.
        instance: the network's object, whose symbol for training was built last.
        loader: TrainLoader, whose first batch tells the shapes of inputs.
        classes: class lines of the settings.
        prefix: of the checkpoints.
        start: the Checkpoint to resume from, or None.
        logger: told which files were read, and what is new.

    Raises:
        CheckpointError: a file is missing, damaged or does not fit the network.
    """
    if start:
        arg_params, aux_params = load_params(prefix, start.epoch, start.batch)
    else:
        arg_params, aux_params, origins = read_pretrained(config.network, logger.info)
    shapes = dict(loader.provide_data[0] + loader.provide_label[0])
    instance.infer_shape(shapes)
    if not start:
        drop_class_layers(instance, arg_params, logger.info)
        check_values(instance, {**arg_params, **aux_params}, origins)
        report_meaning(config, instance, classes, origins, arg_params, logger.info)
        report_new(instance.init_weight(config, arg_params, aux_params), logger.info)
    instance.check_parameter_shapes(arg_params, aux_params, shapes)
    return arg_params, aux_params


def optimizer_params(config, batches_per_epoch):
    """SGD's settings, with the learning-rate steps turned from epochs into batches.

    The schedule counts from epoch 0, also where TRAIN.begin_epoch is a later one.
    """
    train = config.TRAIN
    steps = [int(step * batches_per_epoch) for step in lr_steps(train.lr_step)]
    return {'momentum': train.momentum, 'wd': train.wd, 'learning_rate': train.lr, 'rescale_grad': 1.0,
            'clip_gradient': train.clip_gradient or None,
            'begin_num_update': train.begin_epoch * batches_per_epoch,
            'lr_scheduler': WarmupMultiFactorScheduler(steps, train.lr_factor, train.warmup, train.warmup_lr,
                                                       train.warmup_step)}


def report_start(config, start, first_batch, optimizer, batches_per_epoch, report):
    """Say where a run that does not begin with epoch 1 goes on, and at which learning rate.

    Args:
        config: settings.
        start: the Checkpoint that is resumed; None: parameters alone.
        first_batch: batches of the first epoch that are done.
        optimizer: optimizer_params of the run.
        batches_per_epoch: batches in an epoch.
        report: called with the line.
    """
    train, scheduler = config.TRAIN, optimizer['lr_scheduler']
    if (not start and not train.begin_epoch) or train.begin_epoch >= train.end_epoch:
        return
    scheduler.base_lr = optimizer['learning_rate']
    rate = scheduler(train.begin_epoch * batches_per_epoch + first_batch + 1)
    alone = ('; TRAIN.begin_epoch without TRAIN.RESUME: from parameters alone, with new momentum'
             if not start else '')
    report('epochs %d to %d are trained, from learning rate %g on%s'
           % (train.begin_epoch + 1, train.end_epoch, rate, alone))
