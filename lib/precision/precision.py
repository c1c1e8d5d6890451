"""TEST.PRECISION: which numbers the test networks compute with. How int8 is calibrated, recorded, and judged.

For int8 the ranges of all tensors are measured on the first frames that are to be detected, once, and kept
beside the parameters in <parameters>.int8.json, with the frames' count, the error of each layer, and the
layers that stay float. The record holds for one set of parameters and one network; with others it is made
anew. No network is used that is slower than in float32.
"""
import hashlib
import json
import logging
import os
import time
from collections import namedtuple

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from dff.runtime.machine import cpuinfo, processor_kind
from lib.engine.executors import ExecutorPool
from lib.graph.inference_graph import KERNELS, for_inference
from lib.graph.int8_network import is_fast, on_bytes
from lib.graph.int8_weights import LARGEST
from lib.graph.quantised_graph import HEADROOM, Ranges, fused, layer_errors, quantised, widened
from lib.graph.graph import Graph, has_own_params, output_shapes
from lib.precision.int8_record import Int8Record
from lib.precision.layer_choice import choice_for
from lib.operator_cxx import sources

FRAMES = 12           # to measure ranges on, with a key frame every KEY_INTERVAL
KEY_INTERVAL = 3
LARGEST_ERROR = 0.1   # of a layer's output, relative; a layer above it stays float
_log = logging.getLogger('dff.precision')

# symbol, arg_params, aux_params: what to bind; monitor: for ExecutorPool, or None.
Rewritten = namedtuple('Rewritten', 'symbol arg_params aux_params monitor')


class Float32:
    """Networks as lib.graph.inference_graph makes them; on a GPU as they are.

    source: the parameters' file, beside which it is kept which layers are faster how; without one a rule decides.
    """

    def __init__(self, source=''):
        self._choose = choice_for(source)

    def rewrite(self, symbol, shapes, ctx, arg_params, aux_params, source):
        """Return a network as it is to be bound.

        Args:
            symbol: the test network.
            shapes: {input name: largest shape}.
            ctx: mx.Context.
            arg_params, aux_params: {name: array}.
            source: what messages call their origin.

        Returns a Rewritten. Raises CheckpointError where parameters do not fit.
        """
        if ctx.device_type == 'cpu':
            symbol, arg_params, aux_params = for_inference(symbol, shapes, arg_params, aux_params, source,
                                                           self._choose)
        return Rewritten(symbol, arg_params, aux_params, None)

    def to_calibrate(self):
        """Whether networks must run on some frames, and be made anew after `finish`, before their results count."""
        return False


class Int8(Float32):
    """int8 on the CPU: by oneDNN's layers or, with AVX-512 VNNI, native ones, whichever are faster.

    source: the parameters' file, beside which the record is. Another kind of source has no record on disk.
    """

    def __init__(self, arg_params, source):
        super().__init__(source)
        path = source[:-len('.params')] + '.int8.json' if source.endswith('.params') else None
        method = dict(method='smallest and largest value of every tensor', frames=FRAMES,
                      key_frame_interval=KEY_INTERVAL, headroom=HEADROOM,
                      largest_error=LARGEST_ERROR, mxnet=mx.__version__)
        self._record = Int8Record(path, _digest(arg_params), method, LARGEST_ERROR)
        self._open, self._given_up = {}, set()

    def rewrite(self, symbol, shapes, ctx, arg_params, aux_params, source):
        """See Float32. A network without a record of its ranges comes with a monitor that measures them."""
        if ctx.device_type != 'cpu':
            _log.warning('int8 is for the CPU: %s runs in float32', ctx)
            return super().rewrite(symbol, shapes, ctx, arg_params, aux_params, source)
        network, arguments, plain = fused(symbol, shapes, arg_params, aux_params, source)
        if not _is_for_bytes(plain, arguments):
            _log.warning('int8: the network with inputs %s has a batch norm that is in no convolution, or weights that '
                         'are computed or shared: it stays float32', ', '.join(sorted(shapes)))
            return super().rewrite(symbol, shapes, ctx, arg_params, aux_params, source)
        role = hashlib.sha256(json.dumps([plain.tojson(remove_amp_cast=False),
                                          sorted(shapes.items())]).encode()).hexdigest()[:16]
        found = self._record.of(role, network, plain)
        if found is None and role not in self._given_up:
            monitor = Ranges(arguments)
            self._open[role] = monitor, plain
            return Rewritten(network, arguments, aux_params, monitor)

        def float32():
            return Float32.rewrite(self, symbol, shapes, ctx, arg_params, aux_params, source)

        def by_onednn():
            return Rewritten(*quantised(network, arguments, found['ranges'], found['float_layers']), aux_params, None)

        def native():
            sizes, ranges = output_shapes(plain, shapes), widened(found['ranges'])
            made = on_bytes(plain, network, arguments, sizes, ranges, found['float_layers'])
            return Rewritten(*made, aux_params, None)

        if found is None:
            return float32()
        makers = {'float32': float32, 'int8': by_onednn}
        if is_fast():
            makers['native'] = native
        return makers[self._fastest(found, makers, shapes)]()

    def to_calibrate(self):
        """See Float32."""
        return bool(self._open)

    def finish(self, networks):
        """Record what the networks did on the calibration frames.

        networks: {monitor of a Rewritten: ({input: NDArray}, {parameter: NDArray})}, what each was given last, and has.
        """
        for role, (monitor, plain) in self._open.items():
            if not monitor.found:      # it did not run: a clip of one frame
                self._given_up.add(role)
                continue
            own, arguments = networks[monitor]
            if _is_beyond_bytes(monitor.found, own):
                self._given_up.add(role)
                continue
            errors = layer_errors(plain, arguments, own)
            kept = {name: 'error %.3f of its output' % error for name, error in errors.items()
                    if not error <= LARGEST_ERROR}
            self._record.networks[role] = {
                'inputs': sorted(own), 'errors': errors, 'float_layers': kept, 'milliseconds': {},
                'ranges': {name: [float(low), float(high)] for name, (low, high) in monitor.found.items()}}
            _log.warning('int8: ranges of the network with inputs %s measured; %d of %d layers stay '
                         'float%s', ', '.join(sorted(own)),
                         len(kept), len(errors), ': ' + ', '.join(sorted(kept)) if kept else '')
        self._open = {}
        self._record.save()

    def _fastest(self, found, makers, shapes):
        """The name of the network that is the fastest here, measured once and recorded; makers: {name: function}."""
        operators = 'operators ' + sources.digest()[:16]
        machine = '%s, %s threads, %s' % (processor_kind(), os.environ.get('OMP_NUM_THREADS'), operators)
        if set(found['milliseconds'].get(machine, ())) != set(makers):
            # Times of other operators say nothing of these.
            found['milliseconds'] = {name: times for name, times in found['milliseconds'].items()
                                     if name.endswith(operators)}
            found['milliseconds'][machine] = dict(zip(makers, _milliseconds(list(makers.values()), shapes)))
            self._record.save()
        times = found['milliseconds'][machine]
        fastest = min(times, key=times.get)
        if fastest == 'float32':
            _log.warning('int8 is slower than float32 on this processor (%.1f and %.1f ms; %s): the network with '
                         'inputs %s stays float32', min(times[name] for name in times if name != 'float32'),
                         times['float32'], 'it has VNNI' if 'vnni' in cpuinfo('flags') else 'it has no VNNI',
                         ', '.join(found['inputs']))
        return fastest


