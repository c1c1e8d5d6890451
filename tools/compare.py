"""Train a frame baseline, then DFF from it, test both, compare, draw a video: all in one command.

    python tools/compare.py [toy_vid] [toy_seg] [camvid_vid] [camvid_seg]

Without names the embedded data: detection on toy_vid, then segmentation on toy_seg, the main job of this project. Runs the
same commands as any other experiment, one after another, and prints the tables of the README. Trained networks of an earlier
run are used again; remove output/ to train anew.
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

# tasks: baseline and DFF; settings: name in experiments/<task>/cfgs/<settings>_<task>.yaml; parts: the detection settings whose
# pre-trained parts both start from; flow_settings: --set of pre-training the flow network; measure: in results.json; clip: a folder of
# frames for the demo video.
Job = namedtuple('Job', 'tasks settings parts flow_settings measure intervals clip demo_arguments')
DETECTION, SEGMENTATION = ('rfcn', 'dff_rfcn'), ('deeplab', 'dff_deeplab')
NAMES = {'rfcn': 'R-FCN', 'dff_rfcn': 'DFF R-FCN', 'deeplab': 'DeepLab', 'dff_deeplab': 'DFF DeepLab'}
CAMVID_STILLS = ('dataset.image_set=DET_train_camvid+VID_train_first50',)      # moved, they teach the flow as well as frames of the clip
MEASURES = {'mAP': 'mAP@0.5', 'mIoU': 'mIoU'}
JOBS = {
    'toy_vid': Job(DETECTION, 'toy_vid', 'toy_vid', (), 'mAP', (1, 5, 10), 'data/toy_vid/Data/VID/val/toy_val_002', ('--thresh', '0.5')),
    'toy_seg': Job(SEGMENTATION, 'toy_seg', 'toy_vid', (), 'mIoU', (1, 5), 'data/toy_seg/val/clip_002', ()),
    'camvid_vid': Job(DETECTION, 'camvid', 'camvid', CAMVID_STILLS, 'mAP', (1, 5, 10), 'data/camvid/Data/VID/val/0016E5', ('--thresh', '0.5')),
    'camvid_seg': Job(SEGMENTATION, 'camvid', 'camvid', CAMVID_STILLS, 'mIoU', (1, 2, 5, 10), 'data/camvid/val', ()),
}


class Task:
    """One task's commands, on one data set's settings."""

    def __init__(self, task, cfg, overrides):
        self.task, self.cfg, self.overrides = task, cfg, overrides
        tree = load_yaml(resolve(cfg))
        self.network, prefix, self.epoch = tree['network'], tree['TRAIN']['model_prefix'], tree['TEST']['test_epoch']
        folder = os.path.join(resolve(tree['output_path']), os.path.splitext(os.path.basename(cfg))[0])
        self.prefix = os.path.join(folder, tree['dataset']['image_set'].replace('+', '_'), prefix)
        self.results = os.path.join(folder, tree['dataset']['test_image_set'], '%s-%04d_interval%%d' % (prefix, self.epoch), 'results.json')

    def pretrain(self, part, key, settings=()):
        """Make the file that network.<key> names; False where it is there already."""
        return self._make('%s-0000.params' % resolve(self.network[key]), 'tools/pretrain.py', part, settings=settings)

    def train(self):
        """Train; False where the parameters are there already."""
        return self._make('%s-%04d.params' % (self.prefix, self.epoch), '%s/train_end2end.py' % self.task)

    def _make(self, parameters, script, *arguments, settings=()):
        if os.path.exists(parameters):
            print('there already: %s' % os.path.relpath(parameters, ROOT))
            return False
        self.command(script, *arguments, settings=settings)
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

    def command(self, script, *arguments, settings=()):
        """Run a script of the repository with this task's settings. Raises DFFError where it fails."""
        settings = list(settings) + self.overrides
        words = list(arguments) + ['--cfg', self.cfg] + (['--set'] + settings if settings else [])
        print('\n$ python %s' % ' '.join([script] + words), flush=True)
        status = subprocess.call([sys.executable, os.path.join(ROOT, script)] + words)
        if status:
            raise DFFError('%s ended with status %d; its message stands above' % (script, status))


