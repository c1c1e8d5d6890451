"""Exported folders with random edits, opened and run as the demo does.

    python benchmarks/fuzz_models.py                           1,000 folders, in minutes
    python benchmarks/fuzz_models.py --folders 5000 --sanitize

Tiny networks of all tasks, native and MXNet's own operators, get one to three edits: attributes,
inputs, heads, operators, names, whole chains of nodes, settings, parameters. Each folder must run
or be refused with one line of ours; an end of the process, any other error, and SECONDS for one
folder are failures. --sanitize builds the native operators with AddressSanitizer and
UndefinedBehaviorSanitizer for this run and loads their libraries into the processes (g++ and its
libasan and libubsan must be installed). MXNet itself is not watched but for the functions of the C
library that it calls. --seed N runs folder N alone and prints its edits.
"""

import argparse
import collections
import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from lib.operator_cxx import build, loader  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from dff.errors import DFFError  # noqa: E402

SECONDS = 300        # for one folder, by the clock: the machine may be busy
SHARE = 50           # folders of one process
SANITIZE = ['-g', '-O1', '-w', '-DDFF_NO_CLONES', '-fno-sanitize-recover=undefined',
            '-fsanitize=address,undefined,float-cast-overflow']
LIBRARIES = ('libasan.so', 'libubsan.so')
LIBRARY = 'DFF_FUZZ_LIBRARY'      # in the environment: the native operators that a process uses


def sanitized(target):
    """Build the native operators with sanitizers; returns the environment of their users."""
    compiler = build.find_compiler()
    build.compile_library(compiler, *build.find_mxnet(), None, target, SANITIZE)
    paths = [build.run([compiler, '-print-file-name=' + name]).strip() for name in LIBRARIES]
    return {'LD_PRELOAD': ' '.join(paths), LIBRARY: target,
            'ASAN_OPTIONS': 'detect_leaks=0:allocator_may_return_null=1'}


def worker(folder, seeds, verbose=False):
    """Open the folders `seeds`, edits of those in `folder`: a line when one begins, one with what came of it.

    verbose: print the edits too.
    """
    if LIBRARY in os.environ:
        loader.library_path = lambda mxnet_version=None: os.environ[LIBRARY]
    from benchmarks import model_edits, model_folders
    for seed in seeds:
        print('begin %d' % seed, flush=True)
        path, edits = model_edits.edited(folder, seed)
        if verbose:
            print('\n'.join(edits))
        with contextlib.redirect_stdout(sys.stderr):
            outcome = model_folders.outcome(path)
        print('end %d %s' % (seed, outcome), flush=True)


def _process(folder, seeds, environment):
    """[(seed, what came of it)] of one process, which may end before all are done."""
    code = 'from benchmarks.fuzz_models import worker; worker(%r, %r)' % (folder, seeds)
    child = subprocess.Popen([sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, universal_newlines=True, errors='replace',
                             env=dict(os.environ, **environment))
    errors = collections.deque(maxlen=40)
    drain = threading.Thread(target=errors.extend, args=(child.stderr,), daemon=True)
    drain.start()
    found, begun, clock = [], None, None
    for line in child.stdout:
        if clock:
            clock.cancel()
        word, _, rest = line.strip().partition(' ')
        number, _, outcome = rest.partition(' ')
        if word == 'begin':
            begun = int(number)
        elif word == 'end':
            found.append((begun, outcome))
        clock = threading.Timer(SECONDS, child.kill)
        clock.start()
    status = child.wait()
    if clock:
        clock.cancel()
    drain.join(5)
    if status:
        what = 'failed: status %d: %s' % (status, ''.join(errors)[-3000:])
        found.append((seeds[0] if begun is None else begun, what))
    return found


class _Tally:
    """counts: {'ran', 'refused' or 'failed': how many folders}; failures: their numbers."""

    def __init__(self):
        self.counts, self.failures = collections.Counter(), []

    def add(self, found):
        for seed, outcome in found:
            kind = outcome.partition(':')[0]
            self.counts[kind] += 1
            if kind not in ('ran', 'refused'):
                self.failures.append(seed)
                print('folder %d %s' % (seed, outcome), file=sys.stderr, flush=True)
        print('%d folders: %s' % (sum(self.counts.values()), dict(self.counts)), file=sys.stderr)


def fuzz(count, folder, environment=(), processes=1, first=0):
    """Open edited folders; returns a _Tally.

    Args:
        count: how many.
        folder: what make_folders made.
        environment: variables for the processes, {name: value}.
        processes: at a time.
        first: number of the first folder, which seeds its edits.
    """
    shares, tally = queue.Queue(), _Tally()
    for start in range(first, first + count, SHARE):
        shares.put(list(range(start, min(start + SHARE, first + count))))

    def work():
        with contextlib.suppress(queue.Empty):
            while True:
                seeds = shares.get_nowait()
                found = _process(folder, seeds, dict(environment))
                tally.add(found)
                left = seeds[seeds.index(found[-1][0]) + 1:]     # of a process that ended before
                if left:
                    shares.put(left)
    threads = [threading.Thread(target=work) for _ in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--folders', type=int, default=1000, help='how many (default 1000)')
    parser.add_argument('--first', type=int, default=0, help='number of the first (default 0)')
    parser.add_argument('--seed', type=int, help='run this folder alone, and print its edits')
    parser.add_argument('--sanitize', action='store_true', help='watch the native operators')
    parser.add_argument('--processes', type=int, default=1, help='at a time (default 1)')
    args = parser.parse_args()
    os.environ.setdefault('TQDM_DISABLE', '1')
    from benchmarks.model_folders import make_folders
    with tempfile.TemporaryDirectory() as folder:
        make_folders(folder)
        if args.seed is not None:
            worker(folder, [args.seed], verbose=True)
            return
        library = os.path.join(folder, 'libdff_operators.so')
        environment = sanitized(library) if args.sanitize else {}
        tally = fuzz(args.folders, folder, environment, args.processes, args.first)
    if tally.failures:
        raise DFFError('folders that failed: %s' % ', '.join(map(str, sorted(tally.failures))))
    print('%d ran, %d were refused; no failure' % (tally.counts['ran'], tally.counts['refused']))


if __name__ == '__main__':
    run(main)
