"""Tests of the parameters in training: the best ones are kept, and it may end early."""
import copy
import hashlib
import json
import logging
import math
import os
import time

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from dff.errors import ConfigError, DataError
from lib.dataset.rules.parts import warn_of_trained_clips
from lib.dataset.sets.imagenet_vid import DETECT_ONLY_ADVICE
from lib.engine.best import save_best
from lib.engine.checkpoint import BEST, file_name
from lib.engine.trained_with import to_record
from lib.inference.clip_runner import run_here, run_on_devices
from lib.inference.testing import TestOptions

FOLDER = 'validation'      # of the results of the last one, beside the checkpoints


class EnoughValidated(Exception):
    """TRAIN.PATIENCE validations came without a better value: training ends here, as asked for."""


class ValidationCutOff(Exception):
    """A stop came while the parameters were tested, and that has not been done."""


def open_validation(task, config):
    """Return the TestRun of the validations, which the first worker makes, before hours are spent.

    Args:
        task: a lib.tasks.task.Task.
        config: its settings.

    Raises ConfigError, DataError where there is nothing to validate on.
    """
    if 'async' in config.default.kvstore:
        raise ConfigError(
            'TRAIN.VALIDATE_EVERY: with default.kvstore %s each worker is at another place, and '
            'there is no common one to validate; use dist_sync, or test the checkpoints afterwards'
            % config.default.kvstore)
    if config.TEST.DETECT_ONLY:
        raise ConfigError('TRAIN.VALIDATE_EVERY needs labels to compare with, and TEST.DETECT_ONLY '
                          'is true: set one of them back')
    if config.TEST.WORKERS != 1:
        logging.getLogger('dff.config').warning('TEST.WORKERS (%s) is for tests: validations (TRAIN.VALIDATE_EVERY) '
                                                'run in the process of the training', config.TEST.WORKERS)
    config = copy.deepcopy(config)
    # What changes no figure, or little, and takes time.
    config.TEST.update(PRECISION='float32', TRACK=False, SAVE_RAW=False)
    try:
        run = task.kind.test_run(task, config, TestOptions(clips=config.TRAIN.VALIDATE_CLIPS))
    except DataError as error:
        raise DataError('TRAIN.VALIDATE_EVERY tests on dataset.test_image_set, which cannot be: %s'
                        % str(error).replace(DETECT_ONLY_ADVICE, '')) from error
    warn_of_trained_clips(config.dataset.image_set, run.dataset)
    return run


def is_due(epochs, batches_per_epoch, done):
    """Return whether a validation falls on the end of batch `done`, counted from 1 over all epochs.

    Args:
        epochs: between two validations, TRAIN.VALIDATE_EVERY.
        batches_per_epoch: batches in an epoch.
        done: the batch.
    """
    step = epochs * batches_per_epoch
    # The share of a batch is far above what rounding does to the quotient.
    return math.floor(done / step + 1e-9) > math.floor((done - 1) / step + 1e-9)


def validation_is_missing(start, config):
    """Return whether the last validation of a run is missing that is trained to its end.

    Args:
        start: its last Checkpoint.
        config: the settings.
    """
    before, every = start.record.get('validation'), config.TRAIN.VALIDATE_EVERY
    if not every or not isinstance(before, dict) or start.epoch != config.TRAIN.end_epoch:
        return False
    batches = start.record['batches_per_epoch']
    return (before.get('last') != [start.epoch, start.batch]
            and is_due(every, batches, start.epoch * batches))


