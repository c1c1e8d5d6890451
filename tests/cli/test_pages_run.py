"""The commands of the documentation that need nothing but the project, run as they are written, one after the other.

In a copy of the project whose toy settings, data and clip are small. Commands that say `# needs ...` are left out, and
those that other tests run.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import yaml

from dff.writers import open_writer
from lib.dataset.toy import toy_generator, toy_seg_generator
from tests.conftest import ROOT
from tests.helpers import import_tools, pages, tiny

PAGES = ('README.md', 'docs/get-started.md', 'docs/train.md', 'docs/test-and-report.md', 'docs/video-and-live.md',
         'docs/deploy.md', 'model/README.md')
# Who runs the others, by how they begin; '' for what is no command of ours.
ELSEWHERE = {
    'sh init.sh': 'tests/cli/test_init_sh.py', 'pip install': 'tests/cli/test_package.py',
    'python tools/compare.py': 'tests/cli/test_compare.py',
    'python tools/launch.py': 'tests/distributed/test_launch.py',
    'python tools/convert_weights.py': 'tests/unit/test_convert_graph.py',
    'python experiments/fgfa_rfcn': 'tests/cli/test_fgfa_commands.py',
    'python tools/export_model.py fgfa_rfcn': 'tests/cli/test_fgfa_commands.py',
    'python experiments/flownet': 'tests/train/test_flow_training.py',
    'python dff_rfcn/train_end2end.py': 'tests/train/test_train_recursive.py',
    'python lib/operator_cxx/build.py': 'tests/native/test_native_loading.py',
    'dff run exported/': 'tests/unit/test_python_api.py',
    'git clone': '', 'cd ': '', '. .venv': '', 'python -m pytest': '', '.ci/': '', 'bash .ci/': '',
}
# Measurements take minutes to hours on an idle machine: tests/unit/test_pages.py parses them, nothing runs them.
MEASUREMENTS = 'python benchmarks/'
# Pages that say at their beginning what all of their commands need.
NEEDS_OF_PAGE = {'docs/reproduce-the-paper.md': 'had neither ImageNet VID nor a GPU'}
# What the reader puts in, such as FILE.yaml, PREFIX, VIDEO.
PLACEHOLDER = re.compile(r'(?<![\w./=-])[A-Z][A-Z_]{2,}(?:\.yaml)?(?![\w.=-])')
FOLDERS = ('dff', 'lib', 'experiments', 'rfcn', 'dff_rfcn', 'deeplab', 'dff_deeplab', 'tools', 'benchmarks',
           'model/demo', 'data/demo')
SMALL = {'SCALES': [128, 208], 'network.width': 0.125, 'TRAIN.lr': 0.001, 'TRAIN.end_epoch': 1, 'TEST.test_epoch': 1,
         'TRAIN.lr_step': '0.7', 'TRAIN.FLIP': False}
# What needs the extra packages of ONNX.
ONNX = 'dff run', 'dff speed', 'onnx', 'exported_map'


def listed():
    """The commands to run, in the order of the pages, each once."""
    found = {}
    for name in PAGES:
        for command in pages.commands(ROOT / name, ROOT):
            if not (command.marked or command.text.startswith(tuple(ELSEWHERE)) or PLACEHOLDER.search(command.text)):
                found.setdefault(command.text, command)
    return list(found.values())


def explained(command, run):
    """Whether a command is run by a test (run: the texts of listed()), or says what it needs."""
    return (command.marked or command.text in run or PLACEHOLDER.search(command.text)
            or command.text.startswith((MEASUREMENTS, *ELSEWHERE)) or command.page in NEEDS_OF_PAGE)


def shrink(path):
    """Make the settings of a file those of a network of seconds."""
    values = yaml.safe_load(path.read_text())
    tiny.set_values(values, SMALL)
    values['network']['pretrained_epoch'] = min(values['network'].get('pretrained_epoch', 0), 1)
    if values['symbol'].endswith('rfcn'):
        values['network']['DFF_FEAT_DIM'] = 16
    path.write_text(yaml.safe_dump(values))


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """A copy of the project with little data, and a data set of the reader's own in my_videos/."""
    project = tmp_path_factory.mktemp('project')
    for part in FOLDERS:
        shutil.copytree(str(ROOT / part), str(project / part), ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('requirements.txt', 'pyproject.toml'):
        shutil.copy(str(ROOT / name), str(project / name))
    for path in project.glob('experiments/*/cfgs/toy_*.yaml'):
        shrink(path)
    toy_generator.generate(str(project / 'data/toy_vid'),
                           toy_generator.Size(train_clips=1, train_length=15, stills=4, val_clips=2, val_length=6))
    toy_seg_generator.STORE.generate(str(project / 'data/toy_seg'),
                                     toy_seg_generator.Size(train_clips=1, train_length=10, stills=6, val_clips=2,
                                                            val_length=5))
    clip = project / 'data/demo/V_AIRPLANE_030.mp4'
    frames = [np.ascontiguousarray(cv2.resize(image, (320, 256))) for _, image in zip(range(6), images(clip))]
    with open_writer(str(clip)) as write:
        for number, image in enumerate(frames):
            write(image, str(number))
    own_videos(project / 'my_videos')
    return project


def own_videos(folder):
    """MOT sequences of noise, so that no frame is both in training and test."""
    names, random = ('walk1', 'walk2', 'walk3'), np.random.RandomState(0)
    import_tools.mot_sequences(folder, *names)
    for path in sorted(folder.glob('*/img1/*.jpg')):
        height, width = cv2.imread(str(path)).shape[:2]
        cv2.imwrite(str(path), cv2.resize(random.randint(0, 255, (4, 6, 3)).astype(np.uint8), (width, height)))


def images(path):
    """Yield the frames of a video."""
    capture = cv2.VideoCapture(str(path))
    while True:
        known, image = capture.read()
        if not known:
            return
        yield image


@pytest.mark.slow
@pytest.mark.parametrize('command', listed(), ids=lambda command: re.sub(r'\W+', '-', command.text)[-70:])
def test_it_runs(command, project):
    if any(word in command.text for word in ONNX):
        pytest.importorskip('onnxruntime', reason='pip install -r requirements-onnx.txt')
        pytest.importorskip('onnx', reason='pip install -r requirements-onnx.txt')
    words = shlex.split(command.text)
    words[:1] = {'python': [sys.executable], 'dff': [sys.executable, '-m', 'dff']}[words[0]]
    if 'tools/pretrain.py' in words:
        words += ['--batches', '4', '--batch_size', '2']        # of 500 and 2000
    done = subprocess.run(words, cwd=str(project), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stdout[-3000:]
    assert 'Traceback' not in done.stdout, done.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize('page', ['README.md', 'docs/deploy.md'])
def test_the_python_of_the_page_runs(page, project):
    blocks = pages.blocks((ROOT / page).read_text(encoding='utf-8'))
    code = next('\n'.join(lines) for _, language, lines in blocks if language == 'python')
    if 'model/toy_vid' in code and not (project / 'model/toy_vid').exists():
        pytest.skip('the export of docs/deploy.md was not run')
    done = subprocess.run([sys.executable, '-c', code], cwd=str(project), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) >= 6, done.stdout[-3000:]


def test_every_command_is_run_or_says_what_it_needs():
    run = {command.text for command in listed()}
    assert len(run) > 25
    left = [command for page in pages.pages(ROOT) for command in pages.commands(page, ROOT)
            if not explained(command, run)]
    assert not left, '\n'.join(map(str, left))
    for tests in filter(None, ELSEWHERE.values()):
        assert (ROOT / tests).is_file()
    for page, words in NEEDS_OF_PAGE.items():
        assert words in (ROOT / page).read_text(encoding='utf-8')
