"""In which way each layer is computed in float32: measured once on each processor, and kept beside the parameters.

<prefix>.speed.json holds milliseconds of layers, by processor. They depend on shapes and settings alone,
so the file serves all parameters of a prefix and all networks. What is slower on one processor may be
faster on another: only the measurements of this one count. The number of threads is not told apart, as
results do not depend on it: a test gives the same with one process and with several workers.

Where nothing can be written the rule of lib/graph/native_layers.py decides, so that a command that is
repeated gives the same; by another choice results differ in rounding.
"""
import contextlib
import fcntl
import logging
import os
import re
import time

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from dff.runtime.machine import processor_kind
from lib.engine.checkpoint import BEST
from lib.graph.layer_times import milliseconds
from lib.graph.native_layers import ONEDNN, WAYS, by_rule
from lib.precision.record import Record, is_number
from lib.operator_cxx import sources

SMALLEST = 2e7      # multiply-adds: fewer take less than a millisecond, and the rule will do
MARGIN = 1.05       # another choice than the rule's must be so many times as fast
LONGEST = 1e9       # milliseconds in a record
PATIENCE = 300      # seconds for another process that measures: one that was stopped keeps the lock
_log = logging.getLogger('dff.precision')


def choice_for(source):
    """Return the function that chooses layers, as lib.graph.native_layers.use_native_layers takes it.

    source: the parameters' file. Another kind of source has no record on disk: the rule decides.
    """
    prefix = re.fullmatch(r'(.+?)-(?:\d{4,}(?:-\d{6})?|%s)\.params' % BEST, source, re.DOTALL)
    return MeasuredChoice(prefix.group(1) + '.speed.json') if prefix else by_rule


class MeasuredChoice:
    """Chooses what was faster here. path: of the record, which is made where it is missing."""

    def __init__(self, path):
        self._record = SpeedRecord(path)

    def __call__(self, layers):
        """Return a way for each Layer of `layers`."""
        large = {name_of(layer): layer for layer in layers if len(layer.ways) > 1 and layer.multiply_adds() >= SMALLEST}
        times = self._record.times()
        if _missing(large, times):
            times = self._measured(large)
        return [_fastest(layer, times.get(name_of(layer))) for layer in layers]

    def _measured(self, large):
        """The times with those that are missing: of processes that start together one measures, the others wait."""
        with self._record.locked() as locked:
            times = self._record.times()
            missing = _missing(large, times)
            if not locked or not missing:
                return times
            start = time.perf_counter()
            found = {name: milliseconds(layer) for name, layer in missing.items()}
            seconds = time.perf_counter() - start
            if not self._record.add(found):
                return times
        changed = sum(_fastest(large[name], each) != large[name].by_rule() for name, each in found.items())
        _log.info('%d layers measured in %.1f s, kept in %s: %d of them are computed otherwise than by the rule',
                  len(found), seconds, self._record.path, changed)
        return dict(times, **found)


def name_of(layer):
    """Return what a record calls a Layer: all that its time depends on."""
    node, settings = layer.node, {'slope': layer.slope, 'num_filter': layer.filters}
    for name in ('kernel', 'stride', 'dilate'):
        settings[name] = 'x'.join(map(str, node.get(name, (1, 1))))
    return '%s of %s: %s' % (node.op, 'x'.join(map(str, layer.shape)),
                             ', '.join('%s %s' % (name, settings[name]) for name in sorted(settings)))


def _missing(layers, times):
    """Those of {name: Layer} that were not measured in all of their ways."""
    return {name: layer for name, layer in layers.items() if set(times.get(name, ())) != set(layer.ways)}


def _fastest(layer, times):
    """The way to compute a Layer, given what was measured, or None."""
    rule = layer.by_rule()
    if times is None or set(times) != set(layer.ways):
        return rule
    fastest = min(times, key=times.get)
    return fastest if times[rule] >= MARGIN * times[fastest] else rule


class SpeedRecord(Record):
    """The file: {processor: {'made_with': versions, 'layers': {name: {way: ms}}}} in 'processors'.

    path: of the file.
    """

    def __init__(self, path):
        super().__init__(path, {}, 'layers are measured again')
        self._kind = processor_kind()
        self._made_with = 'MXNet %s, operators %s' % (mx.__version__, sources.digest()[:16])

    def _wrong(self, record):
        """See Record."""
        processors = record.get('processors')
        fits = isinstance(processors, dict) and all(map(_is_processor, processors.values()))
        return '' if fits else 'holds values of a kind that is not expected'

    def times(self):
        """Return {name: times} of this processor, with these versions."""
        own = self.read().get('processors', {}).get(self._kind, {})
        return own['layers'] if own.get('made_with') == self._made_with else {}

    @contextlib.contextmanager
    def locked(self):
        """While this lasts nobody else has it; yields False where the folder cannot be locked or written to."""
        folder = os.path.dirname(self.path) or '.'
        try:
            handle = os.open(folder, os.O_RDONLY)
        except OSError as error:
            yield self._refused(error.strerror)
            return
        try:
            why = '' if _lock(handle) else 'another process has had its folder for %d s' % PATIENCE
            if not why and not (self.writes and os.access(folder, os.W_OK)):
                why = 'Permission denied'
        except OSError as error:
            why = error.strerror
        try:
            yield not why or self._refused(why)
        finally:
            os.close(handle)

    def _refused(self, why):
        if self.writes:
            self.writes = False
            _log.warning('cannot write %s (%s): the rule decides which layers native operators compute', self.path, why)
        return False

    def add(self, times):
        """Write {name: times} as well; returns whether that was possible."""
        own = {'made_with': self._made_with, 'layers': dict(self.times(), **times)}
        processors = dict(self.read().get('processors', {}), **{self._kind: own})
        self.write({'processors': processors}, 'the rule decides which layers native operators compute')
        return self.writes


def _lock(handle):
    """Lock an open folder; returns False where another process keeps it for PATIENCE. Raises OSError."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)


def _is_processor(entry):
    """Whether what was measured on one processor is of the right kinds."""
    if not isinstance(entry, dict) or not isinstance(entry.get('made_with'), str):
        return False
    layers = entry.get('layers')
    return isinstance(layers, dict) and all(
        isinstance(times, dict) and {ONEDNN} < set(times) <= set(WAYS)
        and all(is_number(value) and 0 < value < LONGEST for value in times.values()) for times in layers.values())
