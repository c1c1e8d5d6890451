"""Run a model on a made-up camera: latency in frame times of the network, and memory over time.

    python benchmarks/live.py MODEL [--hz 30] [--frames 10000] [--size 562x1000]

MODEL is a folder of tools/export_model.py. The aims: a result is at most 2 frame times of the
network old, and memory stays flat. Where the network is faster than the camera, it waits for it.
"""
import argparse
import os
import sys
import time
from typing import Iterator

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import numpy as np  # noqa: E402

import dff  # noqa: E402
from dff.live.live import LiveSource, to_stderr  # noqa: E402
from dff.live.open import Clip  # noqa: E402
from dff.sources import DEFAULT_FPS  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def camera(hz: float, frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Yield `frames` BGR uint8 images of `height` by `width` pixels, `hz` a second: a square on noise."""
    still = np.random.RandomState(0).randint(0, 255, (height, width, 3)).astype(np.uint8)
    due, side = time.monotonic(), height // 4
    for number in range(frames):
        image = still.copy()
        left = number * 4 % (width - side)
        image[side:2 * side, left:left + side] = 255
        due += 1 / hz
        time.sleep(max(0.0, due - time.monotonic()))
        yield image


def resident() -> float:
    """Return the memory of this process, MB."""
    with open('/proc/self/statm', encoding='ascii') as stream:
        return int(stream.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2 ** 20


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('model')
    parser.add_argument('--hz', type=float, default=30.0, help='frames of the camera a second')
    parser.add_argument('--frames', type=int, default=10000, help='frames of the camera')
    parser.add_argument('--size', default='562x1000', metavar='HxW')
    args = parser.parse_args()
    model = dff.load(args.model)
    height, width = map(int, args.size.split('x'))
    source = LiveSource(lambda: camera(args.hz, args.frames, height, width), 'camera', to_stderr,
                        reopen=False)
    clip = Clip(source, None, DEFAULT_FPS, str, source, source.close)
    latencies, busy, memory = [], [], []
    for result in model.run(clip, model.schedule(None, None), 0.3, True):
        latencies.append(result.latency)
        busy.append(result.seconds.network + result.seconds.post)
        memory.append(resident())
    # The slowest kind of frame, a key frame, is what the newest frame waits for.
    slowest = np.percentile(busy, 95)
    print('%d frames came, %d were run, %d left out' % (args.frames, len(busy), source.dropped))
    print('network: %.1f ms a frame, %.1f at a key frame' % (1e3 * np.mean(busy), 1e3 * slowest))
    print('latency: %.1f ms (median), %.1f (95 %%), that is %.2f and %.2f times a key frame' % (
        1e3 * np.median(latencies), 1e3 * np.percentile(latencies, 95),
        np.median(latencies) / slowest, np.percentile(latencies, 95) / slowest))
    early = memory[len(memory) // 10]
    print('memory: %.0f MB after a tenth, %.0f at the end, %.0f at most' % (early, memory[-1], max(memory)))


if __name__ == '__main__':
    run(main)
