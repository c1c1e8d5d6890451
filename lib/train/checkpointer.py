"""When training writes checkpoints, which of them it keeps, and where it goes on from one."""
import json
import os
import re
import signal

from lib.boxes.transform import target_normalisation
from lib.engine.box_regression import fold_bbox_normalisation
from lib.engine.checkpoint import (KINDS, averages_of, change_record, file_name, find_checkpoint,
                                   positions, save_checkpoint, seed_epoch)
from lib.train.averages import learned_statistics
from lib.train.divergence import check_finite
from lib.train.watch.validation import ValidationCutOff
from lib.jobs import signs
from dff.errors import CheckpointError, Stopped
from dff.files import remove_leftovers

KEPT = 2     # a checkpoint within an epoch is removed when so many newer ones exist


class Checkpointer:
    """Callbacks of `fit` that write checkpoints: at the end of each epoch, within it, and before a stop.

    Those of epochs are kept, all of them; of those within epochs only what is among the newest KEPT of all.

    Args:
        module: the MutableModule in training.
        prefix: beginning of the files' names.
        config: TRAIN.CHECKPOINT_EVERY (batches, 0: none within an epoch), TRAIN.SEED, those of the
            box targets' normalisation (folded into the *_test parameters), network.RFCN_GROUP_SIZE.
        loader: its batches_per_epoch and batch_size are recorded with the position.
        stop: a StopRequest.
        group: the Group of workers; the first one writes for all.
        facts: dict of what else a resume compares (lib/train/resume.py), for the record.
        averages: the Averages of the parameters, which are written beside them, and validated;
            None: there are none.
        validation: a Validation; None: nothing is validated.
    """

    def __init__(self, module, prefix, config, loader, stop, group, facts=None, averages=None,
                 validation=None):
        self.module, self.prefix, self.config = module, prefix, config
        self.loader, self.stop, self.group = loader, stop, group
        self._facts, self._averages, self._validation = facts or {}, averages, validation
        self._stopping = False
        self._seeds_batches, self._learned = draws_numbers(module.symbol), learned_statistics(module.symbol)

    def end_batch(self, param):
        """batch_end_callback.

        Raises Stopped after a signal, EnoughValidated, CheckpointError, DivergenceError.
        """
        done, every = param.nbatch + 1, self.config.TRAIN.CHECKPOINT_EVERY
        signs.progress('batch %d of epoch %d' % (done, param.epoch + 1))
        self._stopping = self.group.any(self.stop.received)
        if done < self.loader.batches_per_epoch:                 # else end_epoch comes at once
            written = self._stopping or (every and done % every == 0)
            if written:
                self._write_within(param.epoch, done)
            if self._stopping:
                self._raise_stopped(param.epoch, done)
            if self._validation and self._validation.due(param.epoch, done):
                self._validate(param.epoch, done, self.module.get_params(),
                               (param.epoch, done) if written else None)
                if self._validation.is_over and not written:
                    self._write_within(param.epoch, done)
                self._validation.check_patience()
            if self._seeds_batches:
                seed_epoch(self.config.TRAIN.SEED, param.epoch, done)

    def end_epoch(self, epoch, symbol, arg_params, aux_params):
        """Write the checkpoint of a whole epoch; for fit, as epoch_end_callback.

        Args:
            epoch: number of the epoch, from 0.
            symbol: the network; fit gives it, nothing is done with it.
            arg_params, aux_params: {name: NDArray}, the parameters and auxiliary states to write.

        Raises:
            Stopped: a signal came.
            EnoughValidated: TRAIN.PATIENCE is at its end.
            CheckpointError, DivergenceError: as end_batch.
        """
        self._write(epoch + 1, 0, arg_params, aux_params)
        if self._stopping:
            self._raise_stopped(epoch + 1, 0)
        if self._validation and self._validation.due(epoch + 1, 0):
            self._validate(epoch + 1, 0, (arg_params, aux_params), (epoch + 1, 0))
            self._validation.check_patience()
        seed_epoch(self.config.TRAIN.SEED, epoch + 1)

    def catch_up(self, start, batch, params):
        """Make the validation that was due where a run goes on, if it was not made.

        Args:
            start: the Checkpoint, whose record says how validation stood; None: a new run.
            batch: batches of the epoch that are done, by this run's count.
            params: (arg_params, aux_params) of the checkpoint.

        Raises EnoughValidated where there is nothing more to train, DataError, CheckpointError.
        """
        if not self._validation or not start:
            return
        self._validation.go_on(start.record)
        if self._validation.missing(start.epoch, batch):
            self._validate(start.epoch, batch, params, (start.epoch, start.batch))
        self._validation.check_patience()

    def _validate(self, epoch, batch, params, checkpoint):
        """Validate at a place, until a signal comes.

        checkpoint: (epoch, batch) of the one to go on from then; None: it is still to be written.
        """
        arg_params, aux_params = self._averages.of(*params) if self._averages else params
        try:
            self._validation(epoch, batch, self._folded(arg_params), self._mean(aux_params),
                             lambda: self.stop.received is not None)
        except ValidationCutOff:
            if not checkpoint:
                self._write_within(epoch, batch)
            self._raise_stopped(*(checkpoint or (epoch, batch)))
        if checkpoint == (epoch, batch) and not self.group.rank:
            change_record(self.prefix, epoch, batch, validation=self._validation.state)

    def _mean(self, statistics):
        """{name: NDArray} with those that are learned as their mean over the workers; others stay to the last bit."""
        return dict(statistics, **self.group.mean({name: statistics[name] for name in self._learned}))

    def _folded(self, arg_params):
        return fold_bbox_normalisation(arg_params, *target_normalisation(self.config.TRAIN),
                                       self.config.network.RFCN_GROUP_SIZE ** 2)

    def _write_within(self, epoch, batch):
        """Write a checkpoint within an epoch."""
        params = self.module.get_params()
        self._write(epoch, batch, *params)
        # Statistics that each device gathers go on from their mean, as after a resume.
        self.module.set_params(*params)

    def _write(self, epoch, batch, arg_params, aux_params):
        when = 'after batch %d of epoch %d' % (batch, epoch + 1) if batch else 'after epoch %d' % epoch
        check_finite({**arg_params, **aux_params}, when)
        averages = None
        if self._averages:
            averages, statistics = self._averages.of(arg_params, aux_params)
            averages = self._folded(averages), self._mean(statistics)
        aux_params = self._mean(aux_params)
        if self.group.rank:
            return
        record = dict(self._facts, seed=self.config.TRAIN.SEED,
                      batches_per_epoch=self.loader.batches_per_epoch)
        if self._validation:
            record['validation'] = self._validation.state
        if not averages:      # those of an earlier run are of other parameters
            remove(averages_of(self.prefix), epoch, batch)
        try:
            save_checkpoint(self.prefix, epoch, self._folded(arg_params), aux_params,
                            self.module.optimizer_states(), self.module.num_update, record, batch,
                            averages)
        except CheckpointError as error:
            if batch:
                remove(self.prefix, epoch, batch)     # a part of a checkpoint is of no use
            last = find_checkpoint(self.prefix)
            after = 'there is no checkpoint yet'
            if last:
                after = 'once this is fixed, --resume continues from %s' % last.params_file
            raise CheckpointError('%s. Training stops here; %s' % (error, after)) from error
        remove_old(self.prefix)

    def _raise_stopped(self, epoch, batch):
        where = 'where worker 0 stopped' if self.group.rank else file_name(self.prefix, epoch, batch=batch)
        raise Stopped('stopped by a signal; --resume continues from '
                      '%s' % where, self.stop.received or signal.SIGTERM)


