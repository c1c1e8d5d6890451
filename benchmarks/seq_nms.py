"""Time Seq-NMS on made-up clips, and the networks whose boxes it takes.

    OMP_NUM_THREADS=2 python benchmarks/seq_nms.py --cfg FILE.yaml [--boxes 300] [--classes 30]

Every box has every class, with a score above the threshold: the most that these RoIs can give.
A clip's time is that of all that Seq-NMS takes: keeping boxes, paths, NMS, the limit of a frame.
"""
import argparse
import os
import resource
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.job import Job  # noqa: E402
from dff.tracking import seq_nms as plain  # noqa: E402
from dff.tracking.clip_boxes import ClipBoxes, Selection  # noqa: E402
from dff.sources import open_frames  # noqa: E402
from dff.timing import Timing  # noqa: E402
from lib.boxes import seq_nms as native  # noqa: E402
from lib.boxes.seq_nms import select  # noqa: E402
from lib.utils.argument_types import positive  # noqa: E402
from lib.utils.cli import run  # noqa: E402

LENGTHS = (125, 250, 500, 1000, 2000)
OBJECTS = 40
SIZE = (1000, 562)       # pixels


def frames(length, boxes, classes):
    """Yield the boxes before NMS of each frame: about objects that sway, in every class.

    length: frames; boxes: of a frame; classes: without the background.
    """
    rng = np.random.RandomState(0)
    centres, turns = rng.uniform(0, SIZE, (OBJECTS, 2)), rng.uniform(0.01, 0.1, (OBJECTS, 2))
    sides = rng.uniform(40, 200, (OBJECTS, 2))
    labels = np.repeat(np.arange(1, classes + 1), boxes)
    for t in range(length):
        owners = rng.randint(0, OBJECTS, boxes)
        middle = centres[owners] + 60 * np.sin(turns[owners] * t) + rng.randn(boxes, 2) * 8
        half = sides[owners] * rng.uniform(0.8, 1.25, (boxes, 2)) / 2
        corners = np.hstack((middle - half, middle + half)).clip(0, np.tile(SIZE, 2) - 1)
        scores = 2e-3 + rng.uniform(0, 0.99, boxes * classes) ** 4
        yield np.column_stack((labels, scores, np.tile(corners, (classes, 1)))).astype(np.float32)


def clip_seconds(length, boxes, classes):
    """Return what Seq-NMS takes of a made-up clip: (seconds by the clock, of the processor).

    length, boxes, classes: as of `frames`.
    """
    kept, spent = ClipBoxes(), np.zeros(2)

    def clocks():
        return np.array([time.perf_counter(), time.process_time()])
    for found in frames(length, boxes, classes):
        start = clocks()
        kept.add(found)
        spent += clocks() - start
    start = clocks()
    for _ in select(kept, Selection('avg', 0.3, 300, 1e-3)):
        pass
    spent += clocks() - start
    kept.close()
    return spent.tolist()


def network_milliseconds(cfg):
    """Return (interval, times of Timing.milliseconds) of the networks of `cfg`.

    They have random parameters and see drawn frames.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = Job(cfg, gpus='cpu')
        job.use_random_params(folder)
        job.use_drawn_frames(folder)
        predictor = job.predictor(mx.cpu(), job.interval)
        timing = Timing(warm_up=predictor.warm_up)
        for result in predictor.run(open_frames(job.frames)):
            timing.add(result)
        return job.interval, timing.milliseconds()


def compare_with_numpy(boxes):
    """Print what NumPy takes for one class of a clip, and that the result is the same."""
    kept = ClipBoxes()
    for found in frames(60, boxes, 1):
        kept.add(found)
    rows = kept.of_class(1)
    clip = np.arange(61) * boxes, rows['box'], rows['score'].astype(np.float64)
    seconds, results = [], []
    for form in (native, plain):
        start = time.perf_counter()
        results.append(form.seq_nms(*clip))
        seconds.append(time.perf_counter() - start)
    same = all(np.array_equal(one, other) for one, other in zip(*results))
    print('one class, 60 frames: native %.4f s, NumPy %.2f s; %s'
          % (*seconds, 'equal' if same else 'DIFFERENT'))


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--cfg', required=True, metavar='FILE.yaml',
                        help='settings of the networks')
    parser.add_argument('--boxes', type=positive, default=300, help='of a frame (default 300)')
    parser.add_argument('--classes', type=positive, default=30, help='of each box (default 30)')
    args = parser.parse_args()
    compare_with_numpy(args.boxes)
    print('| frames | Seq-NMS, s | of the processor, s | and ms a frame | peak memory, MB |\n'
          '|---|---|---|---|---|')
    for length in LENGTHS:
        seconds, busy = clip_seconds(length, args.boxes, args.classes)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print('| %d | %.2f | %.2f | %.2f | %.0f |'
              % (length, seconds, busy, busy / length * 1e3, peak), flush=True)
    interval, ms = network_milliseconds(args.cfg)
    kind = 'key' if ms['current'] is None else 'current'
    share = 1.0 if ms['current'] is None else 1 - 1 / interval
    print('%s network: %.1f ms a frame; in 500 frames %.1f s by the clock'
          % (kind, ms[kind], ms[kind] * share / 2))


if __name__ == '__main__':
    run(main)
