"""Milliseconds of an exported model in MXNet and in onnxruntime.

    python tools/export_model.py dff_rfcn --cfg FILE.yaml --output FOLDER --format onnx
    python benchmarks/exported_onnx.py dff_rfcn FOLDER --size 562x1000

The same made-up frames go through both alternately, so that a busy machine slows both equally; medians,
of the networks alone, with the
threads that OMP_NUM_THREADS names for both (default: the physical cores).
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from dff.frames import made_up_clip, prepare  # noqa: E402
from dff.runtime.onnx_networks import open_networks  # noqa: E402
from lib.config.config import merge  # noqa: E402
from lib.inference.exported import exported_settings, load_exported  # noqa: E402
from lib.onnx_export.sizes import image_size  # noqa: E402
from lib.symbols.registry import get_symbol_instance  # noqa: E402
from lib.tasks.task import TASKS  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def parse_arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('task', metavar='TASK', help=', '.join(TASKS.names()))
    parser.add_argument(
        'folder', metavar='FOLDER', help='that tools/export_model.py --format onnx wrote'
    )
    parser.add_argument(
        '--size',
        type=image_size,
        default=(562, 1000),
        metavar='HxW',
        help='of the frames (default 562x1000)',
    )
    parser.add_argument(
        '--frames',
        type=int,
        default=8,
        metavar='N',
        help='frames of each kind to time (default 8)',
    )
    return parser.parse_args()


def measure(networks, frames, seconds):
    """Append to `seconds` how long each of `networks` takes for a key frame, the first of
    `frames`, and for each other one.

    Args:
        networks: {engine: dff.networks.Networks}.
        frames: Frames of one clip.
        seconds: {(engine, kind): list}.
    """

    def timed(engine, kind, function, *arguments):
        start = time.perf_counter()
        result = function(*arguments)
        seconds.setdefault((engine, kind), []).append(time.perf_counter() - start)
        return result

    states = {
        engine: timed(engine, 'key', each.key, frames[0])[1] for engine, each in networks.items()
    }
    for frame in frames[1:]:
        for engine, each in networks.items():
            timed(engine, 'current', each.current, frame, states[engine])


def main():
    """Entry point."""
    args = parse_arguments()
    task = TASKS.get(args.task)
    task.load_symbols()
    merge(task.config, exported_settings(args.folder), args.folder)
    network, params, name = load_exported(args.folder, get_symbol_instance(task.config))
    threads = int(os.environ['OMP_NUM_THREADS'])
    networks = {
        'MXNet': task.kind.predictor(task.config, network, params, mx.cpu(), None, name).networks,
        'onnxruntime': open_networks(args.folder, threads),
    }
    form, seconds = networks['onnxruntime'].form, {}
    for number in range(args.frames + 1):
        clip = made_up_clip(args.size, 2 if task.propagates else 1, seed=number)
        measure(networks, [prepare(image, form) for image in clip], seconds)
    print(
        '%s, %dx%d, threads: %d; medians of %d frames, ms'
        % ((args.task,) + args.size + (threads, args.frames))
    )
    for (engine, kind), times in seconds.items():
        print('%-12s %-8s %8.1f' % (engine, kind, 1e3 * np.median(times[1:])))  # the first binds


if __name__ == '__main__':
    run(main)
