"""Detect in a real clip with the small trained model of the repository: the first minute of `sh init.sh --demo`.

    python tools/demo_clip.py

Runs R-FCN on every frame, then Deep Feature Flow with a key frame every ten, on data/demo (docs/results.md says
where the clip is from and how model/demo was trained), and writes what was found, drawn, to output/demo.
"""
import os
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
sys.path.insert(0, ROOT)

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import dff  # noqa: E402
from dff.errors import DataError  # noqa: E402
from dff.writers import open_writer  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from lib.utils.paths import resolve  # noqa: E402
from lib.utils.progress import progress_bar  # noqa: E402

MODEL, CLIPS, OUTPUT = 'model/demo', 'data/demo', 'output/demo'
INTERVAL = 10
BASELINE_FRAMES = 100           # of the clip: enough for the speed of the frame baseline
WARM = 2 * INTERVAL             # frames before the clock runs


def demo_clip():
    """Return the path of the clip; raises DataError where it is missing."""
    folder = resolve(CLIPS)
    names = sorted(name for name in (os.listdir(folder) if os.path.isdir(folder) else ()) if name.endswith('.mp4'))
    if not names:
        raise DataError('%s holds no .mp4: it is part of the repository, `git checkout %s` brings it back'
                        % (folder, CLIPS))
    return os.path.join(folder, names[0])


def speed(detector, clip, interval, most=None, write=None):
    """Run the detector over a clip and return (frames a second, frames, frames with an object).

    Args:
        detector: of dff.load.
        clip: path of a video.
        interval: frames from one key frame to the next.
        most: frames to read, or None for all.
        write: write(image, name) is given every drawn frame, whose time is not counted.
    """
    seconds, frames, found = 0.0, 0, 0
    start = time.perf_counter()
    for result in progress_bar(detector(clip, interval=interval), total=most, unit='frame',
                               desc='a key frame every %d' % interval):
        seconds += (time.perf_counter() - start) * (frames >= WARM)
        frames, found = frames + 1, found + bool(len(result.boxes))
        if write is not None:
            write(result.draw(), result.name)
        if frames == most:
            break
        start = time.perf_counter()
    return (frames - WARM) / seconds, frames, found


def main():
    """Run the command."""
    clip, detector = demo_clip(), dff.load(resolve(MODEL), backend='mxnet')
    output = os.path.join(resolve(OUTPUT), os.path.splitext(os.path.basename(clip))[0] + '.webm')
    baseline, _, _ = speed(detector, clip, 1, BASELINE_FRAMES)
    with open_writer(output, 30) as write:
        fast, frames, found = speed(detector, clip, INTERVAL, write=write)
    print('%s, %d frames, objects found in %d of them' % (os.path.relpath(clip, ROOT), frames, found))
    print('R-FCN on every frame:                        %5.1f frames a second' % baseline)
    print('Deep Feature Flow, a key frame every %2d:     %5.1f frames a second (%.1f times as many)'
          % (INTERVAL, fast, fast / baseline))
    print('video with boxes: %s' % os.path.relpath(output, ROOT))


if __name__ == '__main__':
    run(main)
