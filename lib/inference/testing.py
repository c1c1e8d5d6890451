"""Testing of all tasks: from a checkpoint to a figure of accuracy. What a kind of task adds is its TestRun."""
import contextlib
import hashlib
import logging
import os
from typing import NamedTuple, Optional

from dff.errors import CheckpointError, ConfigError
from dff.files import file_sha256, write_json
from lib.config.config import load_yaml
from lib.dataset.registry import get_dataset
from lib.engine.best import check_best
from lib.engine.checkpoint import BEST, averages_of, file_name, positions
from lib.engine.devices import contexts
from lib.engine.distributed import collects, own_part, place
from lib.engine.trained_with import check_training
from lib.inference.clip_runner import Source, check_workers, run_clips
from lib.symbols.registry import get_symbol_instance
from lib.utils.log import create_logger, output_folder
from lib.utils.paths import resolve
from lib.jobs.output_lock import one_writer, wait_for_first


class TestOptions(NamedTuple):
    """What the command line says of a test, beside the settings."""

    __test__ = False                    # nothing for pytest

    thresh: float = 1e-3                # lowest score of a detection
    interval: Optional[int] = None      # frames from one key frame to the next; None: TEST.KEY_FRAME_INTERVAL
    # segmentation: test at this distance from the key frame only; None: at all below the interval
    distance: Optional[int] = None
    vis: bool = False                   # also write pictures
    ignore_cache: bool = False          # run again where results of finished clips exist
    clips: int = 0                      # test on so many, spread over the image set; 0: on all


class TestRun:
    """One test of one task; base of those of the kinds of tasks.

    A subclass has
        jobs: what is run, objects with a `length` in frames;
        variant(): what tells its results from those of other intervals and settings, for the folder's name;
        settings(): what its results depend on, beside the network and the parameters;
        open_results(folder, origin, report, ignore_cache): a RunFolder;
        load_params(prefix, epoch, report): (arg_params, aux_params);
        make_work(device, params, source, pending, results): as run_on_devices wants it;
        evaluate(results, facts, report): the numbers for results.json, each line of the report
        going to `report`;
        name_of(job): the name of a job, for messages and comparisons;
        figure: the key of that which says how good the parameters are, more being better;
        title: what a report calls it.

    Args:
        task: a lib.tasks.task.Task.
        config: its settings.
        options: TestOptions.

    Raises ConfigError, DataError.
    """

    __test__ = False
    jobs = ()
    figure = title = ''

    def __init__(self, task, config, options):
        self.config, self.options = config, options
        self.image_set = config.dataset.test_image_set
        self.dataset = get_dataset(config, self.image_set, task.recognises)
        self.network = get_symbol_instance(config)
        has_interval = self.network.propagates or self.network.aggregates
        self.interval = (options.interval or config.TEST.KEY_FRAME_INTERVAL) if has_interval else 1

    def params_in_training(self, arg_params, aux_params):
        """Return what `load_params` would of a file with these parameters, {name: NDArray} each."""
        return arg_params, aux_params

    def origin(self, file):
        """Return everything that the results depend on, as a dict; file: of the parameters."""
        network = {key: value for key, value in self.config.network.items()
                   if not key.startswith(('pretrained', 'FIXED_PARAMS'))}
        return dict(self.settings(), symbol=self.config.symbol, SCALES=self.config.SCALES[:1], network=network,
                    parameters=file_sha256(file))


