"""Seconds and memory of the start of a full-size run: python benchmarks/full_size_rehearsal.py [--scale 0.01]

Makes stand-in data of the size of ImageNet VID and DET (benchmarks/stand_in_vid.py), and runs on
it, with the original's settings file, what comes before and after the training itself: the check
of the data set, the start of training up to the first batches, the same with the annotations
cached, and the evaluation of detections in all validation frames. Batches are those of a small
network, on the CPU. Prints for every step the seconds by the clock and of the processor and the
peak memory of its largest process, and each line of the log with the seconds since the command began.

A --folder keeps the data for the next time.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks.stand_in_vid import StandIn, write_detections  # noqa: E402
from dff.errors import ConfigError, DFFError, SetupError  # noqa: E402
from dff.files import make_folder  # noqa: E402
from lib.dataset.formats.classes import load_classes  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from lib.utils.paths import resolve  # noqa: E402

CFG = 'experiments/dff_rfcn/cfgs/resnet_v1_101_flownet_imagenet_vid_rfcn_end2end_ohem.yaml'
SMALL = ['symbol=resnet_v1_flownet_rfcn', 'network.depth=18', 'network.width=0.125', 'network.flow_width=0.125',
         'network.DFF_FEAT_DIM=32', 'network.pretrained=', 'network.pretrained_flow=', 'SCALES=[192,320]',
         'TRAIN.RPN_PRE_NMS_TOP_N=200', 'TRAIN.RPN_POST_NMS_TOP_N=50']
BATCHES = 3             # after which training is stopped


class Step:
    """What one command took.

    Args:
        name: for the table.
        command: words after Python.
        stop: pattern of a line at which the command is asked to stop, as by Ctrl-C.
        statuses: those with which it may end.

    Raises DFFError where it ends otherwise.
    """

    def __init__(self, name, command, stop=None, statuses=(0,)):
        self.name, self.lines = name, []
        print('\n%s: python %s' % (name, ' '.join(command)), flush=True)
        start = time.perf_counter()
        environment = dict(os.environ, PYTHONUNBUFFERED='1')
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   universal_newlines=True, errors='replace', env=environment)
        self.seconds = None
        for line in process.stdout:
            line = line.rpartition('\r')[2].strip()
            if line and '%|' not in line:       # no progress bars
                seconds = time.perf_counter() - start
                self.lines.append(line)
                print('%7.1f s  %s' % (seconds, line), flush=True)
                if stop and self.seconds is None and re.match(stop, line):
                    self.seconds = seconds
                    process.send_signal(signal.SIGINT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        if process.returncode not in statuses or (stop and self.seconds is None):
            raise DFFError('%s ended with status %d; the lines above say why' % (name, process.returncode))
        if self.seconds is None:
            self.seconds = time.perf_counter() - start
        self.processor, self.memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

    def row(self):
        """Return its row of the table."""
        return '| %s | %.1f | %.1f | %.0f |' % (self.name, self.seconds, self.processor, self.memory)


def make_data(folder, scale):
    """Write the stand-in data below `folder`, unless it is there; scale: of its size."""
    target = os.path.join(folder, 'ILSVRC2015')
    if os.path.isdir(target):
        return target
    shutil.rmtree(target + '.part', ignore_errors=True)      # of a run that was stopped
    start = time.perf_counter()
    made = StandIn(target + '.part', load_classes().ids, scale)
    counts = made.write()
    os.rename(target + '.part', target)
    print('data made in %.1f s: %d stills and %d labelled frames listed, %d of them without an object, %d names '
          'of files' % (time.perf_counter() - start, counts['stills'], counts['labelled'], counts['empty'],
                        counts['names']))
    return target


def rehearse(folder, scale, per_frame):
    """Run all steps and return them.

    Args:
        folder: for the data and what the steps write.
        scale: share of the full size.
        per_frame: detections of each validation frame to evaluate.
    """
    detections = os.path.join(folder, 'detections.txt')
    try:
        make_folder(folder)
        data = make_data(folder, scale)
        write_detections(data, detections, per_frame, len(load_classes()) - 1)
    except OSError as error:
        raise SetupError('cannot write the data into %s: %s. Give another --folder'
                         % (folder, error.strerror)) from error
    paths = ['dataset.dataset_path=%s' % data, 'dataset.root_path=%s' % folder,
             'output_path=%s' % os.path.join(folder, 'output')]
    cfg = resolve(CFG)
    train = [resolve('experiments/dff_rfcn/dff_rfcn_end2end_train_test.py'), '--cfg', cfg, '--gpus', 'cpu',
             '--frequent', '1', '--set', *paths, *SMALL]
    third = 'epoch 1 batch %d/' % BATCHES
    steps = [Step('check of the data', [resolve('tools/check_dataset.py'), '--cfg', cfg, '--set', *paths],
                  statuses=(0, 1))]
    stopped = (128 + signal.SIGINT,)
    for name in ('start of training, annotations read', 'start of training, annotations cached'):
        steps.append(Step('%s: to batch %d' % (name, BATCHES), train, third, stopped))
    steps.append(Step('evaluation of %d detections a frame' % per_frame,
                      [resolve('tools/evaluate_vid.py'), '--dataset', data, '--image_set', 'VID_val_videos',
                       '--detections', detections]))
    return steps


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--scale', type=float, default=1.0, help='share of the full size (default 1)')
    parser.add_argument('--per_frame', type=int, default=50, help='detections to evaluate in each frame (default 50)')
    parser.add_argument('--folder', help='keep the data there and use it again (default: a temporary folder, removed)')
    arguments = parser.parse_args()
    if not 0 < arguments.scale <= 1:
        raise ConfigError('--scale must be above 0 and at most 1')
    if arguments.per_frame < 1:
        raise ConfigError('--per_frame must be at least 1')
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.join(os.path.abspath(arguments.folder or temporary), 'scale_%g' % arguments.scale)
        steps = rehearse(folder, arguments.scale, arguments.per_frame)
    print('\n| step | seconds | processor seconds | peak memory of its largest process, MB |\n|---|---|---|---|')
    print('\n'.join(step.row() for step in steps))


if __name__ == '__main__':
    run(main)
