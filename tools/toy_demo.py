"""The main job on the embedded data: train a frame baseline, then DFF from it, test both, compare, draw a video.

    python tools/toy_demo.py [detection | segmentation]

First for detection (R-FCN on toy_vid), then for segmentation (DeepLab on toy_seg). Runs the same commands as any other
experiment, one after another, and prints the tables of the README. Trained networks of an earlier run are used again;
remove output/ to train anew.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from collections import namedtuple

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
sys.path.insert(0, ROOT)

from lib.config.config import load_yaml, resolve  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from lib.utils.errors import ConfigError, DFFError  # noqa: E402
from lib.utils.files import atomic_path  # noqa: E402

# What to compare: tasks (baseline, DFF), settings, the measure in results.json and its name, key-frame intervals, demo clip.
Job = namedtuple('Job', 'tasks names data measure label intervals clip demo_arguments')
JOBS = {
    'detection': Job(('rfcn', 'dff_rfcn'), ('R-FCN', 'DFF R-FCN'), 'toy_vid', 'mAP', 'mAP@0.5', (1, 5, 10),
                     'data/toy_vid/Data/VID/val/toy_val_002', ('--thresh', '0.5')),
    'segmentation': Job(('deeplab', 'dff_deeplab'), ('DeepLab', 'DFF DeepLab'), 'toy_seg', 'mIoU', 'mIoU', (1, 5, 10),
                        'data/toy_seg/val/toy_val_002', ()),
}


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
        """Make the file that network.<key> names; False where it is there already."""
        return self._make('%s-0000.params' % resolve(self.network[key]), 'tools/pretrain.py', part)

    def train(self):
        """Train; False where the parameters are there already."""
        return self._make('%s-%04d.params' % (self.prefix, self.epoch), '%s/train_end2end.py' % self.task)

    def _make(self, parameters, script, *arguments):
        if os.path.exists(parameters):
            print('there already: %s' % os.path.relpath(parameters, ROOT))
            return False
        self.command(script, *arguments)
        return True

    def test(self, interval):
        """Test with a key frame every `interval` frames; returns the numbers of results.json."""
        self.command('experiments/%s/%s_test.py' % (self.task, self.task), '--interval', str(interval))
        with open(self.results % interval, encoding='utf-8') as stream:
            return json.load(stream)

    def demo(self, source, output, arguments):
        """Draw the results on the folder of frames `source` into the video `output`."""
        self.command('%s/demo.py' % self.task, '--input', source, '--output', output, '--model', self.prefix,
                     '--epoch', str(self.epoch), *arguments)

    def command(self, script, *arguments):
        """Run a script of the repository with this task's settings. Raises DFFError where it fails."""
        words = list(arguments) + ['--cfg', self.cfg] + (['--set'] + self.settings if self.settings else [])
        print('\n$ python %s' % ' '.join([script] + words), flush=True)
        status = subprocess.call([sys.executable, os.path.join(ROOT, script)] + words)
        if status:
            raise DFFError('%s ended with status %d; its message stands above' % (script, status))


def job_tasks(job, settings):
    """The Task of the frame baseline and that of DFF."""
    return [Task(task, 'experiments/%s/cfgs/%s_%s.yaml' % (task, job.data, task), settings) for task in job.tasks]


def compare(job, settings):
    """Train, test and draw what `job` says; returns (Markdown table, minutes of each step)."""
    baseline, dff = job_tasks(job, settings)
    # Both jobs start from the same parts: toy_seg shows the objects of toy_vid.
    backbone, flow = job_tasks(JOBS['detection'], settings)
    steps = [('pre-training the backbone', lambda: backbone.pretrain('backbone', 'pretrained')),
             ('training ' + job.names[0], baseline.train),
             ('pre-training the flow network', lambda: flow.pretrain('flow', 'pretrained_flow')),
             ('training ' + job.names[1], dff.train)]
    times = []
    for name, step in steps:
        began = time.time()
        if step():
            times.append('%s %.1f' % (name, (time.time() - began) / 60))
    rows = [('%s, every frame' % job.names[0], baseline.test(1))]
    rows += [('%s, key frame every %d' % (job.names[1], interval), dff.test(interval)) for interval in job.intervals]
    folder = resolve('output/demo_%s' % job.data)
    dff.demo(job.clip, os.path.join(folder, '%s.mp4' % job.tasks[1]), job.demo_arguments)
    plot(rows, job, os.path.join(folder, 'accuracy_speed.png'))
    text = table(rows, job)
    with atomic_path(os.path.join(folder, 'results.md')) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
        stream.write(text + '\n')
    print('\ntable, plot and video of %s: %s' % (job.data, os.path.relpath(folder, ROOT)))
    return text, times


def table(rows, job):
    """The comparison as Markdown: accuracy, milliseconds a frame, speed-up over the first row."""
    lines = ['| network | %s | ms a frame | key / other frame, ms | speed-up |' % job.label, '|---|---|---|---|---|']
    base = rows[0][1]['ms']['frame']
    for name, numbers in rows:
        ms = numbers['ms']
        parts = ' / '.join('%.1f' % ms[kind] for kind in ('key', 'current') if ms[kind] is not None)
        lines.append('| %s | %.4f | %.1f | %s | %.1fx |' % (name, numbers[job.measure], ms['frame'], parts, base / ms['frame']))
    return '\n'.join(lines)


def plot(rows, job, path):
    """Accuracy against milliseconds a frame, as in the paper's figure 3."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(6, 4))
    for name, numbers in rows:
        axes.plot(numbers['ms']['frame'], numbers[job.measure], 'o')
        axes.annotate(name, (numbers['ms']['frame'], numbers[job.measure]), xytext=(6, -3), textcoords='offset points', fontsize=8)
    axes.set(xlabel='ms a frame', ylabel=job.label, ylim=(0, 1), xlim=(0, 1.35 * max(n['ms']['frame'] for _, n in rows)))
    axes.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, bbox_inches='tight')


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('jobs', nargs='*', metavar='detection|segmentation', help='which of the two (default both)')
    parser.add_argument('--set', nargs='+', default=[], metavar='a.b=c', dest='settings', help='settings for every command')
    args = parser.parse_args()
    for job in args.jobs:
        if job not in JOBS:
            raise ConfigError("there is no job '%s': choose from %s" % (job, ', '.join(JOBS)))
    return args


def main():
    start, args = time.time(), parse_arguments()
    texts, times = zip(*(compare(JOBS[name], args.settings) for name in args.jobs or JOBS))
    print('\n%s\n\nminutes: %s; everything %.1f' % ('\n\n'.join(texts), ', '.join(sum(times, [])) or 'nothing was trained',
                                                 (time.time() - start) / 60))


if __name__ == '__main__':
    run(main)
