"""Trains and detects for hours while things break: python benchmarks/soak.py [--minutes 60] [--work FOLDER]

Cycles of two training runs of a small network on toy_vid, two of whose images are damaged. Nothing
disturbs the first. The second is killed, stopped, robbed of its newest checkpoint and of its disk,
and resumed each time; at the end its parameters must be those of the first, bit for bit. In
between, this process detects in a stream of frames, some of them cut short. Every event is a line
of FOLDER/soak.jsonl; the summary gives memory, file handles and the faults survived.

The disk is a file system of its own where this may be mounted (root), else a limit on the size of
files. Minutes are of running: a process that was stopped (SIGSTOP, a sleeping machine) catches up.
"""
import argparse
import collections
import functools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import mxnet as mx  # noqa: E402
import rfcn.symbols  # noqa: E402,F401
from lib.config.config import update_from_file, update_from_settings  # noqa: E402
from lib.config.defaults import detection_defaults  # noqa: E402
from dff.files import file_sha256  # noqa: E402
from lib.engine.checkpoint import find_checkpoint  # noqa: E402
from lib.inference.detector import VideoDetector, load_test_params  # noqa: E402
from lib.dataset.toy.toy_generator import Size, generate  # noqa: E402
from lib.symbols.registry import get_symbol_instance  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from dff.errors import DataError, DFFError  # noqa: E402
from dff.image import read_image  # noqa: E402

CFG = 'experiments/rfcn/cfgs/toy_vid_rfcn.yaml'
EPOCHS = 2
SETTINGS = [
    'network.pretrained=', 'network.width=0.125', 'network.DFF_FEAT_DIM=16',
    'network.BN_GLOBAL_STATS=false', 'SCALES=[96,160]', 'TRAIN.RPN_POST_NMS_TOP_N=20',
    'TEST.RPN_POST_NMS_TOP_N=20', 'TRAIN.BATCH_ROIS_OHEM=16', 'TRAIN.warmup=false',
    'TRAIN.lr=0.001', 'TRAIN.FLIP=false', 'TRAIN.end_epoch=%d' % EPOCHS,
    'TRAIN.CHECKPOINT_EVERY=10', 'TRAIN.SKIP_BAD_IMAGES=true', 'gpus=cpu']
FAULTS = ('kill', 'stop', 'truncate', 'disk')
DISK = 64 << 20      # bytes of the small file system
LONGEST_WAIT = 10    # seconds: a longer one between two looks at the clock means that the process was stopped


