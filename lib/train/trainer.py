"""Training of all tasks: from settings to checkpoints."""
import os
import pprint

from lib.config.checks import lr_steps
from lib.utils.paths import resolve
from lib.engine.devices import contexts
from lib.train.callback import Progress
from lib.engine.checkpoint import load_arrays, load_params, seed_epoch
from lib.train.checkpointer import Checkpointer, remove_unfinished, resume_position
from lib.engine.distributed import connect
from lib.train.divergence import LossWatch
from lib.train.fine_tuning import drop_class_layers, report_new
from lib.train.lr_scheduler import WarmupMultiFactorScheduler, effective_lr_report
from lib.train.module import MutableModule
from lib.train.resume import compare, data_of, find_start, settings_of
from lib.graph.graph import Graph
from lib.symbols.registry import get_symbol_instance
from dff.errors import Stopped
from lib.utils.log import create_logger
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
    if group.rank:
        return _train(task, config, cfg_path, group, logger, folder)
    with one_writer(folder, logger.info, lambda: remove_unfinished(folder, config.TRAIN.model_prefix)):
        return _train(task, config, cfg_path, group, logger, folder)


def _train(task, config, cfg_path, group, logger, folder):
    """Train with the workers of `group`, in the output folder; as train_net."""
    prefix = os.path.join(folder, config.TRAIN.model_prefix)
    logger.debug('settings of %s:\n%s', cfg_path, pprint.pformat(config))
    devices = contexts(config.gpus, logger.info)

    start = find_start(config, prefix, logger, group)
    if start and start.epoch >= config.TRAIN.end_epoch:
        return prefix
    loader = task.kind.train_loader(config, len(devices), task.references)
    loader.share(group.rank, group.size)
    classes = task.kind.class_lines(config)
    facts = {'settings': settings_of(config),
             'data': data_of(config, loader, classes, len(devices) * group.size)}
    if start:
        compare(start, config, facts['data'], prefix, logger.info)
    instance = get_symbol_instance(config)
    symbol = instance.get_train_symbol(config)
    arg_params, aux_params = initial_params(config, instance, loader, prefix, start, logger)
    inputs = loader.data_names + loader.label_names
    fixed = fixed_param_names(symbol, inputs, config.network)
    symbol = with_stored_statistics(symbol, inputs + fixed)
    logger.info(describe_fixed(fixed, len(set(symbol.list_arguments()) - set(inputs)), config.network))
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
    with StopRequest() as stop:
        checkpointer = Checkpointer(module, prefix, config, loader, stop, group, facts)
        callbacks = [
            LossWatch(metrics, config.TRAIN.MAX_LOSS, len(devices), lr_report),
            make_progress(config, loader, logger, group.size),
            report_unusable(loader, logger), checkpointer.end_batch]
        module.fit(loader, eval_metric=metrics,
                   batch_end_callback=count_from(config.TRAIN.begin_epoch, first_batch, callbacks),
                   epoch_end_callback=checkpointer.end_epoch, kvstore=group.kvstore, optimizer='sgd',
                   optimizer_params=optimizer, arg_params=arg_params, aux_params=aux_params,
                   begin_epoch=config.TRAIN.begin_epoch, num_epoch=config.TRAIN.end_epoch)
    if stop.received:
        raise Stopped('stopped by a signal; the training itself is complete', stop.received)
    return prefix


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


def make_progress(config, loader, logger, processes):
    """Return the Progress of a run.

    Args:
        config: the settings.
        loader: TrainLoader of this process.
        logger: for its lines.
        processes: number of processes that train together.
    """
    return Progress(loader.batches_per_epoch, loader.batch_size * processes,
                    config.default.frequent, logger, config.TRAIN.end_epoch,
                    waited=lambda: loader.waited)


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
    def callback(param):
        if param.epoch == epoch:
            param = param._replace(nbatch=param.nbatch + first_batch)
        for function in callbacks:
            function(param)
    return callback


