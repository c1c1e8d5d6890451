"""tools/doctor.py: what it finds here, and in installations that lack something."""
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', '..', 'tools'))
import doctor  # noqa: E402
import install_packages  # noqa: E402

from lib.operator_cxx import loader  # noqa: E402
from lib.symbols import operators  # noqa: E402


def by_subject(findings):
    return {finding.subject: finding for finding in findings}


def test_this_installation_as_json(root):
    done = subprocess.run([sys.executable, str(root / 'tools' / 'doctor.py'), '--json'], stdout=subprocess.PIPE,
                          universal_newlines=True)
    found = {entry['subject']: entry for entry in json.loads(done.stdout)}
    assert {'Python', 'packages', 'NumPy, OpenCV', 'MXNet', 'GPU', 'boxes', 'operators', 'threads',
            'output/'} <= set(found)
    assert found['MXNet']['state'] == 'ok' and 'DIST_KVSTORE' in found['MXNet']['text']
    assert all(entry['remedy'] for entry in found.values() if entry['state'] != 'ok')
    assert done.returncode == any(entry['state'] == 'problem' for entry in found.values())


def test_without_mxnet_and_opencv_it_still_reports(tmp_path, root):
    for name in ('mxnet', 'cv2'):
        (tmp_path / ('%s.py' % name)).write_text('raise ImportError("libGL.so.1: cannot open shared object file")\n')
    done = subprocess.run([sys.executable, str(root / 'tools' / 'doctor.py')], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True,
                          env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert done.returncode == 1 and done.stderr == ''
    assert 'PROBLEM  NumPy, OpenCV: cannot be looked at' in done.stdout and 'opencv-python-headless' in done.stdout
    assert 'note     MXNet: cannot be looked at' in done.stdout and 'Python: ' in done.stdout
    assert '1 to fix' in done.stdout
    assert 'GPU: cannot be looked at' not in done.stdout


@pytest.mark.parametrize('gpus, wheel, state, text', [
    ([], None, 'ok', 'the CPU is used'),
    ([], 'mxnet-cu112', 'problem', 'no GPU with a driver is found'),
    ([(9, 0)], None, 'note', '9.0, driver 550.1: MXNet 1.9.1 has kernels for 5.0 to 8.9 only'),
    ([(8, 6)], None, 'note', 'the CPU wheel of MXNet is installed'),
    ([(8, 6)], 'mxnet-cu112', 'ok', 'compute capability 8.6, driver 550.1, mxnet-cu112'),
])
def test_gpu_against_the_wheel(monkeypatch, gpus, wheel, state, text):
    monkeypatch.setattr(install_packages, 'capabilities', lambda: gpus)
    monkeypatch.setattr(install_packages, 'installed', lambda names: [wheel] if wheel else [])
    monkeypatch.setattr(doctor, 'driver_version', lambda: '550.1')
    finding = doctor.check_gpu()[0]
    assert finding.state == state and text in finding.text and bool(finding.remedy) == (state != 'ok')


def test_each_missing_cuda_library_names_its_package(monkeypatch):
    def missing(name):
        raise OSError(name)
    monkeypatch.setattr(doctor.ctypes, 'CDLL', missing)
    findings = by_subject(doctor.check_cuda_libraries())
    assert findings['libcudnn.so.8'].state == 'problem'
    assert 'pip install nvidia-cudnn-cu11' in findings['libcudnn.so.8'].remedy


def test_files_and_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, 'ROOT', str(tmp_path))
    findings = by_subject(doctor.check_files())
    assert findings['data sets'].state == findings['models'].state == 'note'
    for name in ('camvid', 'my videos', 'cache'):
        (tmp_path / 'data' / name).mkdir(parents=True)
    (tmp_path / 'model' / 'demo').mkdir(parents=True)
    (tmp_path / 'model' / 'demo' / 'model.json').write_text('{}')
    findings = by_subject(doctor.check_files())
    assert findings['model/demo'].state == 'ok' and 'models' not in findings
    (tmp_path / 'model' / 'x-0000.params').write_bytes(b'cut short')
    findings = by_subject(doctor.check_files())
    assert findings['data sets'].text == 'camvid (CamVid), my videos'
    assert findings['model/x-0000.params'].state == 'problem'
    monkeypatch.setattr(install_packages, 'installed',
                        lambda names: ['mxnet', 'mxnet-cu112'] if names('mxnet-cu112') else [])
    states = [(finding.state, finding.text) for finding in doctor.check_packages()]
    assert states[0][0] == 'problem' and 'numpy' in states[0][1]
    assert states[1] == ('problem', 'mxnet and mxnet-cu112 write the same files')


def test_native_operators_that_compute_something_else(monkeypatch):
    if not loader.load():
        pytest.skip('the native operators are not built')
    assert doctor.check_native()[1].state == 'ok'
    pooling = operators.psroi_pooling
    monkeypatch.setattr(operators, 'psroi_pooling', lambda *arguments: pooling(*arguments) * (1 + bool(loader.load())))
    finding = doctor.check_native()[1]
    assert finding.state == 'problem' and finding.text.endswith("MXNet's own: RoI pooling on the CPU")
    assert 'build' in finding.remedy


def test_a_check_that_fails_is_a_problem_and_the_others_go_on(monkeypatch):
    def check_moon():
        raise ValueError('not full')
    monkeypatch.setattr(doctor, 'CHECKS', {'moon': check_moon, 'Python': doctor.check_python})
    first, second = doctor.examine()
    assert first == ('moon', 'problem', 'cannot be looked at (ValueError: not full)', 'run `sh init.sh`')
    assert second.subject == 'Python'