class RunningTime(threading.Thread):
    """Counts the seconds that this process was let run."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seconds = 0.0
        self.start()

    def run(self):
        """Count, until the process ends."""
        before = time.time()
        while True:
            time.sleep(1)
            now = time.time()
            self.seconds += min(now - before, LONGEST_WAIT)
            before = now


class Soak:
    """One run: its folder, its record of events, and what it counts.

    Args:
        work: the folder.
        minutes: of running.
        seed: of the faults.
    """

    def __init__(self, work, minutes, seed):
        self.work, self.minutes, self.clock = work, minutes, RunningTime()
        self.random, self.counts, self.samples = random.Random(seed), collections.Counter(), []
        self.started, self.training = time.time(), collections.Counter()
        self.data, self.disk = os.path.join(work, 'toy_vid'), os.path.join(work, 'disk')
        os.makedirs(self.disk, exist_ok=True)
        generate(self.data, Size(train_clips=2, train_length=60, stills=0, val_clips=1, val_length=40), workers=1)
        self.frames = self._files('val')
        for path in self._files('train')[20:60:20]:
            cut_short(path)
        self.mounted = subprocess.call(['mount', '-t', 'tmpfs', '-o', 'size=%d' % DISK, 'none', self.disk],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0

    def _files(self, part):
        folder = os.path.join(self.data, 'Data', 'VID', part)
        return sorted(os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)

    def going_on(self):
        """Whether the minutes are not over."""
        return self.clock.seconds < 60 * self.minutes

    def note(self, event, **facts):
        """One line of the record."""
        with open(os.path.join(self.work, 'soak.jsonl'), 'a') as stream:
            stream.write(json.dumps(dict(facts, event=event, seconds=round(time.time() - self.started))) + '\n')

    def prefix(self, output):
        """Return the prefix of the checkpoints of the training with output_path `output`."""
        return os.path.join(output, 'toy_vid_rfcn', 'VID_train_15frames', 'rfcn_toy_vid')

    def settings(self, output, seed):
        """Return the settings, [a.b=c], of the training with output_path `output` and `seed`."""
        return SETTINGS + [
            'dataset.root_path=%s' % self.work, 'dataset.dataset_path=%s' % self.data,
            'output_path=%s' % output, 'dataset.image_set=VID_train_15frames',
            'TRAIN.SEED=%d' % seed]

    def train(self, output, seed, fault=None):
        """Run the training, resumed where there is something; return its exit status.

        Args:
            output: its output_path.
            seed: TRAIN.SEED.
            fault: one of FAULTS that is to hit it, or None.
        """
        limit = None
        if fault == 'disk' and not self.mounted:
            limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        command = [sys.executable, 'rfcn/train_end2end.py', '--cfg', CFG, '--resume', '--frequent', '1', '--set']
        process = subprocess.Popen(command + self.settings(output, seed), cwd=ROOT,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   universal_newlines=True, preexec_fn=limit)
        filler, last, batches, after = os.path.join(self.disk, 'filler'), '', 0, self.random.randint(1, 25)
        for line in process.stdout:
            last = line.strip() or last
            if ' batch ' in line:
                batches += 1
                self._watch_training(process.pid)
            if fault and batches == after:
                if fault == 'disk' and self.mounted:
                    fill(filler)
                elif fault != 'disk':
                    process.send_signal(signal.SIGTERM if fault == 'stop' else signal.SIGKILL)
                self.note('fault', fault=fault, batches=batches)
                fault = None
        status = process.wait()
        if os.path.exists(filler):
            os.remove(filler)
        self.note('training ended', status=status, last_line=last)
        return status

    def _watch_training(self, pid):
        memory, handles = usage(pid)
        self.training['memory'] = max(self.training['memory'], memory)
        self.training['handles'] = max(self.training['handles'], handles)

    def cycle(self, seed):
        """An undisturbed run, a disturbed one, and their comparison. Raises DFFError where they differ."""
        calm, rough = os.path.join(self.work, 'calm'), os.path.join(self.disk, 'rough')
        for folder in (calm, rough):
            subprocess.check_call(['rm', '-rf', folder])
        if self.train(calm, seed) != 0:
            raise DFFError('the undisturbed training failed; see %s/soak.jsonl' % self.work)
        self.detect(self.prefix(calm))
        status = 1
        while status != 0 and self.going_on():
            fault = self.random.choice(FAULTS)
            status = self.train(rough, seed, fault)
            if status != 0:
                self.counts[fault] += 1
                if fault == 'truncate':
                    newest = find_checkpoint(self.prefix(rough))
                    if newest:
                        cut_short(newest.params_file)
            self.detect(self.prefix(calm))
        if status == 0:
            ends = [file_sha256(self.prefix(output) + '-%04d.params' % EPOCHS) for output in (calm, rough)]
            self.note('compared', same=ends[0] == ends[1])
            self.counts['comparisons'] += 1
            if ends[0] != ends[1]:
                raise DFFError('the disturbed training ended with other parameters; see '
                               '%s/soak.jsonl' % self.work)

    def detect(self, prefix):
        """Detect in a stream of frames, some cut short: the error names the frame, the next stream begins behind it."""
        config = detection_defaults()
        update_from_file(config, os.path.join(ROOT, CFG))
        update_from_settings(config, self.settings('', 0))
        detector = VideoDetector(config, get_symbol_instance(config),
                                 *load_test_params(prefix, EPOCHS, print), mx.cpu(), 4)
        bad = self.random.choice(self.frames)
        content = cut_short(bad)
        try:
            for _ in range(5):
                try:
                    for _ in detector.detect(read_image(path) for path in self.frames):
                        self.counts['frames'] += 1
                except DataError as error:
                    assert bad in str(error)
                    self.counts['cut frames'] += 1
        finally:
            with open(bad, 'wb') as stream:
                stream.write(content)
        self.samples.append(usage(os.getpid()))
        self.note('detected', memory_mb=self.samples[-1][0], handles=self.samples[-1][1], frames=self.counts['frames'])

    def summary(self):
        """The lines to print."""
        first, last = self.samples[min(2, len(self.samples) - 1)], self.samples[-1]
        faults = ', '.join('%s %d' % (name, self.counts[name]) for name in FAULTS + ('cut frames',))
        own, trainings = (sum(resource.getrusage(who)[:2]) / 60
                          for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        disk = 'a file system of %d MB' % (DISK >> 20) if self.mounted else 'a limit on the size of files'
        return [
            '%.1f minutes of running in %.1f by the clock (%.1f of processor time here, %.1f in '
            'trainings); the disk was %s'
            % (self.clock.seconds / 60, (time.time() - self.started) / 60, own, trainings, disk),
            'faults survived: %s' % faults,
            'disturbed trainings that ended with the parameters of undisturbed ones, bit for bit: %d'
            % self.counts['comparisons'],
            'frames detected in: %d' % self.counts['frames'],
            'streaming process: %d MB and %d file handles at its third stream, %d MB and %d at its last (of %d)'
            % (first + last + (len(self.samples),)),
            'training processes: at most %d MB and %d file handles'
            % (self.training['memory'], self.training['handles'])
        ]

    def close(self):
        """Unmount the small file system."""
        if self.mounted:
            subprocess.call(['umount', self.disk])


def usage(pid):
    """(resident memory in MB, open file handles) of a process; zeros where it is gone."""
    try:
        with open('/proc/%d/statm' % pid) as stream:
            pages = int(stream.read().split()[1])
        return pages * resource.getpagesize() >> 20, len(os.listdir('/proc/%d/fd' % pid))
    except (OSError, IndexError):
        return 0, 0


def cut_short(path):
    """Cut the last third of a file off; returns what it held."""
    with open(path, 'rb') as stream:
        content = stream.read()
    with open(path, 'wb') as stream:
        stream.write(content[:len(content) * 2 // 3])
    return content


def fill(path):
    """Write to `path` until the file system is full."""
    try:
        with open(path, 'wb', buffering=0) as stream:
            while True:
                stream.write(bytes(1 << 16))
    except OSError:
        pass


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=60)
    parser.add_argument('--work', help='folder for data, checkpoints and the record (default: a new temporary one)')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    soak = Soak(os.path.abspath(args.work or tempfile.mkdtemp(prefix='soak')), args.minutes, args.seed)
    print('record: %s/soak.jsonl' % soak.work, flush=True)
    cycle = 0
    try:
        while soak.going_on():
            soak.cycle(args.seed + cycle)
            cycle += 1
    finally:
        if soak.samples:
            print('\n'.join(soak.summary()))
        soak.close()


if __name__ == '__main__':
    run(main)
