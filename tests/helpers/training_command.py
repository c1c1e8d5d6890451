"""The training command of a tiny network, run in the process of the test: no seconds of importing MXNet."""

import re
import shutil
import sys

import mxnet as mx

from lib.apps import commands
from lib.dataset.toy.toy_generator import Size, generate
from tests.helpers import tiny

BATCHES = 4  # an epoch


def make_data(folder):
    """A toy_vid with a training and a validation clip, BATCHES and two frames long; returns its folder."""
    size = Size(train_clips=1, train_length=BATCHES, stills=0, val_clips=1, val_length=2)
    generate(str(folder / 'toy_vid'), size, workers=1)
    return folder / 'toy_vid'


def advised(text):
    """The settings that a message advises."""
    found = re.search(
        r'leave out --resume and give --set (.*?), and a TRAIN.end_epoch above (\d+)', text
    )
    return found.group(1).split() + ['TRAIN.end_epoch=%d' % (int(found.group(2)) + 1)]


class Training:
    """Settings of one epoch, with a copy of the data, and the commands that use them.

    Attributes: path, of the settings; prefix, of the checkpoints, of which there is none.
    """

    def __init__(self, folder, data, monkeypatch, capsys):
        self.folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys
        shutil.copytree(str(data), str(folder / 'toy_vid'))
        self.path = tiny.write_experiment(
            folder,
            'rfcn',
            TRAIN__FLIP=False,
            TRAIN__end_epoch=1,
            TRAIN__lr=0.001,
            TRAIN__lr_step='1,3',
            TRAIN__RPN_POST_NMS_TOP_N=20,
            TRAIN__BATCH_ROIS_OHEM=16,
            default__frequent=1,
        )
        text = self.path.read_text()
        assert '  test_epoch: 1\n' in text
        self.path.write_text(text.replace('  test_epoch: 1\n', ''))
        shutil.rmtree(str(folder / 'output'))
        self.prefix = tiny.prefix(folder, 'rfcn')

    def __call__(self, *settings, flags=(), test=False, status=0):
        """Run the command, with `test` that which tests afterwards, and check how it ends; returns what it says."""
        command = commands.train_and_test if test else commands.train
        return self.run(command, *settings, flags=flags, status=status)

    def run(self, command, *settings, flags=(), status=0):
        """Run a function of lib.apps.commands and check how it ends; returns what it says."""
        words = (
            ['--cfg', str(self.path)]
            + list(flags)
            + (['--set'] + list(settings) if settings else [])
        )
        self._monkeypatch.setattr(sys, 'argv', ['command'] + words)
        self._capsys.readouterr()
        try:
            command(tiny.fresh_task('rfcn'), '')
            ended = 0
        except SystemExit as end:
            ended = end.code
        said = self._capsys.readouterr()
        text = said.out + said.err
        assert ended == status and text.count('error: ') == (0 < status < 128), text
        return text

    def resume(self, *settings, end=2, status=0):
        """Train on up to epoch `end`; returns what the command says."""
        return self('TRAIN.end_epoch=%d' % end, *settings, flags=['--resume'], status=status)

    def params(self, epoch, prefix=None):
        """{name: array} of the parameters after an epoch."""
        arrays = mx.nd.load('%s-%04d.params' % (prefix or self.prefix, epoch))
        return {name: array.asnumpy() for name, array in arrays.items()}

    def bytes_of(self, epoch):
        """The content of the file of parameters."""
        with open('%s-%04d.params' % (self.prefix, epoch), 'rb') as stream:
            return stream.read()

    def copy_parameters(self, epoch):
        """Write a file of parameters alone, as if copied without its record; returns its content."""
        tiny.save_params(
            self.prefix, tiny.tiny_config('rfcn', dataset__NUM_CLASSES=6), epoch=epoch
        )
        return self.bytes_of(epoch)

    def lose(self, epoch, *kinds):
        """Move away files of a checkpoint."""
        for kind in kinds:
            shutil.move(
                '%s-%04d.%s' % (self.prefix, epoch, kind), '%s.%s.away' % (self.prefix, kind)
            )