class Validation:
    """Decides when to validate, does so, and keeps the best parameters.

    All workers have one and come to the same decisions; the first tests and writes for all.

    Args:
        run: of `open_validation`; None in the other workers.
        config: the settings.
        prefix: of the checkpoints.
        devices: [mx.Context].
        group: the Group of workers.
        classes: names, for the record of the best parameters.
        logger: for a line of each; the details go to the log file only.
        reports: called with a dict for each.
        pause: () -> context manager around each.
        batches_per_epoch: batches in an epoch.
    """

    def __init__(self, run, config, prefix, devices, group, classes, logger, reports, pause,
                 batches_per_epoch):
        self._run, self._train, self._prefix, self._devices = run, config.TRAIN, prefix, devices
        self._group, self._classes, self._logger = group, classes, logger
        self._reports, self._pause = reports, pause
        self._batches = batches_per_epoch
        self._averaged, self._settings = bool(config.TRAIN.EMA), to_record(config)
        self._state = {'best': None, 'at': None, 'last': None, 'since': 0,
                       'of': self._what() if run else ''}

    def _what(self):
        """A digest of what a value depends on beside the parameters: only such are compared."""
        run = self._run
        # Without the folder of the data, which may move.
        settings = dict(run.settings(), dataset=dict(run.settings()['dataset'], dataset_path=None))
        names = [run.name_of(job) for job in run.jobs]
        text = json.dumps([run.image_set, names, self._averaged, settings], sort_keys=True)
        return hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()

    # ---- going on

    @property
    def state(self):
        """A dict for the record of a checkpoint, from which `go_on` continues."""
        return dict(self._state)

    def go_on(self, record):
        """Continue with the best value and the count in the record of a checkpoint, a dict."""
        before = record.get('validation')
        if not isinstance(before, dict) or self._state.keys() - before.keys():
            return
        if self._run and before['of'] != self._state['of']:
            self._logger.info('validations are on other clips or with other settings than before: '
                              'the search for the best value starts again')
            before = self._state
        elif self._run and before['best'] is not None and not os.path.isfile(self._file()):
            self._logger.info('%s is not there any more: the search for the best value starts again', self._file())
            before = self._state
        self._state = self._agreed(before)

    def _agreed(self, state):
        """The state of the first worker, in all of them."""
        best, at, last = state['best'], state['at'] or (-1, -1), state['last'] or (-1, -1)
        numbers = [math.nan if best is None else best, *at, *last, state['since']]
        numbers = self._shared('state of validation', numbers)
        best, at, last = numbers[0], [int(n) for n in numbers[1:3]], [int(n) for n in numbers[3:5]]
        return dict(state, best=None if math.isnan(best) else best, at=None if at[0] < 0 else at,
                    last=None if last[0] < 0 else last, since=int(numbers[5]))

    def _shared(self, key, numbers):
        """`numbers` of the first worker, in all of them."""
        own = numbers if self._group.rank == 0 else [0.0] * len(numbers)
        return self._group.sum(key, mx.nd.array(own, dtype='float64')).asnumpy().tolist()

    # ---- when

    def due(self, epoch, batch):
        """Return whether a validation belongs behind `epoch` epochs and `batch` batches."""
        return is_due(self._train.VALIDATE_EVERY, self._batches, epoch * self._batches + batch)

    def missing(self, epoch, batch):
        """Return whether the validation due at this place, as of `due`, was not made."""
        return self.due(epoch, batch) and self._state['last'] != [epoch, batch]

    @property
    def is_over(self):
        """Whether TRAIN.PATIENCE is at its end."""
        return 0 < self._train.PATIENCE <= self._state['since']

    def check_patience(self):
        """Raise EnoughValidated where that is so."""
        if not self.is_over:
            return
        since, at = self._state['since'], self._state['at']
        than = ''
        if at:
            than = ' than that of %s. The best parameters are %s' % (_place(*at), self._file())
        raise EnoughValidated('training ends: %d validation%s without a better value (TRAIN.PATIENCE)%s'
                              % (since, 's' * (since > 1), than))

    def _file(self):
        return file_name(self._prefix, BEST)

    # ---- doing

    def __call__(self, epoch, batch, arg_params, aux_params, stopping):
        """Test the parameters of a place, and keep them where they are the best.

        Args:
            epoch, batch: the place, as of `due`.
            arg_params, aux_params: {name: NDArray}, as checkpoints hold them.
            stopping: () -> whether the first worker, which tests, should end at once.

        Raises DataError, CheckpointError; in all workers ValidationCutOff where `stopping` said so:
        the validation is then missing, as of `missing`.
        """
        started, state = time.time(), self._state
        with self._pause():
            value, cut_off = 0.0, False
            if self._run:
                try:
                    value = self._value(epoch, batch, arg_params, aux_params, stopping)
                except ValidationCutOff:
                    cut_off = True
            value, cut_off = self._shared('validation', [value, float(cut_off)])
        if cut_off:
            raise ValidationCutOff
        better = math.isfinite(value) and (state['best'] is None or value > state['best'])
        state.update(last=[epoch, batch], since=0 if better else state['since'] + 1)
        if better:
            state.update(best=value, at=[epoch, batch])
        if self._run:
            if better:
                self._keep(epoch, batch, value, arg_params, aux_params)
            self._report(epoch, batch, value, time.time() - started)

    def _value(self, epoch, batch, arg_params, aux_params, stopping):
        """The figure of the test of these parameters."""
        run, debug = self._run, self._logger.debug
        folder = os.path.join(os.path.dirname(self._prefix), FOLDER)
        results = run.open_results(folder, dict(run.settings(), at=[epoch, batch]),
                                   lambda line: None, True)
        results.begin()
        place = 'the parameters of %s' % _place(epoch, batch)
        params = run.params_in_training(arg_params, aux_params)
        debug('validation of %s', place)

        def make_work(device):
            work = run.make_work(device, params, place, run.jobs, results)

            def work_until_stop(clip, tick):
                def tick_or_stop():
                    if stopping():
                        raise ValidationCutOff
                    tick()
                work(clip, tick_or_stop)
            return work_until_stop
        if len(self._devices) == 1:
            run_here(run.jobs, self._devices[0], make_work)
        else:
            run_on_devices(run.jobs, self._devices, make_work)
        facts = {'parameters': place, 'interval': run.interval, 'image_set': run.image_set}
        return float(run.evaluate(results, facts, debug)[run.figure])

    def _keep(self, epoch, batch, value, arg_params, aux_params):
        run = self._run
        record = {'epoch': epoch, 'batch': batch, run.figure: value, 'classes': list(self._classes),
                  'image_set': run.image_set, 'clips': len(run.jobs), 'averaged': self._averaged,
                  'settings': self._settings}
        save_best(self._prefix, arg_params, aux_params, record)

    def _report(self, epoch, batch, value, seconds):
        run, state, figure = self._run, self._state, self._run.figure
        is_best = state['since'] == 0
        best = 'the best so far' if is_best else 'best %s of %s' % (
            'none' if state['best'] is None else '%.4f' % state['best'],
            'none' if state['at'] is None else _place(*state['at']))
        self._logger.info('validation after %s: %s %.4f (%s) on %d clips, in %.1f s',
                          _place(epoch, batch), run.title, value, best, len(run.jobs), seconds)
        report = {'kind': 'validation', 'epoch': epoch + (batch > 0),
                  'batch': batch or self._batches, 'batches': self._batches,
                  'update': epoch * self._batches + batch, figure: value,
                  'best': state['best'], 'is_best': is_best, 'seconds': seconds}
        for write in self._reports:
            write(report)


def _place(epoch, batch):
    """Where in the training, in words."""
    return 'batch %d of epoch %d' % (batch, epoch + 1) if batch else 'epoch %d' % epoch
