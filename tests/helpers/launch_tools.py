"""A small training job for tools/launch.py, and a look at one that runs."""
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import mxnet as mx

from lib.dataset.toy.toy_generator import Size, generate
from tests.helpers.tiny import write_experiment

LAUNCH = 'tools/launch.py'
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS='1')
ENDLESS = 1000      # epochs, of which none takes less than some 50 ms


def make_experiment(folder):
    """The YAML file of a tiny network with 8 training images and 3 test clips."""
    generate(str(folder / 'toy_vid'), Size(train_clips=1, train_length=15, stills=0, val_clips=3, val_length=3),
             workers=1)
    names = folder / 'toy_vid' / 'ImageSets' / 'VID_train_15frames.txt'
    names.write_text(''.join(line + '\n' for line in names.read_text().splitlines()[::2]))
    return write_experiment(folder, 'rfcn', TRAIN__FLIP=False, TRAIN__end_epoch=1, TRAIN__CHECKPOINT_EVERY=2,
                            default__frequent=1)


def training(experiment, output, *settings, flags=()):
    """The command of a training; settings: as of --set. `experiment`: (folder, YAML file)."""
    folder, path = experiment
    return ([sys.executable, 'rfcn/train_end2end.py', '--cfg', str(path)] + list(flags) +
            ['--set', 'output_path=%s' % (folder / output)] + list(settings))


def prefix(experiment, output):
    """Prefix of the checkpoints of such a training."""
    return str(experiment[0] / output / 'tiny_rfcn' / 'VID_train_15frames' / 'tiny')


def arrays(experiment, output, epoch):
    """{name: array} of parameters and momentum at the end of an epoch."""
    where = '%s-%04d' % (prefix(experiment, output), epoch)
    return {name: array.asnumpy() for kind in ('.params', '.states')
            for name, array in mx.nd.load(where + kind).items()}


def comes_true(condition, seconds=120):
    """Whether condition() holds within some time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)
    return condition()


class Job:
    """A job that tools/launch.py runs.

    flags: of the launcher; command: what it launches; inside: words before it all.
    """

    def __init__(self, flags, command, inside=()):
        words = list(inside) + [sys.executable, LAUNCH] + list(flags) + ['--'] + list(command)
        self.process = subprocess.Popen(words, cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        universal_newlines=True, env=ENVIRONMENT)
        self.text = ''

    def read_until(self, text):
        """Wait for a line of output with `text` in it."""
        for line in self.process.stdout:
            self.text += line
            if text in line:
                return
        raise AssertionError('no %r in: %s' % (text, self.text))

    def pid(self, name):
        """Number of a process of the job, such as 'worker 1'."""
        return int(re.search(r'%s \(process (\d+)\)' % name, self.text).group(1))

    def finish(self):
        """(exit status, all of the output)"""
        self.text += self.process.communicate(timeout=300)[0]
        print(self.text[-5000:])
        return self.process.returncode, self.text
