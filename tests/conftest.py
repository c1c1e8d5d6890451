"""What all tests share: the repository root on sys.path, and the data that lies beside the checkout."""
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import lib  # noqa: E402,F401  before any test imports MXNet


def shared_folder(name):
    """Folder `name` of DFF_SHARED, or of ../shared beside the checkout; the test is skipped where it is absent."""
    folder = Path(os.environ.get('DFF_SHARED', str(ROOT.parent / 'shared'))) / name
    if not folder.is_dir():
        pytest.skip('%s is absent: it holds data that is not part of the repository (DFF_SHARED names its parent)'
                    % folder)
    return folder


@pytest.fixture(autouse=True)
def environment():
    """Tests leave the environment as it was: what they run in this process may set variables for its children."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope='session')
def root():
    """The repository's root folder, a Path."""
    return ROOT


@pytest.fixture(scope='session')
def reference():
    """Folder of the recorded reference values, a Path."""
    return shared_folder('reference')


@pytest.fixture(scope='session')
def camvid():
    """Folder of the CamVid clip, a Path."""
    return shared_folder('camvid')


@pytest.fixture(scope='session')
def torch():
    """PyTorch."""
    return pytest.importorskip('torch', reason='PyTorch is not installed: pip install -r requirements-convert.txt')