def compare(name, overrides):
    """Train, test and draw what JOBS[name] says; returns (Markdown table, minutes of each step)."""
    job = JOBS[name]
    baseline, dff = (Task(task, 'experiments/%s/cfgs/%s_%s.yaml' % (task, job.settings, task), overrides) for task in job.tasks)
    detector, flow = (Task(task, 'experiments/%s/cfgs/%s_%s.yaml' % (task, job.parts, task), overrides) for task in DETECTION)
    steps = [('pre-training the backbone', lambda: detector.pretrain('backbone', 'pretrained'))]
    if resolve(baseline.network['pretrained']) == detector.prefix:
        steps.append(('training ' + NAMES[detector.task], detector.train))
    steps += [('training ' + NAMES[baseline.task], baseline.train),
             ('pre-training the flow network', lambda: flow.pretrain('flow', 'pretrained_flow', job.flow_settings)),
             ('training ' + NAMES[dff.task], dff.train)]
    times = []
    for step_name, step in steps:
        began = time.time()
        if step():
            times.append('%s %.1f' % (step_name, (time.time() - began) / 60))
    rows = [('%s, every frame' % NAMES[baseline.task], baseline.test(1))]
    rows += [('%s, key frame every %d' % (NAMES[dff.task], interval), dff.test(interval)) for interval in job.intervals]
    folder = resolve('output/compare_%s' % name)
    dff.demo(job.clip, os.path.join(folder, '%s.mp4' % dff.task), job.demo_arguments)
    plot(rows, job.measure, os.path.join(folder, 'accuracy_speed.png'))
    text = table(rows, job.measure)
    with atomic_path(os.path.join(folder, 'results.md')) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
        stream.write(text + '\n')
    print('\ntable, plot and video of %s: %s' % (name, os.path.relpath(folder, ROOT)))
    return text, times


def table(rows, measure):
    """The comparison as Markdown: accuracy, milliseconds a frame, speed-up over a key frame every frame.

    The speed-up compares key frames and all frames of the row's own run: between runs a machine's speed may drift.
    """
    lines = ['| network | %s | ms a frame | key / other frame, ms | speed-up |' % MEASURES[measure], '|---|---|---|---|---|']
    for name, numbers in rows:
        ms = numbers['ms']
        parts = ' / '.join('%.1f' % ms[kind] for kind in ('key', 'current') if ms[kind] is not None)
        key_frame = ms['reading'] + ms['key'] + ms['post']
        lines.append('| %s | %.4f | %.1f | %s | %.1fx |' % (name, numbers[measure], ms['frame'], parts, key_frame / ms['frame']))
    return '\n'.join(lines)


def plot(rows, measure, path):
    """Accuracy against milliseconds a frame, as in the paper's figure 3."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(6, 4))
    for name, numbers in rows:
        axes.plot(numbers['ms']['frame'], numbers[measure], 'o', label=name)
    axes.set(xlabel='ms a frame', ylabel=MEASURES[measure], ylim=(0, 1), xlim=(0, 1.1 * max(n['ms']['frame'] for _, n in rows)))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, bbox_inches='tight')


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('jobs', nargs='*', metavar='NAME', help='%s (default toy_vid toy_seg)' % ', '.join(JOBS))
    parser.add_argument('--set', nargs='+', default=[], metavar='a.b=c', dest='overrides', help='settings for every command')
    args = parser.parse_args()
    for name in args.jobs:
        if name not in JOBS:
            raise ConfigError("there is nothing to compare called '%s': choose from %s" % (name, ', '.join(JOBS)))
    return args


def main():
    start, args = time.time(), parse_arguments()
    texts, times = zip(*(compare(name, args.overrides) for name in args.jobs or ('toy_vid', 'toy_seg')))
    print('\n%s\n\nminutes: %s; everything %.1f' % ('\n\n'.join(texts), ', '.join(sum(times, [])) or 'nothing was trained',
                                                 (time.time() - start) / 60))


if __name__ == '__main__':
    run(main)
