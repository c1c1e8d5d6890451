"""Feeds damaged and hostile files to every reader.

    python benchmarks/fuzz.py [--inputs 100000] [--only xml png ...] [--guided]

Each reader gets files made from a good one (bytes changed, cut off, repeated, hostile words put
in) and random ones, drawn by hypothesis, which also shrinks what fails. With --guided they are
drawn by atheris, which keeps those that reach lines of Python that no other did, and changes them
on. A reader may accept a file or raise one of the project's errors; anything else, or more than
SECONDS or MEMORY for one file, is a failure. Needs requirements-fuzz.txt.
"""
import argparse
import faulthandler
import importlib
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from lib.utils.cli import run  # noqa: E402
from dff.errors import DFFError, SetupError  # noqa: E402

SECONDS, PATIENCE = 20, 3600     # for one file: of processor time, and by the clock, which other work may hold up
MEMORY = 4 << 30           # bytes of address space above what the process has at the start
LONGEST = 4096             # bytes of a file that atheris makes
WORDS = [
    b'-1', b'0', b'nan', b'inf', b'1e400', b'9' * 30, b'9' * 5000, b'../../../etc/passwd',
    b'/etc/passwd', b'\x00', b'\xff\xfe', b'\r', b'\n', b' ', b'&lol;',
    b'<!DOCTYPE x [<!ENTITY lol "lol"><!ENTITY b "&lol;&lol;">]>',
    b'<!ENTITY x SYSTEM "file:///etc/passwd">', b'!!python/object/apply:os.system ["true"]',
    b'&a [*a]', b'{' * 800, b'[' * 800, b'<a>' * 2000, b'\xff\xff\xff\xff', b'\x7f\xff\xff\xff'
]


def targets():
    """The module of readers; imported late, because atheris must see their import."""
    os.environ.setdefault('TQDM_DISABLE', '1')      # thousands of progress bars
    from benchmarks import fuzz_targets
    return fuzz_targets


def inputs(good):
    """A hypothesis strategy of files: `good` with a few changes, or anything."""
    strategies = _package('hypothesis').strategies
    place = strategies.integers(0, len(good))
    change = strategies.one_of(
        strategies.tuples(strategies.just('set'), place, strategies.binary(min_size=1, max_size=4)),
        strategies.tuples(strategies.just('put'), place, strategies.sampled_from(WORDS)),
        strategies.tuples(strategies.just('cut'), place, strategies.integers(1, 64)),
        strategies.tuples(strategies.just('end'), place, strategies.just(b'')))
    changed = strategies.lists(change, min_size=1, max_size=4).map(lambda changes: apply(good, changes))
    return strategies.one_of(changed, changed, changed, strategies.binary(max_size=200))


def apply(content, changes):
    """`content` after [(kind, place, value)]."""
    for kind, place, value in changes:
        if kind == 'set':
            content = content[:place] + value + content[place + len(value):]
        elif kind == 'put':
            content = content[:place] + value + content[place:]
        elif kind == 'cut':
            content = content[:place] + content[place + value:]
        else:
            content = content[:place]
    return content


def fuzz(name, count, folder):
    """Feed files to a reader; return how many were fed and how many taken.

    Raises what the reader should not raise.

    Args:
        name: of the reader, in TARGETS.
        count: files at most.
        folder: to write them below.
    """
    hypothesis, readers, taken = _package('hypothesis'), targets(), []

    @hypothesis.settings(max_examples=count, deadline=None, database=None, derandomize=True,
                         suppress_health_check=list(hypothesis.HealthCheck),
                         phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink])
    @hypothesis.given(inputs(readers.TARGETS[name].good))
    def one(content):
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        taken.append(readers.feed(name, content, folder))
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
    # Ends the process, and says where it was, also in native code.
    faulthandler.register(signal.SIGPROF, chain=True)
    with warnings.catch_warnings():
        warnings.simplefilter('error', ResourceWarning)
        one()
    return len(taken), sum(taken)


def fuzz_guided(name, count, folder):
    """Do as `fuzz` with atheris; return how many files were fed and how many were worth keeping.

    libFuzzer, inside it, ends its process; so each reader has one. See fuzz for `name`, `count`
    and `folder`. Raises DFFError with its last lines where it found something.
    """
    _package('atheris')
    corpus = os.path.join(folder, 'corpus', name)
    for made in (corpus, os.path.join(ROOT, 'output')):        # there it leaves the file that fails
        os.makedirs(made, exist_ok=True)
    good = targets().TARGETS[name].good
    with open(os.path.join(corpus, 'good'), 'wb') as stream:
        stream.write(good)
    words = [word for word in WORDS if len(word) < 100] + sorted(set(re.findall(rb'\w{3,}', good)))[:100]
    with open(os.path.join(folder, 'words'), 'w', encoding='ascii') as stream:
        stream.writelines('"%s"\n' % ''.join('\\x%02x' % byte for byte in word) for word in words)
    code = 'from benchmarks.fuzz import guided_process; guided_process(%r, %r)' % (name, folder)
    done = subprocess.run(
        [sys.executable, '-c', code, '-runs=%d' % count, '-seed=1',
         '-max_len=%d' % max(LONGEST, 2 * len(good)), '-timeout=%d' % PATIENCE,
         '-rss_limit_mb=%d' % (MEMORY >> 20), '-dict=' + os.path.join(folder, 'words'),
         '-artifact_prefix=' + os.path.join(ROOT, 'output', 'fuzz-'), corpus],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        errors='replace')
    runs = re.search(r'Done (\d+) runs', done.stdout)
    if done.returncode or not runs:
        raise DFFError('%s, by atheris: status %d\n%s'
                       % (name, done.returncode, '\n'.join(done.stdout.splitlines()[-30:])))
    return int(runs.group(1)), len(os.listdir(corpus))


def guided_process(name, folder):
    """What a process of fuzz_guided does: never returns. Its arguments are libFuzzer's."""
    atheris = _package('atheris')
    with atheris.instrument_imports(include=['lib', 'yaml', 'defusedxml']):
        readers = targets()
    _limit_memory()
    atheris.Setup(sys.argv, lambda content: readers.feed(name, content, folder))
    atheris.Fuzz()


def _limit_memory():
    with open('/proc/self/statm') as stream:
        size = int(stream.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))


def _package(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SetupError('%s is not installed: `pip install -r requirements-fuzz.txt`' % name) from error


def main():
    """Run the command."""
    names = list(targets().TARGETS)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--inputs', type=int, default=100000, help='files over all readers (default 100000)')
    parser.add_argument('--only', nargs='+', choices=sorted(names), default=names,
                        metavar='READER', help=', '.join(names))
    parser.add_argument('--guided', action='store_true',
                        help='draw files by the lines of Python that they reach (atheris)')
    args = parser.parse_args()
    if not args.guided:
        _limit_memory()
    total, failed = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            started = time.time()
            try:
                fed, counted = (fuzz_guided if args.guided else fuzz)(name, -(-args.inputs // len(args.only)), folder)
            except SetupError:
                raise
            except Exception:       # whatever a reader let through; the others go on
                traceback.print_exc()
                failed.append(name)
                continue
            total += fed
            what = 'kept for what they reach' if args.guided else 'taken, the others refused'
            print('%-14s %6d files, %5d %s; %.0f s' % (name, fed, counted, what, time.time() - started), flush=True)
    if failed:
        raise DFFError('readers that failed: %s' % ', '.join(failed))
    print('%d files, no failure' % total)


if __name__ == '__main__':
    run(main)
