"""Milliseconds of an exported model in MXNet, onnxruntime and OpenVINO, in float32 and int8.

    python tools/export_model.py dff_rfcn --cfg FILE.yaml --output FOLDER --format onnx --frames PATH --precision int8
    OMP_NUM_THREADS=2 python benchmarks/runtimes.py FOLDER --size 562x1000

All run the same made-up video from its file, one interval of key frames after the other alternately, so that a busy
machine slows all equally; the first turn, which prepares, does not count. The networks' times are medians; what
is outside of them is the share of the wall time of whole turns: decoding, scaling, boxes, suppression, ids. The
threads are those of OMP_NUM_THREADS (default: the physical cores). What is not installed is left out.
"""
import argparse
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

import dff  # noqa: E402
from dff.errors import DFFError, SetupError  # noqa: E402
from dff.frames import made_up_clip  # noqa: E402
from dff.runtime.machine import cores, processor, version_of  # noqa: E402
from dff.runtime.model import THRESH  # noqa: E402
from dff.runtime.speed import PAUSE, frame_size  # noqa: E402
from dff.sources import open_frames  # noqa: E402
from dff.writers import open_writer  # noqa: E402
from lib.apps.backend import exported_task  # noqa: E402
from lib.apps.demo import load_model  # noqa: E402
from lib.utils.argument_types import positive  # noqa: E402
from lib.utils.cli import run  # noqa: E402

ENGINES = {'MXNet': 'mxnet', 'onnxruntime': 'onnxruntime', 'OpenVINO': 'openvino'}


class Row:
    """One engine in one precision, and what it took.

    Args:
        name: for the table.
        run: (path of a video) -> iterator of results with is_key and seconds.
    """

    def __init__(self, name, run):
        self.name, self._run = name, run
        self.key, self.current, self.wall, self.network = [], [], 0.0, 0.0

    def turn(self, video, counts):
        """Run on `video`; counts: whether to keep the times."""
        time.sleep(PAUSE)
        start = time.perf_counter()
        results = [(each.is_key, each.seconds.network) for each in self._run(video)]
        wall = time.perf_counter() - start
        if counts:
            for is_key, seconds in results:
                (self.key if is_key else self.current).append(1e3 * seconds)
            self.wall += wall
            self.network += sum(seconds for _, seconds in results)

    def times(self, interval):
        """Return [ms of a key frame, of another, of the mean frame]; nan where there are no others."""
        key = float(np.median(self.key))
        current = float(np.median(self.current)) if self.current else float('nan')
        return [key, current, (key + (interval - 1) * current) / interval if self.current else key]


def runners(folder, threads):
    """Yield (name, function of Row) of all that can run here; print what cannot."""
    for name, engine in ENGINES.items():
        for precision in ('float32', 'int8'):
            try:
                if (engine, precision) == ('mxnet', 'int8'):
                    yield '%s, %s' % (name, precision), mxnet_int8(folder)
                else:
                    yield '%s, %s' % (name, precision), dff.load(folder, backend=engine, threads=threads,
                                                                 precision=precision)
            except DFFError as error:
                print('left out: %s, %s (%s)' % (name, precision, error))


def mxnet_int8(folder):
    """Return a function of Row for MXNet in int8, whose ranges are measured on the first frames that it sees."""
    task, config = exported_task(folder)
    config.TEST.PRECISION, task.config = 'int8', config
    network, params, name = load_model(task, folder, 0)
    predictor = task.kind.predictor(config, network, params, mx.cpu(), None, name)
    if task.recognises == 'detection':
        predictor.thresh = THRESH       # as dff.load has it
    return lambda video: predictor.run(open_frames(video))


def table(rows, interval):
    """Return the figures of `rows` as Markdown, each with its ratio to the first row."""
    lines = ['| | key frame, ms | other, ms | mean, ms | outside of the networks |', '|---|---|---|---|---|']
    base = rows[0].times(interval)
    for row in rows:
        cells = ['' if np.isnan(ms) else '%.1f (%.2f)' % (ms, ms / first)
                 for ms, first in zip(row.times(interval), base)]
        lines.append('| %s | %s | %.1f %% |' % (row.name, ' | '.join(cells), 100 * (1 - row.network / row.wall)))
    return '\n'.join(lines)


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', metavar='FOLDER', help='that tools/export_model.py --format onnx wrote')
    parser.add_argument('--size', default='562x1000', metavar='HxW', help='of the frames (default 562x1000)')
    parser.add_argument('--rounds', type=positive, default=3, metavar='N', help='turns of each (default 3)')
    args = parser.parse_args()
    threads, before = int(os.environ['OMP_NUM_THREADS']), os.getloadavg()[0]
    rows, interval = [], exported_task(args.folder)[1].TEST.KEY_FRAME_INTERVAL
    with tempfile.TemporaryDirectory() as folder:
        video = os.path.join(folder, 'clip.mp4')
        with open_writer(video) as write:
            for number, image in enumerate(made_up_clip(frame_size(args.size), interval)):
                write(image, str(number))
        # Each is prepared before the next is loaded: MXNet takes much memory while it measures ranges for int8.
        for name, function in runners(args.folder, threads):
            rows.append(Row(name, function))
            rows[-1].turn(video, False)
        for _ in range(args.rounds):
            for row in rows:
                row.turn(video, True)
    if not rows:
        raise SetupError('nothing can run %s here' % args.folder)
    print('\n%s\n' % table(rows, interval))
    print('%s, %s, interval %d, medians of %d turns; in brackets the ratio to the first row' % (
        os.path.basename(os.path.normpath(args.folder)), args.size, interval, args.rounds))
    print('%s, %d cores, %d threads; load average before %.1f%s; %s' % (
        processor(), cores(), threads, before, ', so the machine had other work' if before > 0.5 else '',
        ', '.join(version_of(engine) for engine in ENGINES.values())))


if __name__ == '__main__':
    run(main)
