"""Checkpoints: `<prefix>-%04d.params`, `.states` (momentum) and `.json` (how to go on from there).

The number is the count of finished epochs; `-%04d-%06d` counts batches of the next one, too. All
files are written aside and renamed, the .json last; it holds the checksums of the others, so
that an interrupted checkpoint is told from a whole one. Nothing is pickled.

With TRAIN.EMA, `<prefix>-ema-%04d.params` beside them holds the averaged parameters, a whole
network. With TRAIN.VALIDATE_EVERY, `<prefix>-best.params` and `.json` are those of the best
validation (lib/engine/best.py), to test and not to resume from.
"""
import glob
import json
import os
import random
import re
import shutil
import zlib
from collections import namedtuple

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from lib.engine.params_file import inspect
from dff.errors import CheckpointError, shown
from dff.files import atomic_path, file_sha256, read_json, write_json

KINDS = 'params', 'states', 'json'
BEST = 'best'     # stands for the epoch of the best validation
# record: what else the .json holds, such as the batch size.
Checkpoint = namedtuple('Checkpoint', 'epoch batch params_file states_file num_update record')


def file_name(prefix, epoch, extension='params', batch=0):
    """<prefix>-%04d.<extension>, or -%04d-%06d where `batch` batches of the next epoch are done.

    An `epoch` of BEST stands in the name as it is.
    """
    number = epoch if epoch == BEST else '%04d' % epoch
    return '%s-%s%s.%s' % (prefix, number, '-%06d' % batch if batch else '', extension)


def averages_of(prefix):
    """Return the prefix of the averaged parameters (TRAIN.EMA) of the checkpoints with `prefix`."""
    return prefix + '-ema'


# ---- arrays

def save_arrays(path, arrays):
    """Write {name: NDArray} with mx.nd.save, aside and renamed. Raises CheckpointError where it cannot be written."""
    try:
        with atomic_path(path) as temporary:
            mx.nd.save(temporary, arrays)
            if len(inspect(temporary)) != len(arrays):
                raise CheckpointError('%s was not written completely' % path)
    except (OSError, mx.base.MXNetError) as error:
        raise CheckpointError('cannot write %s%s: %s'
                              % (path, _room(path), str(error).strip().splitlines()[-1])) from error
    except CheckpointError as error:
        raise CheckpointError('cannot write %s, is the disk full? (%s)' % (path, error)) from error


def _room(path):
    """' (n MB free there)', or '' where there is no such folder."""
    try:
        return ' (%d MB free there)' % (shutil.disk_usage(os.path.dirname(os.path.abspath(path))).free >> 20)
    except OSError:
        return ''


def load_arrays(path):
    """{name: NDArray} of a file of mx.nd.save, on the CPU. Raises CheckpointError for anything else."""
    if not inspect(path):
        return {}
    return {name: array.as_in_context(mx.cpu()) for name, array in mx.nd.load(str(path)).items()}


def load_params(prefix, epoch, batch=0):
    """Return (arg_params, aux_params), {name: NDArray} each, of a file of parameters.

    prefix, epoch and batch name it, see `file_name`.

    Raises:
        CheckpointError: it is missing, damaged, or holds other things than parameters.
    """
    path = file_name(prefix, epoch, batch=batch)
    if not os.path.isfile(path):
        _refuse_file_name(prefix)
        raise CheckpointError(
            '%s does not exist. model/README.md says for every file where it is available and which command '
            'converts or trains it; `sh init.sh --demo` trains a small model on the embedded data set'
            % path)
    params = {'arg': {}, 'aux': {}}
    for key, array in load_arrays(path).items():
        kind, _, name = key.partition(':')
        if kind not in params or not name:
            raise CheckpointError('%s holds %s, but the names of parameters begin with arg: or aux:; is it a file of '
                                  'another kind, such as optimizer states? (Of a Gluon block, save_parameters '
                                  'writes such names; block.export writes arg: and aux:)' % (path, shown(key)))
        params[kind][name] = array
    if not params['arg']:
        raise CheckpointError('%s holds no parameters' % path)
    return params['arg'], params['aux']


def _refuse_file_name(prefix):
    """Raise CheckpointError where what was given as a prefix is the name of a file."""
    match = re.fullmatch(r'(.+?)(?:-(\d{4,}))?(?:\.(?:params|states|json))?', str(prefix))
    stem, epoch = match.groups()
    if os.path.isfile(str(prefix)) or os.path.isfile('%s.params' % prefix):
        raise CheckpointError(
            '%s: expected the prefix of a parameter file, <prefix>-<epoch, four digits>.params, '
            'found a file name; %s'
            % (
                prefix,
                'give %s, and %d as the epoch' % (stem, int(epoch))
                if epoch
                else 'rename the file to %s-0000.params and give %s, and 0 as the epoch'
                % (stem, stem),
            )
        )


# ---- checkpoints

def named_arrays(arg_params, aux_params):
    """Return {name in a file: NDArray} of parameters and auxiliary states, {name: NDArray} each."""
    arrays = {'arg:' + name: array for name, array in arg_params.items()}
    arrays.update(('aux:' + name, array) for name, array in aux_params.items())
    return arrays


