"""dff/ on machines that have NumPy and OpenCV and nothing else of what the project needs."""
import os
import shutil
import subprocess
import sys

import pytest

ABSENT = 'mxnet', 'lib', 'easydict', 'yaml', 'PIL', 'tqdm', 'matplotlib'
IMPORT_ALL = """
import importlib, pkgutil, sys
import dff
names = ['dff'] + [module.name for module in pkgutil.walk_packages(dff.__path__, 'dff.')]
for name in names:
    importlib.import_module(name)
there = sorted(set(sys.modules) & set(%r))
assert not there, 'imported: ' + ', '.join(there)
print(len(names))
""" % (ABSENT,)
REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in %r:
            raise ModuleNotFoundError('%%s is imported, which is not there' %% name, name=name)
sys.meta_path.insert(0, Refuse())
""" % (ABSENT,)


def run(code, folder, python=sys.executable):
    """(exit status, what is printed, errors) of `code` in a new Python in `folder`."""
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run([str(python), '-c', code], cwd=str(folder), env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    return done.returncode, done.stdout, done.stderr


def test_every_module_of_dff_is_importable_alone(root):
    status, printed, errors = run(REFUSE + IMPORT_ALL, root)
    assert status == 0, errors
    assert int(printed) == len(list((root / 'dff').rglob('*.py')))


@pytest.mark.parametrize('name', ABSENT)
def test_what_is_refused_cannot_be_imported(root, name):
    status, _, errors = run(REFUSE + 'import %s' % name, root)
    assert status == 1 and '%s is imported, which is not there' % name in errors


@pytest.mark.slow
def test_an_environment_of_numpy_and_opencv_alone(root, tmp_path):
    """Without the finder above: what dff/ imports in such an environment is really all that it has."""
    python = tmp_path / 'environment' / 'bin' / 'python'
    made = subprocess.run([sys.executable, '-m', 'venv', str(tmp_path / 'environment')], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    if made.returncode:
        pytest.skip('no virtual environment can be made here: %s' % made.stdout.strip())
    installed = subprocess.run([str(python), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check',
                                '--retries', '0', '--timeout', '20', '--only-binary', ':all:',
                                'numpy>=1.20,<2', 'opencv-python-headless>=4.5,<4.12'],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if installed.returncode:
        pytest.skip('pip cannot install NumPy and OpenCV here: %s' % installed.stdout.strip().splitlines()[-1])
    shutil.copytree(str(root / 'dff'), str(tmp_path / 'copy' / 'dff'))
    status, printed, errors = run(IMPORT_ALL, tmp_path / 'copy', python)
    assert status == 0, errors
    assert int(printed) == len(list((root / 'dff').rglob('*.py')))
