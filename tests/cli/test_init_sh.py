"""init.sh: what can be tried without installing anything. .ci/run tries the rest."""
import os
import shutil
import subprocess
import sys

import pytest

from tools import install_packages


def init_sh(root, *arguments, path=None, **environment):
    """Run `sh init.sh ARGUMENTS`; `path` is a folder put in front of PATH."""
    values = {name: value for name, value in os.environ.items() if name != 'MXNET_PACKAGE'}
    values.update(environment)
    if path:
        values['PATH'] = '%s:%s' % (path, values['PATH'])
    return subprocess.run(['sh', str(root / 'init.sh')] + list(arguments), env=values, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)


def command(folder, name, body):
    """An executable shell script `name` in `folder`."""
    path = folder / name
    path.write_text('#!/bin/sh\n' + body)
    path.chmod(0o755)


def test_help(root):
    result = init_sh(root, '--help')
    assert result.returncode == 0
    for word in ('--demo', '--test', 'MXNET_PACKAGE', '.venv'):
        assert word in result.stdout


@pytest.mark.parametrize('arguments', [['--fast'], ['--print-mxnet-package', 'now']])
def test_unknown_argument(root, arguments):
    result = init_sh(root, *arguments)
    assert result.returncode == 2
    assert "error: unknown argument '%s'" % arguments[-1] in result.stderr


@pytest.mark.parametrize('arguments, message', [
    (['toy_vid', 'slow'], "there is nothing to compare called 'slow': choose from toy_vid, toy_seg"),
    (['--set', 'network.depht=50'], "there is no setting 'network.depht'; did you mean 'network.depth'?")])
def test_wrong_arguments_of_the_demo_are_named_before_the_clip_runs(root, arguments, message):
    # Its Python is the one that these tests run with: nothing is installed.
    result = init_sh(root, '--demo', *arguments, VIRTUAL_ENV=sys.prefix)
    assert result.returncode == 2 and message in result.stderr.splitlines()[-1]
    assert 'V_AIRPLANE' not in result.stdout + result.stderr


@pytest.mark.parametrize('answer, package, reason', [
    ('8.6', 'mxnet-cu112==1.9.1', 'compute capability 8.6'),
    ('9.0', 'mxnet==1.9.1', 'has compute capability 9.0 and MXNet 1.9.1 has kernels for 5.0 to 8.9 only'),
    ('3.5', 'mxnet==1.9.1', 'has compute capability 3.5'),
    ('9.0\n7.5', 'mxnet-cu112==1.9.1', '7.5'),
])
def test_package_for_gpu(root, tmp_path, answer, package, reason):
    command(tmp_path, 'nvidia-smi', "printf '%s\\n'\n" % answer)
    result = init_sh(root, '--print-mxnet-package', path=tmp_path)
    assert result.stdout == package + '\n', result.stderr
    assert reason in result.stderr


def test_package_when_the_driver_does_not_answer(root, tmp_path):
    command(tmp_path, 'nvidia-smi',
            'echo "NVIDIA-SMI has failed because it could not communicate with the driver"; exit 9\n')
    assert init_sh(root, '--print-mxnet-package', path=tmp_path).stdout in ('mxnet==1.9.1\n', 'mxnet-cu112==1.9.1\n')


def test_package_override(root, tmp_path):
    command(tmp_path, 'nvidia-smi', 'echo 8.6\n')
    result = init_sh(root, '--print-mxnet-package', path=tmp_path, MXNET_PACKAGE='mxnet==1.8.0.post0')
    assert result.stdout == 'mxnet==1.8.0.post0\n'


def test_wrong_machine(root, tmp_path):
    command(tmp_path, 'uname', 'echo Linux aarch64\n')
    result = init_sh(root, path=tmp_path)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == ("error: MXNet's wheels are for Linux x86-64 only and this is Linux "
                                              "aarch64: "
                                              'use such a machine or container')


@pytest.fixture
def bare_checkout(root, tmp_path):
    """A copy of init.sh alone, and a PATH of a few tools without any Python."""
    checkout, tools = tmp_path / 'checkout', tmp_path / 'bin'
    checkout.mkdir()
    tools.mkdir()
    shutil.copy(str(root / 'init.sh'), str(checkout))
    for name in ('sh', 'uname', 'dirname', 'mkdir', 'rm', 'cat'):
        (tools / name).symlink_to(shutil.which(name))
    return checkout, tools


def bare_init(checkout, tools, **environment):
    """Run init.sh with that PATH and nothing else; the last line that it prints."""
    result = subprocess.run([str(tools / 'sh'), str(checkout / 'init.sh')], env=dict(environment, PATH=str(tools)),
                            stderr=subprocess.PIPE, universal_newlines=True)
    assert result.returncode == 2
    return result.stderr.splitlines()[-1]


def test_no_python(bare_checkout):
    assert bare_init(*bare_checkout).startswith('error: no Python is here: install 3.8 to 3.12')


