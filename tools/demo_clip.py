"""Detect in a real clip with the small trained model of the repository: the first minute of `sh init.sh --demo`.

    python tools/demo_clip.py

Runs R-FCN on every frame, then Deep Feature Flow with a key frame every ten, on data/demo (docs/results.md says
where the clip is from and how model/demo was trained), and writes what was found, drawn, to output/demo.
"""
import itertools
import os
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
sys.path.insert(0, ROOT)

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import dff  # noqa: E402
from dff.errors import DataError  # noqa: E402
from dff.sources import open_frames  # noqa: E402
from dff.writers import open_writer  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from lib.utils.paths import resolve  # noqa: E402
from lib.utils.progress import progress_bar  # noqa: E402

MODEL, CLIPS, OUTPUT = 'model/demo', 'data/demo', 'output/demo'
INTERVAL = 10
BASELINE_FRAMES = 100           # of the clip: enough for the speed of the frame baseline


def demo_clip():
    """Return the path of the clip; raises DataError where it is missing."""
    folder = resolve(CLIPS)
    names = sorted(name for name in (os.listdir(folder) if os.path.isdir(folder) else ()) if name.endswith('.mp4'))
    if not names:
        raise DataError('%s holds no .mp4: it is part of the repository, `git checkout %s` brings it back'
                        % (folder, CLIPS))
    return os.path.join(folder, names[0])


def compare(detector, clip, write):
    """Run both over a clip, by turns of INTERVAL frames, so that a machine's drifting speed counts for both alike.

    Args:
        detector: of dff.load.
        clip: path of a video.
        write: write(image, name) is given every frame as Deep Feature Flow sees it, drawn.

    Returns:
        (seconds a frame of R-FCN, seconds a frame of Deep Feature Flow, frames, frames with an object).
    """
    streams = {1: detector.stream(interval=1), INTERVAL: detector.stream(interval=INTERVAL)}
    spent, images, frames, found = {1: [], INTERVAL: []}, iter(open_frames(clip)), 0, 0
    for turn in progress_bar(itertools.count(), unit='turn', desc=os.path.basename(clip)):
        part = list(itertools.islice(images, INTERVAL))
        if not part:
            break
        for interval, stream in streams.items():
            if interval == 1 and frames >= BASELINE_FRAMES:
                continue
            start = time.perf_counter()
            results = [stream(image) for image in part]
            if turn:        # the first one sets the networks up
                spent[interval].append((time.perf_counter() - start) / len(part))
        for result in results:
            frames, found = frames + 1, found + bool(len(result.boxes))
            write(result.draw(), result.name)
    # The same turns of both.
    return (*(sum(spent[interval][:len(spent[1])]) / len(spent[1]) for interval in streams), frames, found)


def main():
    """Run the command."""
    clip, detector = demo_clip(), dff.load(resolve(MODEL), backend='mxnet')
    output = os.path.join(resolve(OUTPUT), os.path.splitext(os.path.basename(clip))[0] + '.webm')
    with open_writer(output, 30) as write:
        every, fast, frames, found = compare(detector, clip, write)
    print('%s, %d frames, objects found in %d of them' % (os.path.relpath(clip, ROOT), frames, found))
    print('R-FCN on every frame:                        %5.1f frames a second' % (1 / every))
    print('Deep Feature Flow, a key frame every %2d:     %5.1f frames a second (%.1f times as many)'
          % (INTERVAL, 1 / fast, every / fast))
    print('video with boxes: %s' % os.path.relpath(output, ROOT))


if __name__ == '__main__':
    run(main)
