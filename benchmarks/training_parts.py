"""Where each millisecond of a training step goes, forward and backward, and what the multiply-adds alone would take.

    python benchmarks/training_parts.py --cfg experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml

First parameter values and drawn frames of the settings' size, on the CPU. Steps are timed as `fit` makes them;
then the executor's monitor stops further ones behind every operator to read the clock. It is called for those
of the backward pass, too, by the layer's name and `_backward`; a sum of gradients counts for the operator
before it. Frozen layers that are computed apart (lib/train/frozen_part.py) are one part, with the copying of the
inputs. The step that is not watched also has the update, the metrics and the threads that make batches.

The floor is 2 x the multiply-adds of the convolutions over the fastest matrix product that is found here: once
for the forward pass, once for the gradient of the weights where they are trained, once for that of the input
where something before it is trained. Dilated convolutions of small maps go below it: many of their taps are
outside of the map, and oneDNN leaves those out.
"""
import os
import resource
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.job import DRAWN, Job  # noqa: E402
from benchmarks.parts import Stopwatch, convolutions, part_names, peak, timed  # noqa: E402
from dff.errors import ConfigError  # noqa: E402
from dff.image import read_image  # noqa: E402
from dff.runtime.machine import processor  # noqa: E402
from lib.config.cli import base_parser  # noqa: E402
from lib.dataset.formats.records import Record  # noqa: E402
from lib.graph.graph import Graph  # noqa: E402
from lib.train.frozen import fixed_param_names, with_stored_statistics  # noqa: E402
from lib.train.frozen_part import SplitPool  # noqa: E402
from lib.train.loaders.detection_loader import DetectionLoader  # noqa: E402
from lib.train.module import MutableModule  # noqa: E402
from lib.train.trainer import optimizer_params  # noqa: E402
from lib.utils.argument_types import positive  # noqa: E402
from lib.utils.cli import run  # noqa: E402

BOXES = 4               # objects on a drawn frame
BACKWARD = '_backward'
FROZEN = 'frozen layers, apart'
# Operators that let no gradient through.
ENDS = ('BlockGrad', 'DFFProposal', 'DFFRCNNTargets', 'DFFHardExamples', 'DFFImagePair')