def test_only_an_old_python(bare_checkout):
    command(bare_checkout[1], 'python3', 'case $2 in *platform*) echo 3.6.9 ;; *) exit 1 ;; esac\n')
    line = bare_init(*bare_checkout)
    assert line.startswith('error: only Python 3.6.9 is here, MXNet needs 3.8 to 3.12: install one')


def test_python_without_venv(bare_checkout):
    command(bare_checkout[1], 'python3', 'case $2 in *ensurepip*) exit 1 ;; *%d.%d*) echo 3.10 ;; esac\n')
    line = bare_init(*bare_checkout)
    assert line.startswith('error: ') and 'apt-get install python3.10-venv' in line


def test_active_environment_with_an_unsuitable_python(bare_checkout, tmp_path):
    (tmp_path / 'env' / 'bin').mkdir(parents=True)
    command(tmp_path / 'env' / 'bin', 'python', 'case $2 in *platform*) echo 3.13.0 ;; *) exit 1 ;; esac\n')
    line = bare_init(*bare_checkout, VIRTUAL_ENV=str(tmp_path / 'env'))
    assert 'has Python 3.13.0, MXNet needs 3.8 to 3.12: deactivate it' in line


def test_venv_with_an_unsuitable_python_is_left_alone(bare_checkout):
    folder = bare_checkout[0] / '.venv' / 'bin'
    folder.mkdir(parents=True)
    command(folder, 'python', 'case $2 in pass) ;; *platform*) echo 3.13.0 ;; *) exit 1 ;; esac\n')
    assert './.venv has Python 3.13.0, MXNet needs 3.8 to 3.12: remove or rename' in bare_init(*bare_checkout)
    assert (folder / 'python').exists()


def test_folder_that_cannot_be_written(bare_checkout):
    (bare_checkout[0] / 'output').write_text('a file where the folder should be')
    assert 'cannot write in' in bare_init(*bare_checkout)


@pytest.mark.parametrize('present, display, expected', [
    ([], True, 'opencv-python'),
    ([], False, 'opencv-python-headless'),
    (['opencv-python'], False, 'opencv-python-headless'),
    (['opencv-contrib-python'], True, 'opencv-contrib-python'),
    (['opencv-python-headless'], True, 'opencv-python-headless'),
])
def test_opencv_build(monkeypatch, present, display, expected):
    monkeypatch.setattr(install_packages, 'installed', lambda names: [name for name in present if names(name)])
    monkeypatch.setattr(install_packages, 'loads', lambda library: display)
    assert install_packages.opencv_name() == expected


def test_requirements_for_a_machine(root):
    lines = install_packages.wanted('mxnet==1.9.1', 'opencv-python-headless')
    assert 'mxnet==1.9.1' in lines and 'opencv-python-headless>=4.5,<4.12' in lines
    assert not any('nvidia' in line for line in lines)
    for gpu_package in ('mxnet-cu112==1.9.1', 'wheels/mxnet_cu117-1.9.1-py3-none-manylinux2014_x86_64.whl'):
        lines = install_packages.wanted(gpu_package, 'opencv-python')
        assert gpu_package in lines and 'mxnet==1.9.1' not in lines
        assert any(line.startswith('nvidia-cudnn-cu11==8.') for line in lines)


@pytest.mark.parametrize('line, version, holds', [
    ('numpy>=1.20,<2', '1.26.4', True), ('numpy>=1.20,<2', '2.4.6', False), ('numpy>=1.20,<2', '2.0', False),
    ('numpy>=1.20,<2', '1.19.5', False), ('numpy>=1.20,<2', '1.20', True), ('numpy>=1.20.0', '1.20', True),
    ('mxnet==1.9.1', '1.9.1', True), ('mxnet==1.9.1', '1.8.0.post0', False),
    ('mxnet==1.8.0.post0', '1.8.0.post0', True), ('cython>=3.0', '3.0.0a11', True),
    ('opencv-python>=4.5,<4.12', '4.11.0.86', True), ('numpy', None, False),
])
def test_versions_are_compared_too(monkeypatch, line, version, holds):
    """Packages that another pip command has changed are put right: NumPy 2 came with the newest onnx."""
    def known(name):
        if version is None:
            raise install_packages.importlib.metadata.PackageNotFoundError(name)
        return version
    monkeypatch.setattr(install_packages.importlib.metadata, 'version', known)
    assert install_packages.satisfied(line) is holds


def test_a_record_without_a_version_does_not_hold(monkeypatch):
    """As an installation that was cut short leaves it."""
    monkeypatch.setattr(install_packages.importlib.metadata, 'version', lambda name: None)
    assert install_packages.satisfied('tqdm>=4.60') is False


def test_a_damaged_package_is_one_line(root, tmp_path):
    (tmp_path / 'cv2.py').write_text('raise ModuleNotFoundError("No module named \'cv2.cv2\'")\n')
    done = subprocess.run([sys.executable, str(root / 'tools' / 'describe_setup.py')], stderr=subprocess.PIPE,
                          universal_newlines=True, env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert done.returncode == 1 and done.stderr.startswith("error: No module named 'cv2.cv2': a package of ")
    assert done.stderr.count('\n') == 1 and '--force-reinstall NAME' in done.stderr
