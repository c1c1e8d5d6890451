"""Reports of a training for programs: lines of JSON in <log>.jsonl, and event files.

A report is a dict with `kind`: 'start', 'train' or 'validation'. `epoch` counts from 1 and is the
one under way, or done where `batch` is `batches`; `update` counts batches over all epochs.
docs/reliability.md lists the other keys.
"""
import contextlib
import json
import math
import os
import sys
import time

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from dff.errors import SetupError

PLACES = 'epoch', 'batch', 'batches', 'update'      # keys of a report that say of when it is
FLUSH_EVERY = 10      # seconds
MISSING = ('default.tensorboard is true, but tensorboardX cannot be imported (%s): pip install -r '
           'requirements-tensorboard.txt, or set it to false')


class JsonLines:
    """Appends each report to a file; where that fails, as on a full disk, training goes on.

    path: of the file.
    """

    def __init__(self, path):
        self._path, self._failed = path, False

    def __call__(self, report):
        """report: a dict; numbers that JSON does not have become null."""
        try:
            with open(self._path, 'a', encoding='utf-8') as stream:
                stream.write(json.dumps(_finite(dict(report, time=round(time.time(), 3)))) + '\n')
        except OSError as error:
            if not self._failed:
                self._failed = True
                print('cannot write %s: %s' % (self._path, error.strerror), file=sys.stderr)


class Events:
    """Writes the numbers of each report as TensorBoard's event files.

    folder: for them. Raises SetupError where tensorboardX is missing.
    """

    def __init__(self, folder):
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise SetupError(MISSING % error) from error
        self._writer = SummaryWriter(folder, flush_secs=FLUSH_EVERY)
        self.close = self._writer.close

    def __call__(self, report):
        """report: a dict; one of the start has no numbers."""
        if report['kind'] == 'start':
            return
        for name, value in _numbers(report):
            self._writer.add_scalar('%s/%s' % (report['kind'], name), value, report['update'])


@contextlib.contextmanager
def open_reports(config, log_file):
    """Yield [callable of a report]; what they hold back is in their files in the end.

    Args:
        config: settings; default.tensorboard adds event files in the folder <log>.tensorboard.
        log_file: path of the log; None in a worker that does not log.

    Raises SetupError where tensorboardX is wanted and missing.
    """
    if log_file is None:
        yield []
        return
    stem = os.path.splitext(log_file)[0]
    lines = JsonLines(stem + '.jsonl')
    if not config.default.tensorboard:
        yield [lines]
        return
    with contextlib.closing(Events(stem + '.tensorboard')) as events:
        yield [lines, events]


def memory_mb(devices):
    """Return {'memory_mb': of this process, 'gpu0_memory_mb': in use on that GPU, ...}, in MiB.

    What cannot be told is left out. devices: [mx.Context].
    """
    used = {}
    try:
        with open('/proc/self/statm', encoding='ascii') as stream:
            used['memory_mb'] = int(stream.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2 ** 20
    except (OSError, ValueError, IndexError):
        pass
    for device in devices:
        if device.device_type == 'gpu':
            free, total = mx.context.gpu_memory_info(device.device_id)
            used['gpu%d_memory_mb' % device.device_id] = (total - free) / 2 ** 20
    return {name: round(value, 1) for name, value in used.items()}


def _numbers(report):
    """(name, number) of what can be drawn in a report."""
    for name, value in report.items():
        if isinstance(value, dict):
            yield from _numbers(value)
        elif isinstance(value, (int, float)) and math.isfinite(value) and name not in PLACES:
            yield name, value


def _finite(value):
    """`value` with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