class Training:
    """A network, its loader and its optimizer as lib/train/trainer.py makes them, on drawn frames.

    Args:
        job: Job of a detector, with drawn frames.
        steps: batches that are needed.

    Attributes: symbol, in which every layer has a name of its own; shapes, {input: shape}; fixed, names of the
    parameters that are not trained; frozen, names of the layers that are computed apart; loader, module, metrics.

    Raises ConfigError for another kind of task, and where nothing is trained.
    """

    def __init__(self, job, steps):
        if job.task.recognises != 'detection':
            raise ConfigError('%s finds no boxes: this benchmark trains detectors' % job.task.title)
        config, instance = job.config, job.instance
        records = drawn_records(job, config.dataset.NUM_CLASSES)
        records *= -(-steps * config.TRAIN.BATCH_IMAGES // DRAWN)
        self.loader = loader = DetectionLoader(records, config, 1, job.task.references)
        symbol = instance.get_train_symbol(config)
        inputs = loader.data_names + loader.label_names
        self.fixed = fixed_param_names(symbol, inputs, config.network)
        if not set(symbol.list_arguments()).difference(inputs, self.fixed):
            raise ConfigError('network.FIXED_PARAMS freezes all parameters: there is no training to measure')
        self.symbol = Graph(with_stored_statistics(symbol, inputs + self.fixed)).symbol()
        self.shapes = dict(loader.provide_data[0] + loader.provide_label[0])
        instance.infer_shape(self.shapes)
        params = {}, {}
        instance.init_weight(config, *params)
        self.module = MutableModule(self.symbol, loader.data_names, loader.label_names, context=mx.cpu(),
                                    fixed_param_names=self.fixed)
        self.module.bind(loader.provide_data, loader.provide_label)
        self.module.init_params(None, *params)
        self.module.init_optimizer(kvstore=None, optimizer_params=optimizer_params(config, loader.batches_per_epoch))
        pool, self.metrics = self.module._pools[0], job.task.kind.train_metrics()
        self.frozen = {node.name for node in Graph(pool.parts.frozen).nodes()} if isinstance(pool, SplitPool) else set()

    def step(self, batch):
        """Queue what `fit` does with a batch."""
        self.module.forward_backward(batch)
        self.module.update()
        self.module.update_metric(self.metrics, batch.label)

    def whole(self, steps):
        """(median ms of a step, median ms of it waiting for data), of so many, after one that binds."""
        rows = []
        for _ in range(steps + 1):
            started, waited = time.perf_counter(), self.loader.waited
            self.step(self.loader.next())
            rows.append((time.perf_counter() - started, self.loader.waited - waited))
        mx.nd.waitall()
        return tuple(1e3 * np.median(rows[1:], axis=0))

    def beside(self, steps):
        """{what is done beside the networks: median ms} of so many times each, one after the other."""
        def update():
            self.module.update()
            self.module.on_devices()        # makes the step

        def metrics():
            self.module.update_metric(self.metrics, batch.label)
            self.metrics.get()
        rows, item = [], (0, list(range(self.loader.batch_size)))
        for _ in range(steps + 1):
            batch = self.loader.make(item)
            self.module.forward_backward(batch)
            mx.nd.waitall()
            rows.append([timed(call) for call in (update, metrics, lambda: self.loader.make(item))])
        names = ('update of the parameters', 'metrics', 'making a batch (other threads)')
        return dict(zip(names, np.median(rows[1:], axis=0)))

    def watched(self, steps):
        """{layer or layer + BACKWARD: median ms}, in order, of so many steps. The network then stays slow."""
        batch, pool = self.loader.make((0, list(range(self.loader.batch_size)))), self.module._pools[0]
        inputs = dict(zip(self.loader.data_names + self.loader.label_names, batch.data[0] + batch.label[0]))
        watch = Layers(part_names(self.symbol))
        pool.fill(inputs).set_monitor_callback(watch)
        rounds = []
        for _ in range(steps + 1):
            frozen = timed(lambda: pool.fill(inputs)) / 1e3
            watch.start()
            executor = pool.get(self.shapes)
            executor.forward(is_train=True)
            executor.backward()
            mx.nd.waitall()
            rounds.append(dict(watch.seconds, **{FROZEN: frozen} if self.frozen else {}))
        order = [FROZEN] * bool(self.frozen) + watch.order
        return {layer: 1e3 * float(np.median([each.get(layer, 0) for each in rounds[1:]])) for layer in order}


class Layers(Stopwatch):
    """Seconds by layer, those of the backward pass apart. What no layer is called adds to the one before."""

    _before = 'data'

    def part_of(self, layer):
        """See Stopwatch."""
        if layer.partition(BACKWARD)[0] in self._parts:
            self._before = layer
        return self._before


def drawn_records(job, classes):
    """[Record] of the frames that `job` has drawn, with BOXES random boxes of `classes` - 1 classes each."""
    rng, pattern = np.random.RandomState(0), os.path.join(job.frames, '%06d.jpg')
    height, width = read_image(pattern % 0).shape[:2]
    records = []
    for number in range(DRAWN):
        corners = rng.uniform(0, (width - 1, height - 1), (BOXES, 2, 2))
        boxes = np.hstack((corners.min(axis=1), corners.max(axis=1))).astype(np.float32)
        labels = rng.randint(1, classes, BOXES).astype(np.int32)
        records.append(Record(pattern % number, height, width, boxes, labels, False, pattern, number, DRAWN, ''))
    return records


def work_of(symbol, shapes, fixed):
    """{layer: (multiply-adds of the forward pass, of the backward pass)} of the convolutions.

    Args:
        symbol: the training network.
        shapes: {input name: shape}.
        fixed: names of the parameters that are not trained.
    """
    counts = {node.name: count for node, _, count in convolutions(symbol, shapes)}
    trained, work, fixed = set(), {}, set(shapes).union(fixed, symbol.list_auxiliary_states())
    for node in Graph(symbol).nodes():
        if node.op == 'null':
            needed = node.name not in fixed
        else:
            wanted = [source.name in trained for source, _ in node.inputs]
            needed = any(wanted) and node.op not in ENDS
            if node.name in counts:
                work[node.name] = counts[node.name], counts[node.name] * sum(wanted[:2])
        if needed:
            trained.add(node.name)
    return work


def table(layers, parts, work, rate):
    """Return the step's parts as Markdown.

    Args:
        layers: what Training.watched returns.
        parts: {layer: its part}.
        work: what work_of returns.
        rate: GFLOP/s of the fastest matrix product.
    """
    rows = {}
    for layer, ms in layers.items():
        name, backward, _ = layer.partition(BACKWARD)
        row = rows.setdefault(parts[name], np.zeros((2, 2)))
        side = int(bool(backward))
        row[side] += ms, 2e-6 * work.get(name, (0, 0))[side] / rate
    lines = ['| part | forward, ms | floor | backward, ms | floor |', '|---|---|---|---|---|']
    rows['all of these'] = sum(rows.values())
    for part, row in rows.items():
        lines.append('| %s | %s |' % (part, ' | '.join('%.1f' % value if value else '' for value in row.ravel())))
    return '\n'.join(lines)


def slowest(layers, work, rate, count):
    """Return `count` layers that lose most against their floor, as Markdown; layers, work, rate: as of table."""
    rows = []
    for layer, ms in layers.items():
        name, backward, _ = layer.partition(BACKWARD)
        floor = 2e-6 * work.get(name, (0, 0))[bool(backward)] / rate
        rows.append((ms - floor, layer, ms, floor))
    rows = sorted(rows, reverse=True)[:count]
    return '\n'.join(['| layer | ms | floor |', '|---|---|---|'] + ['| %s | %.1f | %.1f |' % row[1:] for row in rows])


def main():
    """Run the command."""
    parser = base_parser(__doc__.split('\n')[0])
    parser.add_argument('--steps', type=positive, default=10, metavar='N', help='steps of each kind (default 10)')
    parser.add_argument('--slowest', type=positive, metavar='N', help='also the N layers that lose most')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = Job(args.cfg, [setting for group in args.settings for setting in group])
        job.use_drawn_frames(folder)
        training, rate = Training(job, args.steps + 2), peak()
        print('%s, %s threads, float32; fastest matrix product: %.0f GFLOP/s'
              % (processor(), os.environ['OMP_NUM_THREADS'], rate), flush=True)
        step, waiting = training.whole(args.steps)
        beside = training.beside(args.steps)
        layers = training.watched(args.steps)
        work, parts = work_of(training.symbol, training.shapes, training.fixed), part_names(training.symbol)
        work[FROZEN] = sum(work.pop(layer)[0] for layer in training.frozen.intersection(work)), 0
        print('\n' + table(layers, dict(parts, **{FROZEN: FROZEN}), work, rate))
        floor = 2e-6 * sum(map(sum, work.values())) / rate
        print('\n| a step, not watched | ms |\n|---|---|\n| all | %.1f |\n| its floor | %.1f |' % (step, floor))
        print('| waiting for data | %.2f |' % waiting)
        print('\n'.join('| %s | %.2f |' % row for row in beside.items()))
        print('| peak memory, MB | %.0f |' % (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
        if args.slowest:
            print('\n' + slowest(layers, work, rate, args.slowest))


if __name__ == '__main__':
    run(main)
