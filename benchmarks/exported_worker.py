"""A process of tools/benchmark.py: this project's exported ONNX files in onnxruntime, run on command.

The whole pipeline is timed. usage: exported_worker.py NAME FOLDER, with NAME exported or exported-int8. Needs no MXNet.
"""
import json
import os
import resource
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import dff  # noqa: E402
from dff.errors import DFFError, SetupError  # noqa: E402
from dff.runtime.machine import version_of  # noqa: E402
from dff.sources import open_frames  # noqa: E402

THRESH = 1e-3       # lowest score of a detection, as of the other rows


def endless(source):
    """Yield the images of `source` again and again."""
    while True:
        yield from source


def turn(results, count):
    """As of benchmarks/worker.py."""
    rows, start = [], time.perf_counter()
    for _ in range(count):
        result = next(results)
        rows.append([result.is_key] + [1e3 * seconds for seconds in result.seconds])
    return {'frames': rows, 'wall': 1e3 * (time.perf_counter() - start)}


def answer(content):
    """Write `content` as a line of JSON that benchmarks/contenders.py reads."""
    print('@' + json.dumps(content), flush=True)


def main():
    """Load the networks; then answer the lines of standard input."""
    name, folder = sys.argv[1:]
    precision = 'int8' if name.endswith('-int8') else 'float32'
    try:
        with open(os.path.join(folder, 'job.json'), encoding='utf-8') as stream:
            frames = json.load(stream)['frames']
        model = dff.load(os.path.join(folder, precision), backend='onnxruntime', precision=precision,
                         threads=int(os.environ['OMP_NUM_THREADS']))
        results = model(endless(open_frames(frames)), thresh=THRESH, track=False)
        turn(results, min(model.interval, 2))
        answer({'precision': dict.fromkeys(('key', 'current'), precision), 'version': version_of('onnxruntime')})
        for line in sys.stdin:
            if line.strip() == 'memory':
                answer(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            else:
                answer(turn(results, int(line)))
    except SetupError as error:
        answer({'missing': str(error)})
    except DFFError as error:
        answer({'error': str(error)})


if __name__ == '__main__':
    main()
