"""The preparation of MXNet's import: NumPy's names, threads, and what is said when an import fails."""
import os
import subprocess
import sys

import pytest

from lib.utils import threads
from lib.utils.cuda_libraries import PACKAGES, remedy


def python(root, code, packages=None, **environment):
    """Run `code` from the root in a new Python; `packages` is a folder put in front of its search path."""
    values = {name: value for name, value in os.environ.items() if not name.startswith(('OMP_', 'MXNET_'))}
    values.update(environment, PYTHONPATH=str(packages or ''))
    return subprocess.run([sys.executable, '-W', 'error', '-c', code], cwd=str(root), env=values,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def package(folder, name, body):
    """A stand-in package `name` in `folder` whose import runs `body`."""
    (folder / name).mkdir()
    (folder / name / '__init__.py').write_text(body)


def test_numpy_names_are_restored_without_warnings(root):
    result = python(root, 'import lib, numpy as np; print(np.bool, np.int, np.float, np.object)')
    assert result.stdout == "<class 'bool'> <class 'int'> <class 'float'> <class 'object'>\n", result.stderr


def test_opencv_comes_first_and_mxnet_only_when_asked_for(root):
    result = python(root, "import lib, sys; print('cv2' in sys.modules, 'mxnet' in sys.modules)")
    assert result.stdout == 'True False\n', result.stderr


def test_thread_count(root):
    code = "import lib, os; print(os.environ['OMP_NUM_THREADS'])"
    assert python(root, code).stdout == '%d\n' % threads.physical_cores()
    assert python(root, code, OMP_NUM_THREADS='7').stdout == '7\n'


def test_gradient_cap_is_raised(root):
    code = "import lib, os; print(int(os.environ['MXNET_EXEC_INPLACE_GRAD_SUM_CAP']) > 1000)"
    assert python(root, code).stdout == 'True\n'


def test_physical_cores_count_hyper_threads_once_and_obey_limits(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: {0, 1, 2, 3, 6})
    files = {'/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list' % cpu: '%d,%d' % (cpu % 4, cpu % 4 + 4)
             for cpu in range(8)}
    monkeypatch.setattr(threads, 'read_text', files.get)
    assert threads.physical_cores() == 4
    files.update({'/proc/self/cgroup': '0::/user/me', '/sys/fs/cgroup/user/cpu.max': '250000 100000',
                  '/sys/fs/cgroup/cpu.max': 'max 100000'})
    assert threads.cgroup_limit() == 2.5
    assert threads.physical_cores() == 3
    files.update({'/proc/self/cgroup': '4:cpu,cpuacct:/box\n2:memory:/box',
                  '/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us': '50000',
                  '/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us': '100000'})
    assert threads.physical_cores() == 1


@pytest.mark.parametrize('complaint, expected', [
    ('libcuda.so.1: cannot open shared object file: No such file or directory', 'comes with the NVIDIA driver'),
    ('libcudnn.so.8: cannot open shared object file: No such file or directory', 'pip install nvidia-cudnn-cu11'),
    ('libquadmath.so.0: cannot open shared object file', 'libquadmath.so.0 is missing: install the system package'),
])
def test_missing_library_is_named_with_its_remedy(root, tmp_path, complaint, expected):
    package(tmp_path, 'mxnet', 'raise OSError(%r)' % complaint)
    result = python(root, 'import lib, mxnet', tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith('error: ' + complaint.split(':')[0]) and expected in result.stderr
    assert 'Traceback' not in result.stderr


def test_failing_import_is_a_setup_error_that_programs_can_catch(root, tmp_path):
    package(tmp_path, 'mxnet', 'import no_such_dependency')
    code = ('import lib\nfrom dff.errors import SetupError\n'
            'for attempt in range(2):\n    try:\n        import mxnet\n    except SetupError as error:\n'
            '        print(error)')
    lines = python(root, code, tmp_path).stdout.splitlines()
    assert len(lines) == 2 and all('the Python package no_such_dependency is not installed' in line for line in lines)


def test_absent_mxnet(root):
    code = "import lib, importlib, sys\nsys.path = [p for p in sys.path if 'site-packages' not in p]\nimport mxnet"
    assert 'error: MXNet is not installed in' in python(root, code).stderr


def test_opencv_without_display_library(root, tmp_path):
    package(tmp_path, 'cv2',
            "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')")
    result = python(root, 'import lib', tmp_path)
    assert 'run `sh init.sh`, which then installs opencv-python-headless' in result.stderr
    assert 'Traceback' not in result.stderr


def test_every_cuda_library_names_its_package():
    for library, name in PACKAGES.items():
        assert name in remedy(library + ': cannot open shared object file')
    assert remedy('undefined symbol: cuInit') is None


def test_gpu_requirements_hold_every_cuda_package(root):
    text = (root / 'requirements-gpu.txt').read_text()
    assert all(name + '==' in text for name in PACKAGES.values())
