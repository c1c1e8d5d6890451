"""A process of tools/benchmark.py: MXNet networks, run on command. usage: worker.py ROLE FOLDER

    every-frame, float32, int8    this project: the whole pipeline, all frames key frames or not
    builtin                       the graph as it is built, on MXNet's own operators
    outputs                       no timing: writes what all must compute, and the parameters and
                                  frames for other frameworks
    export-float32, export-int8   no timing: writes the ONNX files of tools/export_model.py for
                                  benchmarks/exported_worker.py
"""
import itertools
import json
import os
import resource
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.job import Job  # noqa: E402
from lib.engine.checkpoint import file_name  # noqa: E402
from lib.engine.devices import contexts  # noqa: E402
from lib.engine.executors import ExecutorPool  # noqa: E402
from lib.inference.exported import export_model  # noqa: E402
from lib.precision.precision import FRAMES, KEY_INTERVAL, Float32  # noqa: E402
from lib.inference.key_frames import input_format  # noqa: E402
from lib.symbols.outputs import layer_outputs, own_outputs  # noqa: E402
from dff.frames import prepare  # noqa: E402
from lib.onnx_export.export import export_onnx  # noqa: E402
from dff.sources import open_frames  # noqa: E402
from lib.operator_cxx import loader  # noqa: E402
from lib.symbols.backbones.resnet_v1 import STAGES, unit_name  # noqa: E402
from dff.errors import DFFError, ExportError, SetupError  # noqa: E402

# Layers whose outputs are compared.
MAPS = {'detection': ('rpn_cls_score', 'rpn_bbox_pred', 'rfcn_cls', 'rfcn_bbox'), 'segmentation': ('score',)}


class Ours:
    """This project's pipeline over the frames, again and again."""

    def __init__(self, job, role):
        if role != 'every-frame':
            job.config.TEST.PRECISION = role
        interval = 1 if role == 'every-frame' else job.interval
        self._predictor = job.predictor(contexts(job.config.gpus.split(',')[0], lambda line: None)[0], interval)
        self._results = self._predictor.run(self._endless(open_frames(job.frames)))
        # All networks are bound, that of two key frames by the frame behind the first of them; int8 is calibrated.
        for _ in range(min(interval, 2) + self._predictor.schedule().lookahead):
            next(self._results)

    @staticmethod
    def _endless(source):
        while True:
            yield from source

    def describe(self):
        """What answers the start: the numbers that the networks compute with."""
        return {'precision': self._predictor.arithmetic()}

    def turn(self, count):
        """[[is it a key frame, ms of reading, network, post-processing]] of the next frames, and
        ms by the clock of all.
        """
        rows, start = [], time.perf_counter()
        for _ in range(count):
            result = next(self._results)
            rows.append([result.is_key] + [1e3 * seconds for seconds in result.seconds])
        return {'frames': rows, 'wall': 1e3 * (time.perf_counter() - start)}


class BuiltIn:
    """The graph as it is built, without rewriting, on MXNet's own operators; no reading and no post-processing."""

    def __init__(self, job, role):
        self._inputs = inputs_of(job)
        self._pools = {}
        params = job.params(lambda line: None)
        for kind, symbol in symbols_of(job, built_in=True).items():
            shapes = {name: np.shape(value) for name, value in self._inputs.items() if name in symbol.list_arguments()}
            self._pools[kind] = ExecutorPool(symbol, mx.cpu(), shapes)
            self._pools[kind].set_params(*params)
        self.turn(2)

    def describe(self):
        """What answers the start."""
        return {'precision': dict.fromkeys(self._pools, 'float32')}

    def turn(self, count):
        """[[is it a key frame, None, ms, None]] of one key frame and, of DFF, the same other frame again and again."""
        rows, start = [], time.perf_counter()
        for number in range(count):
            kind = 'key' if number == 0 or len(self._pools) == 1 else 'current'
            begin = time.perf_counter()
            self._forward(kind)
            rows.append([kind == 'key', None, 1e3 * (time.perf_counter() - begin), None])
        return {'frames': rows, 'wall': 1e3 * (time.perf_counter() - start)}

    def _forward(self, kind):
        pool = self._pools[kind]
        outputs = pool.forward({name: self._inputs[name] for name in pool.input_names}).outputs
        if kind == 'key' and len(self._pools) > 1:
            self._inputs['feat_key'] = outputs[0].copy()
            self._inputs['feat_key'].wait_to_read()
        for output in outputs[kind == 'key' and len(self._pools) > 1:]:
            output.asnumpy()


def symbols_of(job, built_in):
    """{'key', and of DFF 'current': test network}, the feature being the first output of DFF's for key frames."""
    def make():
        networks = job.instance.test_networks(job.config)
        return {{'frame': 'key'}.get(kind, kind): mx.sym.Group(own_outputs(symbol))
                for kind, symbol in networks.items()}
    if not built_in:
        return make()
    with loader.built_in():
        return make()


def inputs_of(job):
    """{input name: array} of the second frame, its key frame being the first; feature and labels are zero."""
    images = iter(open_frames(job.frames))
    key = prepare(next(images), input_format(job.config))
    frame = prepare(next(images, key.image), input_format(job.config))
    inputs = {'data': frame.tensor, 'im_info': frame.im_info}
    symbol = symbols_of(job, built_in=True)['key']
    if job.instance.propagates:
        inputs.update(data_key=key.tensor, feat_key=mx.nd.zeros(symbol[0].infer_shape(data=key.tensor.shape)[1][0]))
    names = symbol.list_arguments()
    shapes = symbol.infer_shape(**{name: np.shape(value) for name, value in inputs.items() if name in names})[0]
    inputs.update((name, np.zeros(shape, np.float32)) for name, shape in zip(names, shapes) if 'label' in name)
    return inputs