def spread(items, count):
    """Return `count` of a list's items, evenly spread; all for 0, or where there are fewer."""
    if not 0 < count < len(items):
        return items
    return [items[place * len(items) // count] for place in range(count)]


def test_net(task, config, cfg_path, **options):
    """Test the network of `config` on dataset.test_image_set and evaluate.

    Finished clips of an earlier run with the same parameters, settings and labels are kept unless
    ignore_cache is set. Workers of tools/launch.py share the clips, and the first one evaluates. Returns
    what results.json holds, None in the other workers.

    Args:
        task: a lib.tasks.task.Task.
        config: its settings.
        cfg_path: their file, whose name the output folder has.
        options: fields of TestOptions.

    Raises ConfigError, DataError, CheckpointError, SetupError.
    """
    options = TestOptions(**options)
    logger, folder = create_logger(config, cfg_path, config.dataset.test_image_set, quiet=place()[0] > 0)
    devices = contexts(config.gpus, logger.info)
    check_workers(config.TEST.WORKERS, devices)
    run = task.kind.test_run(task, config, options)
    file, prefix = parameter_file(config, cfg_path, task)
    epoch = config.TEST.test_epoch
    logger.info('testing %s: %s', _in_words(epoch, config.TRAIN), file)
    check_training(config, run.network, task.kind.class_lines(config), prefix, epoch)
    name = '%s_interval%d%s' % (os.path.basename(file)[:-len('.params')], run.interval, run.variant())
    if config.TEST.PRECISION == 'int8':
        name += '_int8'
    name += _of_other_data(task, config, cfg_path)
    results = run.open_results(os.path.join(folder, name), run.origin(file), logger.info, options.ignore_cache)

    def complete():
        return _complete(run, results, devices, (file, prefix, epoch), logger.info)
    if place()[0] == 0:
        with one_writer(results.folder, logger.info, results.begin):
            return complete()
    wait_for_first(results.folder, lambda: all(results.finished(job, options.vis) for job in run.jobs))
    return complete()


test_net.__test__ = False


def _complete(run, results, devices, parameters, report):
    """Run what is missing in `results` and evaluate; as test_net. parameters: (file, prefix, epoch)."""
    (file, prefix, epoch), options = parameters, run.options
    own = own_part(run.jobs, options.ignore_cache)
    pending = [job for job in own if not results.finished(job, options.vis)]
    if len(pending) < len(own):
        report('%d of %d clips are finished and kept: an earlier test had the same parameters (sha256 %s...), '
               'settings and frames; --ignore_cache runs them again'
               % (len(own) - len(pending), len(own), results.origin['parameters'][:12]))
    if pending:
        run_clips(run, results, pending, devices, Source(file, prefix, epoch), report)
    if not collects(run.jobs, lambda job: results.finished(job, options.vis)):
        return None
    facts = {'parameters': file, 'interval': run.interval, 'image_set': run.image_set}
    numbers = run.evaluate(results, facts, report)
    path = os.path.join(results.folder, 'results.json')
    write_json(path, numbers)
    report('all figures: %s', path)
    return numbers


def _of_other_data(task, config, cfg_path):
    """What results have in their folder's name where another data set is tested than the settings file names, else ''.

    The digest tells folders of one name from each other: none of their results replace those of another.
    """
    own = task.new_config().dataset
    with contextlib.suppress(ConfigError):      # it was good before a training of hours: the test must go on
        tree = load_yaml(cfg_path).get('dataset')
        own.update(tree if isinstance(tree, dict) else {})
    (name, path), other = ((str(each.dataset), os.path.realpath(resolve(str(each.dataset_path))))
                           for each in (config.dataset, own))
    if (name, path) == other:
        return ''
    digest = hashlib.sha256(('%s %s' % (name, path)).encode('utf-8', 'surrogateescape')).hexdigest()
    return '_%s-%s' % (os.path.basename(path), digest[:6])


def check_test_epoch(config, cfg_path):
    """Compare TEST.test_epoch with the epochs that training is going to make.

    A line is logged where it is not the last. config: settings; cfg_path: their file. Raises
    ConfigError where there will be no such epoch.
    """
    epoch, train = config.TEST.test_epoch, config.TRAIN
    if epoch == BEST:
        if not train.VALIDATE_EVERY:
            raise ConfigError('TEST.test_epoch is best, which validations find: set '
                              'TRAIN.VALIDATE_EVERY to the epochs between them')
        return
    remedy = 'Without TEST.test_epoch the last epoch, %d, is tested' % train.end_epoch
    if epoch > train.end_epoch:
        raise ConfigError('TEST.test_epoch is %d, but training ends with epoch %d '
                          '(TRAIN.end_epoch). %s' % (epoch, train.end_epoch, remedy))
    file = file_name(_tested_prefix(config, cfg_path), epoch)
    made = train.RESUME or epoch > train.begin_epoch
    if epoch >= 0 and not made and not os.path.isfile(file):
        raise ConfigError('TEST.test_epoch is %d, but epochs %d to %d are trained '
                          '(TRAIN.begin_epoch, TRAIN.end_epoch), and there is no %s. %s'
                          % (epoch, train.begin_epoch + 1, train.end_epoch, file, remedy))
    if 0 <= epoch < train.end_epoch:
        logging.getLogger('dff.config').warning(
            'TEST.test_epoch: epoch %d of %d will be tested. %s', epoch, train.end_epoch, remedy)


def check_classes(kind, config, prefix, epoch):
    """Raise CheckpointError where the best parameters are asked for, and are of other classes.

    Args:
        kind: of the task.
        config: the settings, with the classes.
        prefix, epoch: of the parameters; those of another epoch than BEST are not looked at.
    """
    if epoch == BEST:
        check_best(prefix, kind.class_lines(config))


def parameter_file(config, cfg_path, task):
    """Return (file, prefix) of the parameters that training wrote.

    Args:
        config: settings of the experiment. TEST.test_epoch is the epoch, or `best`; where it is -1,
            it is set to the last one trained: that of TRAIN.end_epoch, else the newest that is
            there. With TRAIN.EMA the parameters are the averaged ones.
        cfg_path: their file.
        task: a lib.tasks.task.Task, for the message.

    Raises CheckpointError where there are none, or the best are of other classes.
    """
    prefix = _tested_prefix(config, cfg_path)
    if config.TEST.test_epoch == BEST:
        if not os.path.isfile(file_name(prefix, BEST)):
            raise CheckpointError('%s does not exist: training with TRAIN.VALIDATE_EVERY writes '
                                  'it; TEST.test_epoch may be an epoch, too' % file_name(prefix, BEST))
        check_classes(task.kind, config, prefix, BEST)
        return file_name(prefix, BEST), prefix
    epochs = sorted(epoch for epoch, batch in positions(prefix, 'params') if not batch)
    epoch, key = config.TEST.test_epoch, 'TEST.test_epoch'
    if epoch < 0:
        epoch, key = config.TRAIN.end_epoch, 'TRAIN.end_epoch'
        if epochs and epoch not in epochs:
            epoch = epochs[-1]
    if epoch not in epochs:
        if epochs:
            hint = 'set TEST.test_epoch to one that is there (%s)' % ', '.join(map(str, epochs))
        else:
            hint = 'train first: python %s --cfg %s' % (task.train_script, cfg_path)
        if os.path.isfile(file_name(_prefix(config, cfg_path), BEST)):
            hint += '; or set TEST.test_epoch to best'
        raise CheckpointError('no parameters of epoch %d (%s) at %s; %s'
                              % (epoch, key, file_name(prefix, epoch), hint))
    config.TEST.test_epoch = epoch
    return file_name(prefix, epoch), prefix


def _in_words(epoch, train):
    """What is tested, for the log; train: that section of the settings."""
    if epoch == BEST:
        return 'the best parameters'
    return 'epoch %d%s%s' % (epoch, ' of %d' % train.end_epoch if epoch < train.end_epoch else '',
                             ', averaged parameters' if train.EMA else '')


def _tested_prefix(config, cfg_path):
    """Of what to test: with TRAIN.EMA the averages, but the best are what was validated."""
    prefix = _prefix(config, cfg_path)
    return averages_of(prefix) if config.TRAIN.EMA and config.TEST.test_epoch != BEST else prefix


def _prefix(config, cfg_path):
    """Of the checkpoints of these settings."""
    folder = output_folder(config, cfg_path, config.dataset.image_set)
    return os.path.join(folder, config.TRAIN.model_prefix)
