"""The lists of packages: what joins MXNet's environment keeps its versions."""
import pytest


@pytest.mark.parametrize('name', ['onnx', 'convert', 'coco', 'tensorboard', 'fuzz', 'bench'])
def test_packages_beside_mxnet_keep_its_versions(root, name):
    """Without it `pip install -r requirements-onnx.txt` brought NumPy 2, and MXNet could not be imported."""
    lines = (root / ('requirements-%s.txt' % name)).read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith('#')]
    assert wanted[0].split('#')[0].strip() == '-c requirements.txt' and len(wanted) > 1
    assert any(line.startswith('numpy>=1.20,<2') for line in (root / 'requirements.txt').read_text().splitlines())
