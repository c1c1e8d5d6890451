"""The package `dff` as users install it: a wheel in an empty environment, without MXNet or a checkout."""
import glob
import json
import os
import subprocess
import sys
import zipfile

import pytest

from dff.writers import open_writer
from tests.helpers import tiny

pytestmark = pytest.mark.slow

# Pythons beside the one that runs this; DFF_PYTHON names another.
NEWER = [path for path in (os.environ.get('DFF_PYTHON'),
                           *glob.glob(os.path.expanduser('~/.pyenv/versions/3.13*/bin/python')))
         if path]


def run(*words, **options):
    """A command; returns its output, and fails with it."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope='module')
def wheel(root, tmp_path_factory):
    """The wheel of a copy of what git knows: building leaves files behind."""
    folder = tmp_path_factory.mktemp('wheel')
    names = run('git', 'ls-files', '-co', '--exclude-standard', 'dff', 'pyproject.toml', 'README.md', 'LICENSE',
                cwd=str(root)).splitlines()
    for name in names:
        if (root / name).is_file():
            (folder / 'source' / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / 'source' / name).write_bytes((root / name).read_bytes())
    run(sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--wheel-dir', folder, folder / 'source')
    return glob.glob(str(folder / '*.whl'))[0]


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """(an exported folder, a video)."""
    from tests.helpers.onnx_tools import export_tiny
    from lib.onnx_export.export import export_onnx
    folder = tmp_path_factory.mktemp('model')
    export_onnx(export_tiny('dff_rfcn', folder / 'model'), str(folder / 'model'))
    with open_writer(str(folder / 'clip.mp4')) as write:
        for t, image in enumerate(tiny.clip(4)):
            write(image, str(t))
    return folder / 'model', folder / 'clip.mp4'


def test_the_wheel_holds_dff_alone_and_fits_every_machine(wheel):
    assert wheel.endswith('-py3-none-any.whl')
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split('/')[0] for name in names if '.dist-info/' not in name} == {'dff'}
    assert {'dff/py.typed', 'dff/live/open.py', 'dff/runtime/model.py', 'dff/tracking/tracker.py'} <= set(names)


@pytest.mark.parametrize('python', [sys.executable] + NEWER[:1])
def test_it_runs_on_a_video_without_mxnet(wheel, model, tmp_path, python):
    folder, video = model
    run(python, '-m', 'venv', tmp_path / 'env')
    own = tmp_path / 'env' / 'bin'
    outside = {key: value for key, value in os.environ.items() if key not in ('PYTHONPATH', 'VIRTUAL_ENV')}
    run(own / 'python', '-m', 'pip', 'install', '--quiet', wheel + '[onnx]', env=outside)
    printed = run(own / 'dff', 'run', folder, '--input', video, '--output', tmp_path / 'out.mp4', '--json',
                  tmp_path / 'out.json', '--thresh', 0.15, cwd=str(tmp_path), env=outside)
    assert 'computed by onnxruntime' in printed
    with open(str(tmp_path / 'out.json'), encoding='utf-8') as stream:
        frames = json.load(stream)['frames']
    assert [frame['key'] for frame in frames] == [True, False, False, True]
    assert frames[0]['detections'][0]['track'] == 1
    code = "import importlib.util as u; print([u.find_spec(n) for n in ('mxnet', 'lib')])"
    assert run(own / 'python', '-c', code, cwd=str(tmp_path), env=outside).strip() == '[None, None]'