def make_precision(name, arg_params, source):
    """Return the object for `name`, a value of TEST.PRECISION; arg_params: {name: NDArray}, source: their file."""
    return Int8(arg_params, source) if name == 'int8' else Float32(source)


def arithmetic(symbol):
    """'int8' or 'float32', what most of a bound network computes with."""
    marks = ('quantize', 'DFFInt8')
    return 'int8' if any(mark in node.op for node in Graph(symbol).nodes() for mark in marks) else 'float32'


def _is_for_bytes(symbol, arguments):
    """Whether int8 can compute a network: all its layers have weights of their own, and nothing else has a state."""
    graph = Graph(symbol)
    users = graph.users()
    return not symbol.list_auxiliary_states() and all(
        has_own_params(node, users, arguments) for node in graph.nodes() if node.op in KERNELS)


def _is_beyond_bytes(ranges, inputs):
    """Whether {tensor: (low, high)} of the network with `inputs` holds what no byte can stand for, which is logged."""
    for name, ends in sorted(ranges.items()):
        if not all(abs(end) <= LARGEST for end in ends):
            _log.warning('int8: %s is from %g to %g, and bytes are for what is within %g: the network with inputs %s '
                         'stays float32. Are the parameters those of a training that diverged?', name, *ends, LARGEST,
                         ', '.join(sorted(inputs)))
            return True
    return False


def _milliseconds(makers, shapes, repeats=5):
    """Least time of a forward of each Rewritten, measured in turn; makers: functions that return one."""
    executors = []
    for make in makers:
        network = make()
        pool = ExecutorPool(network.symbol, mx.cpu(), shapes)
        pool.set_params(network.arg_params, network.aux_params)
        del network      # the pool has copies
        executors.append(pool.get(shapes))
        for name in ('data', 'data_key', 'feat_key', 'im_info'):
            if name in shapes:
                value = [list(shapes['data'][2:]) + [1]]
                if name != 'im_info':
                    value = 30 * np.random.RandomState(0).randn(*shapes[name])
                executors[-1].arg_dict[name][:] = mx.nd.array(value)
    least = [float('inf')] * len(executors)
    for repeat in range(repeats + 1):
        for number, executor in enumerate(executors):
            start = time.perf_counter()
            executor.forward(is_train=False)
            mx.nd.waitall()
            if repeat:      # the first one prepares weights
                least[number] = min(least[number], (time.perf_counter() - start) * 1e3)
    return least


def _digest(params):
    """SHA-256 over names and values."""
    value = hashlib.sha256()
    for name in sorted(params):
        value.update(name.encode())
        value.update(params[name].asnumpy().tobytes())
    return value.hexdigest()