def initial_params(config, instance, loader, prefix, start, logger):
    """Return the parameters to start from, ({name: NDArray}, {name: NDArray}).

    They are those of a checkpoint to resume, else of the pretrained files, and first values for
    what these lack. Pretrained files may be of other classes or anchors
    (lib/train/fine_tuning.py).

    Args:
        config: the settings.
        instance: the network's object, whose symbol for training was built last.
        loader: TrainLoader, whose first batch tells the shapes of inputs.
        prefix: of the checkpoints.
        start: the Checkpoint to resume from, or None.
        logger: told which files were read, and what is new.

    Raises:
        CheckpointError: a file is missing, damaged or does not fit the network.
    """
    network = config.network
    if start:
        arg_params, aux_params = load_params(prefix, start.epoch, start.batch)
    else:
        arg_params, aux_params = {}, {}
        for name, epoch in ((network.pretrained, network.pretrained_epoch), (network.pretrained_flow, 0)):
            if name:
                args, auxs = load_params(resolve(name), epoch)
                arg_params.update(args)
                aux_params.update(auxs)
                logger.info('%d parameters from %s-%04d.params', len(args) + len(auxs), name, epoch)
    shapes = dict(loader.provide_data[0] + loader.provide_label[0])
    instance.infer_shape(shapes)
    if not start:
        drop_class_layers(instance, arg_params, logger.info)
        report_new(instance.init_weight(config, arg_params, aux_params), logger.info)
    instance.check_parameter_shapes(arg_params, aux_params, shapes)
    return arg_params, aux_params


def fixed_param_names(symbol, input_names, network):
    """Return the names of the parameters that training leaves as they are.

    Args:
        symbol: the network.
        input_names: arguments that are no parameters.
        network: settings; FIXED_PARAMS are the beginnings of names with FIXED_PARAMS_RULE
            'prefix', the original's for detection and DFF, and parts of names with 'substring',
            its rule for DeepLab.
    """
    def is_fixed(name):
        if network.FIXED_PARAMS_RULE == 'prefix':
            return name.startswith(tuple(network.FIXED_PARAMS))
        return any(part in name for part in network.FIXED_PARAMS)

    return [
        name for name in symbol.list_arguments()
        if name not in input_names and network.FIXED_PARAMS and is_fixed(name)
    ]


def with_stored_statistics(symbol, constants):
    """Return `symbol` with stored statistics in normalisations that nothing trained comes before.

    These are the ones behind nothing but `constants`, names of inputs and parameters. MXNet learns
    statistics in the backward pass, which does not come to such layers: in training they would go
    by each batch, and in tests by what was stored before.
    """
    graph, trained, changed = Graph(symbol), set(), False
    for node in graph.nodes():
        sources = node.inputs[:3] if node.op == 'BatchNorm' else node.inputs        # the others are statistics
        is_trained = node.name not in constants if node.op == 'null' else any(
            source in trained for source, _ in sources)
        if is_trained:
            trained.add(node)
        elif node.op == 'BatchNorm' and not node.get('use_global_stats', False):
            node.attributes['use_global_stats'] = 'True'
            changed = True
    return graph.symbol() if changed else symbol


def describe_fixed(fixed, total, network):
    """Return a line for the log: how many parameters are frozen, and which entries froze none.

    Args:
        fixed: names of the frozen ones.
        total: number of all parameters.
        network: settings, of which FIXED_PARAMS and FIXED_PARAMS_RULE count.
    """
    prefix = network.FIXED_PARAMS_RULE == 'prefix'
    idle = [p for p in network.FIXED_PARAMS if not any(n.startswith(p) if prefix else p in n for n in fixed)]
    line = '%d of %d parameters are frozen (network.FIXED_PARAMS as %s)' % (
        len(fixed), total, 'prefixes' if prefix else 'substrings')
    if fixed:
        line += ': %s ... %s' % (fixed[0], fixed[-1])
    if idle:
        line += '; no name matches %s' % ', '.join(idle)
    return line


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
    if not start and not train.begin_epoch:
        return
    scheduler.base_lr = optimizer['learning_rate']
    rate = scheduler(train.begin_epoch * batches_per_epoch + first_batch + 1)
    alone = ('; TRAIN.begin_epoch without TRAIN.RESUME: from parameters alone, with new momentum'
             if not start else '')
    report('epochs %d to %d are trained, from learning rate %g on%s'
           % (train.begin_epoch + 1, train.end_epoch, rate, alone))