def save_checkpoint(prefix, epoch, arg_params, aux_params, states=None, num_update=0, extra=None,
                    batch=0, averages=None):
    """Write the files of one checkpoint.

    Args:
        prefix, epoch, batch: see `file_name`.
        arg_params, aux_params: {name: NDArray}, the parameters and auxiliary states.
        states: {name: NDArray}, optimizer states; None: the parameters alone are written, from
            which nothing can resume.
        num_update: optimizer steps made.
        extra: more entries for the .json, such as the seed.
        averages: (arg_params, aux_params) to write as the averaged ones, or None.

    Raises:
        CheckpointError: a file cannot be written.
    """
    params_file, states_file, path = (file_name(prefix, epoch, kind, batch) for kind in KINDS)
    if states is not None:
        # First: .params that stand alone are of no save that was interrupted (lib/train/resume.py).
        save_arrays(states_file, states)
    save_arrays(params_file, named_arrays(arg_params, aux_params))
    if states is None:
        return
    files = {'params': params_file, 'states': states_file}
    if averages:
        files['averages'] = file_name(averages_of(prefix), epoch, batch=batch)
        save_arrays(files['averages'], named_arrays(*averages))
    checksums = {kind: file_sha256(file) for kind, file in files.items()}
    write_record(path, dict(extra or {}, epoch=epoch, batch=batch, num_update=num_update,
                            mxnet=mx.__version__, sha256=checksums))


def write_record(path, record):
    """Write the .json of a checkpoint, a dict, to `path`. Raises CheckpointError."""
    try:
        write_json(path, record)
    except OSError as error:
        raise CheckpointError('cannot write %s: %s' % (path, error.strerror)) from error


def change_record(prefix, epoch, batch, **entries):
    """Write other `entries` into the .json of a checkpoint that is there.

    prefix, epoch and batch name it, see `file_name`. Raises CheckpointError.
    """
    path = file_name(prefix, epoch, 'json', batch)
    write_record(path, dict(read_json(path) or {}, **entries))


def find_checkpoint(prefix, epoch=None, report=None):
    """Return the Checkpoint to resume from, None where there is none.

    Args:
        prefix: of the files.
        epoch: the one of this number of epochs; None or 0: the newest whole one.
        report: called with a line for every damaged checkpoint that is passed over.

    Raises:
        CheckpointError: that of a given `epoch` is missing or damaged.
    """
    if epoch:
        return _whole_checkpoint(prefix, epoch)
    for position in sorted(positions(prefix), reverse=True):
        try:
            return _whole_checkpoint(prefix, *position)
        except CheckpointError as error:
            if report:
                report('passed over: %s' % error)
    return None


def positions(prefix, extension='json'):
    """{(finished epochs, batches of the next one)} of the files of checkpoints with that extension."""
    names = (path[len(prefix):] for path in glob.glob('%s-*.%s' % (glob.escape(prefix), extension)))
    found = (re.match(r'-(\d{4,})(?:-(\d{6,}))?\.%s$' % extension, name) for name in names)
    return {(int(match.group(1)), int(match.group(2) or 0)) for match in found if match}


def parameters_alone(prefix, epoch, begin=None, batch=0):
    """Return how to train from the parameters of a checkpoint alone, as advice for messages.

    Args:
        prefix, epoch, batch: of the checkpoint, see `file_name`.
        begin: TRAIN.begin_epoch, None: the same epoch.
    """
    begin, copy = epoch if begin is None else begin, ''
    if batch:       # network.pretrained_epoch counts whole epochs
        copy = 'copy %s to %s, ' % (file_name(prefix, epoch, batch=batch), file_name(prefix + '-start', epoch))
        prefix += '-start'
    return ('To train on from the parameters alone, without their momentum, %sleave out --resume and '
            'give --set TRAIN.RESUME=false network.pretrained=%s network.pretrained_epoch=%d '
            'network.pretrained_flow= TRAIN.begin_epoch=%d, and a TRAIN.end_epoch above %d'
            % (copy, prefix, epoch, begin, begin))


def _whole_checkpoint(prefix, epoch, batch=0):
    params_file, states_file, record_file = (file_name(prefix, epoch, kind, batch) for kind in KINDS)
    averages_file = file_name(averages_of(prefix), epoch, batch=batch)
    for path in (params_file, states_file, record_file):
        if not os.path.isfile(path):
            raise CheckpointError('%s is missing: training can resume only where .params, .states '
                                  'and .json are there. %s' % (path, parameters_alone(prefix, epoch)))
    try:
        with open(record_file) as stream:
            record = json.load(stream)
        checksums, num_update = record['sha256'], int(record['num_update'])
        wanted = {params_file: checksums['params'], states_file: checksums['states']}
        if 'averages' in checksums:
            wanted[averages_file] = checksums['averages']
    except (ValueError, KeyError, TypeError, UnicodeDecodeError, OSError) as error:
        raise CheckpointError('%s is damaged (%s)' % (record_file, shown(error))) from error
    for path, checksum in wanted.items():
        if not os.path.isfile(path):
            raise CheckpointError('%s is missing: it belongs to %s' % (path, params_file))
        if file_sha256(path) != checksum:
            raise CheckpointError('%s is damaged: its checksum is not the one in %s' % (path, record_file))
    return Checkpoint(epoch, batch, params_file, states_file, num_update, record)


def seed_epoch(seed, epoch, batch=0):
    """Seed MXNet, NumPy and Python with `seed` for what follows `batch` batches of an epoch.

    So a resumed run draws the same numbers as an unbroken one. (MXNet's own state can be neither
    read nor written.)
    """
    value = zlib.crc32(b'epoch %d %d' % (seed, epoch) + (b' %d' % batch if batch else b'')) & 0x7fffffff
    mx.random.seed(value)
    np.random.seed(value)
    random.seed(value)
