"""The main job on the embedded data set: train R-FCN, then DFF R-FCN from it, test both, compare, draw a video.

    python tools/toy_demo.py

Runs the same commands as any other experiment, one after another, and prints the table of the README.
Trained networks of an earlier run are used again; remove output/ to train anew.
"""
import argparse
import json
import os
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
sys.path.insert(0, ROOT)

from lib.config.config import load_yaml, resolve  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from lib.utils.errors import DFFError  # noqa: E402
from lib.utils.files import atomic_path  # noqa: E402

INTERVALS = (1, 5, 10)


class Task:
    """One task's commands, on one data set's settings."""

    def __init__(self, task, cfg, settings):
        self.task, self.cfg, self.settings = task, cfg, settings
        tree = load_yaml(resolve(cfg))
        self.network, prefix, self.epoch = tree['network'], tree['TRAIN']['model_prefix'], tree['TEST']['test_epoch']
        folder = os.path.join(resolve(tree['output_path']), os.path.splitext(os.path.basename(cfg))[0])
        self.prefix = os.path.join(folder, tree['dataset']['image_set'].replace('+', '_'), prefix)
        self.results = os.path.join(folder, tree['dataset']['test_image_set'], '%s-%04d_interval%%d' % (prefix, self.epoch), 'results.json')

    def pretrain(self, part, key):
        """Make the file that network.<key> names, unless it is there."""
        self._make('%s-0000.params' % resolve(self.network[key]), 'tools/pretrain.py', part)

    def train(self):
        """Train, unless the parameters are there."""
        self._make('%s-%04d.params' % (self.prefix, self.epoch), '%s/train_end2end.py' % self.task)

    def _make(self, parameters, script, *arguments):
        if os.path.exists(parameters):
            print('there already: %s' % os.path.relpath(parameters, ROOT))
        else:
            self.command(script, *arguments)

    def test(self, interval):
        """Test with a key frame every `interval` frames; returns the numbers of results.json."""
        self.command('experiments/%s/%s_test.py' % (self.task, self.task), '--interval', str(interval))
        with open(self.results % interval, encoding='utf-8') as stream:
            return json.load(stream)

    def demo(self, source, output):
        """Draw the detections in the folder of frames `source` into the video `output`."""
        self.command('%s/demo.py' % self.task, '--input', source, '--output', output, '--model', self.prefix,
                     '--epoch', str(self.epoch), '--thresh', '0.5')

    def command(self, script, *arguments):
        """Run a script of the repository with this task's settings. Raises DFFError where it fails."""
        words = list(arguments) + ['--cfg', self.cfg] + (['--set'] + self.settings if self.settings else [])
        print('\n$ python %s' % ' '.join([script] + words), flush=True)
        status = subprocess.call([sys.executable, os.path.join(ROOT, script)] + words)
        if status:
            raise DFFError('%s ended with status %d; its message stands above' % (script, status))


def table(rows):
    """The comparison as Markdown: mAP, milliseconds a frame, speed-up over the first row."""
    lines = ['| network | mAP@0.5 | ms a frame | key / other frame, ms | speed-up |', '|---|---|---|---|---|']
    base = rows[0][1]['ms']['frame']
    for name, numbers in rows:
        ms = numbers['ms']
        parts = ' / '.join('%.1f' % ms[kind] for kind in ('key', 'current') if ms[kind] is not None)
        lines.append('| %s | %.4f | %.1f | %s | %.1fx |' % (name, numbers['mAP'], ms['frame'], parts, base / ms['frame']))
    return '\n'.join(lines)


def plot(rows, path):
    """Accuracy against milliseconds a frame, as in the paper's figure 3."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(6, 4))
    for name, numbers in rows:
        axes.plot(numbers['ms']['frame'], numbers['mAP'], 'o')
        axes.annotate(name, (numbers['ms']['frame'], numbers['mAP']), xytext=(6, -3), textcoords='offset points', fontsize=8)
    axes.set(xlabel='ms a frame', ylabel='mAP@0.5', ylim=(0, 1), xlim=(0, 1.35 * max(n['ms']['frame'] for _, n in rows)))
    axes.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, bbox_inches='tight')


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--data', default='toy_vid', metavar='NAME', help='use experiments/<task>/cfgs/NAME_<task>.yaml (default toy_vid)')
    parser.add_argument('--clip', default='data/toy_vid/Data/VID/val/toy_val_002', help='folder of frames for the demo video')
    parser.add_argument('--set', nargs='+', default=[], metavar='a.b=c', dest='settings', help='settings for every command')
    return parser.parse_args()


def main():
    start, args = time.time(), parse_arguments()
    baseline, dff = (Task(task, 'experiments/%s/cfgs/%s_%s.yaml' % (task, args.data, task), args.settings) for task in ('rfcn', 'dff_rfcn'))
    steps = [('pre-training the backbone', lambda: baseline.pretrain('backbone', 'pretrained')), ('training R-FCN', baseline.train),
             ('pre-training the flow network', lambda: dff.pretrain('flow', 'pretrained_flow')), ('training DFF R-FCN', dff.train)]
    times = []
    for name, step in steps:
        began = time.time()
        step()
        times.append('%s %.1f' % (name, (time.time() - began) / 60))
    rows = [('R-FCN, every frame', baseline.test(1))]
    rows += [('DFF R-FCN, key frame every %d' % interval, dff.test(interval)) for interval in INTERVALS]
    folder = resolve('output/demo_%s' % args.data)
    dff.demo(args.clip, os.path.join(folder, 'dff_rfcn.mp4'))
    plot(rows, os.path.join(folder, 'accuracy_speed.png'))
    text = table(rows)
    with atomic_path(os.path.join(folder, 'results.md')) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
        stream.write(text + '\n')
    print('\n%s\n\nminutes: %s; everything %.1f\ntable, plot and video: %s'
          % (text, ', '.join(times), (time.time() - start) / 60, os.path.relpath(folder, ROOT)))


if __name__ == '__main__':
    run(main)