def write_outputs(job, folder):
    """reference.npz and float32.npz: feature and maps of both implementations.

    parameters.npz, frames.npz, calibration.npz, network.json.
    """
    inputs, params = inputs_of(job), job.params(lambda line: None)
    precision = Float32(file_name(job.prefix, job.epoch))
    for name, built_in in (('reference', True), ('float32', False)):
        given, found = dict(inputs), {}
        for kind, symbol in symbols_of(job, built_in).items():
            tapped = [symbol[0]] if kind == 'key' and job.instance.propagates else []
            tapped += layer_outputs(symbol, MAPS[job.task.recognises])
            if kind == 'key' and job.instance.propagates:
                given['data'] = inputs['data_key']
            outputs = run_once(mx.sym.Group(tapped), given, params, precision=None if built_in else precision)
            given['data'] = inputs['data']
            if kind == 'key' and job.instance.propagates:
                given['feat_key'] = found['feature'] = outputs.pop(0)
            found.update(('%s %s' % (kind, layer), value) for layer, value in zip(MAPS[job.task.recognises], outputs))
        np.savez(os.path.join(folder, name + '.npz'), **found)
    np.savez(os.path.join(folder, 'parameters.npz'),
             **{name: value.asnumpy() for group in params for name, value in group.items()})
    np.savez(os.path.join(folder, 'frames.npz'), data=inputs['data'], data_key=inputs.get('data_key', inputs['data']))
    first = [prepare(image, input_format(job.config)).tensor
             for image in itertools.islice(open_frames(job.frames), FRAMES)]
    np.savez(os.path.join(folder, 'calibration.npz'), key_frame_interval=min(job.interval, KEY_INTERVAL),
             frames=np.concatenate([tensor for tensor in first if tensor.shape == first[0].shape]))
    with open(os.path.join(folder, 'network.json'), 'w', encoding='utf-8') as stream:
        json.dump({'units': units_of(job), 'has_flow': job.instance.propagates,
                   'maps': MAPS[job.task.recognises]}, stream)


def run_once(symbol, inputs, params, precision):
    """Return the outputs, NumPy arrays, of a float32 network on the CPU.

    Args:
        symbol: the network.
        inputs: {name: array}.
        params: (arg_params, aux_params).
        precision: of lib.precision.precision, to run it as this project does; None: as it is built.
    """
    shapes = {name: np.shape(value) for name, value in inputs.items() if name in symbol.list_arguments()}
    if precision is not None:
        network = precision.rewrite(symbol, shapes, mx.cpu(), *params, 'the benchmark')
        symbol, params = network.symbol, (network.arg_params, network.aux_params)
    pool = ExecutorPool(symbol, mx.cpu(), shapes)
    pool.set_params(*params)
    return [output.asnumpy() for output in pool.forward({name: inputs[name] for name in shapes}).outputs]


def write_export(job, folder, precision):
    """Write the folder of tools/export_model.py --format onnx, as folder/PRECISION.

    Args:
        job: the Job.
        folder: of the job.
        precision: float32 or int8, which is calibrated on the job's frames.

    Raises SetupError where a package is missing, ExportError where the files compute something else.
    """
    out, task = os.path.join(folder, precision), job.task
    task.config = job.config
    task.config.TEST.PRECISION, task.config.TEST.KEY_FRAME_INTERVAL = 'float32', job.interval
    export_model(task.config, job.instance, *job.params(lambda line: None), task.kind.class_lines(task.config), out,
                 'the benchmark')
    export_onnx(task, out, None, job.frames, precision)


def units_of(job):
    """[[name, stride of the first 1x1 or 3x3 convolution, stride of the second, dilation]] of the ResNet's units."""
    depth = job.config.network.depth
    stages, bottleneck = STAGES[depth]
    second = bottleneck and job.config.network.STRIDE_IN_3X3
    units = []
    for stage, count in enumerate(stages, start=2):
        for index in range(count):
            stride = 2 if index == 0 and stage in (3, 4) else 1
            steps = [1, stride] if second else [stride, 1]
            units.append(['%d%s' % (stage, unit_name(depth, stage, index))] + steps + [2 if stage == 5 else 1])
    return units


def answer(content):
    """Write `content` as a line of JSON that benchmarks/contenders.py reads."""
    print('@' + json.dumps(content), flush=True)


def main():
    """Do what the command line says; then answer the lines of standard input."""
    role, folder = sys.argv[1:]
    try:
        job = Job.read(folder)
        if role == 'outputs':
            write_outputs(job, folder)
            answer({})
            return
        if role.startswith('export-'):
            try:
                write_export(job, folder, role[len('export-'):])
            except (SetupError, ExportError) as error:
                answer({'missing': str(error)})
                return
            answer({})
            return
        network = (BuiltIn if role == 'builtin' else Ours)(job, role)
        answer(dict(network.describe(), version='MXNet %s' % mx.__version__))
        for line in sys.stdin:
            if line.strip() == 'memory':
                answer(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            else:
                answer(network.turn(int(line)))
    except DFFError as error:
        answer({'error': str(error)})


if __name__ == '__main__':
    main()
