"""Whether the streaming pipeline's memory stays constant: python benchmarks/memory.py [--frames 10000] [--detectors 60]

A small network on one video of --frames frames; on clips of changing length and frame size, as
many frames; then --detectors detectors one after the other, each on a short clip. Prints the
resident memory on the way, MB. The first tenth warms up: sizes are bound there, and pools of
memory grow; what the rest adds is what a longer run would add again.
"""
import argparse
import gc
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.job import Job  # noqa: E402
from lib.utils.argument_types import positive  # noqa: E402
from lib.utils.cli import run  # noqa: E402

CFG = 'experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml'
SMALL = ['network.width=0.125', 'network.DFF_FEAT_DIM=32', 'network.flow_width=0.0625', 'SCALES=[64,160]', 'gpus=cpu']
# Of frames, height and width.
SIZES = [(64, 96), (64, 128), (96, 64), (72, 72), (48, 160), (80, 100), (64, 100), (160, 64)]


def resident():
    """MB of this process in memory."""
    with open('/proc/self/statm') as stream:
        return int(stream.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2 ** 20


def pictures(size, seed, count=16):
    """Return `count` frames, BGR uint8 of `size` = (height, width), of a noise picture that moves.

    seed: of the noise.
    """
    height, width = size
    picture = np.random.RandomState(seed).randint(
        0, 255, (height // 4 + 4, width // 4 + 8, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    return [np.ascontiguousarray(picture[t % 16:t % 16 + height, t:t + width]) for t in range(count)]


def one_video(predictor, frames):
    """[(frames so far, MB)] of one long video."""
    images, seen = pictures(SIZES[0], 0), []
    for number, _ in enumerate(predictor.run(images[i % len(images)] for i in range(frames)), start=1):
        if number % (frames // 10) == 0:
            seen.append((number, resident()))
    return seen


def many_clips(predictor, frames):
    """[(frames so far, MB)] of clips of 1 to 60 frames, of changing size, within a clip too."""
    random, done, seen = np.random.RandomState(0), 0, []
    images = [pictures(size, number) for number, size in enumerate(SIZES)]
    while done < frames:
        length, turn = min(random.randint(1, 61), frames - done), random.randint(1, 31)
        chosen = random.randint(0, len(SIZES), 2)
        for _ in predictor.run(images[chosen[i // turn % 2]][i % 16] for i in range(length)):
            done += 1
            if done % (frames // 10) == 0:
                seen.append((done, resident()))
    return seen


def many_detectors(job, count):
    """[(detectors so far, MB)]"""
    images, seen = pictures(SIZES[0], 0), []
    for number in range(1, count + 1):
        for _ in job.predictor(mx.cpu(), job.interval).run(images):
            pass
        gc.collect()
        if number % max(1, count // 10) == 0:
            seen.append((number, resident()))
    return seen


def report(what, seen):
    """Print the row of a run."""
    (_, first), (_, last) = seen[0], seen[-1]
    print(
        '%s: %s; from a tenth to the end %+.1f MB'
        % (what, ', '.join('%d %.1f' % pair for pair in seen), last - first), flush=True)


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--frames', type=positive, default=10000, help='of the video, and of the clips (default 10000)')
    parser.add_argument('--detectors', type=positive, default=60, help='made one after the other (default 60)')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = Job(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), CFG), SMALL)
        job.use_random_params(folder)
        predictor = job.predictor(mx.cpu(), job.interval)
        report('one video, frames and MB', one_video(predictor, args.frames))
        report('clips of changing length and size, frames and MB', many_clips(predictor, args.frames))
        del predictor
        report('detectors one after the other, and MB', many_detectors(job, args.detectors))


if __name__ == '__main__':
    run(main)