def remove_old(prefix):
    """Remove the checkpoints within epochs that are not among the newest KEPT of all."""
    for epoch, batch in sorted(positions(prefix, 'params'), reverse=True)[KEPT:]:
        if batch:
            remove(prefix, epoch, batch)


def remove(prefix, epoch, batch):
    """Remove the files of one checkpoint, the .json first, so that none is taken for a whole one.

    prefix, epoch and batch name it, see lib.engine.checkpoint.file_name. Missing files are no
    error.
    """
    paths = [file_name(prefix, epoch, kind, batch) for kind in reversed(KINDS)]
    for path in paths + [file_name(averages_of(prefix), epoch, batch=batch)]:
        if os.path.exists(path):
            os.remove(path)


def remove_unfinished(folder, model_prefix):
    """Remove what runs that were killed while writing a checkpoint left of it in `folder`."""
    remove_leftovers(folder, r'%s(?:-ema)?-(?:best|\d{4,}(?:-\d{6,})?)' % re.escape(model_prefix))


def resume_position(start, batches_per_epoch, report):
    """Return the place of a Checkpoint: (batches of the epoch that are done, updates made).

    Where the run that wrote it had another number of batches an epoch (devices, images a batch,
    data), the same share of the epoch is taken.

    Args:
        start: the Checkpoint.
        batches_per_epoch: of the run that goes on from it.
        report: called with a line that says so where the numbers differ.
    """
    before = start.record.get('batches_per_epoch', batches_per_epoch)
    if before == batches_per_epoch:
        return start.batch, start.num_update
    share = batches_per_epoch / before
    report(
        'the checkpoint is of a run with %d batches an epoch, this one has %d: continuing at the '
        'same share of the epoch'
        % (before, batches_per_epoch))
    return int(start.batch * share), int(round(start.num_update * share))


def draws_numbers(symbol):
    """Whether the network draws random numbers itself, as the choice of RoIs without OHEM does."""
    operators = (node['op'].lower() for node in json.loads(symbol.tojson())['nodes'])
    return any('random' in name or 'sample' in name or name == 'dropout' for name in operators)
