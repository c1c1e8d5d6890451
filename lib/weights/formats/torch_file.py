"""Reading PyTorch's .pth and .safetensors files. PyTorch and safetensors are optional: requirements-convert.txt."""
import re
import warnings

import numpy as np

from dff.errors import CheckpointError, SetupError
from dff.packages import importing
from lib.weights.registry import READERS
from lib.weights.torch_import import import_torch

INSTALL = '`pip install -r requirements-convert.txt` installs it (PyTorch needs Python 3.9 or later)'
OLDEST = (2, 6)    # before it, weights_only could be tricked into running code (CVE-2025-32434)
WRAPPERS = ('state_dict', 'model', 'model_state')


class _Ignored:
    """Stand for NumPy's numbers, which training scripts keep beside the weights (a best error), and their types."""

    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
        pass


IGNORED = [(_Ignored, name) for name in ('numpy.dtype', 'numpy.core.multiarray.scalar',
                                         'numpy._core.multiarray.scalar')]


@READERS.register('.pth')
@READERS.register('.pt')
@READERS.register('.tar')
def read_torch(path):
    """{name: float32 array} of a .pth file, read with weights_only: nothing in it is executed.

    Raises SetupError where PyTorch is absent or too old, CheckpointError where the file holds more than tensors.
    """
    torch = import_torch()
    if torch is None:
        raise SetupError('reading %s needs PyTorch: %s' % (path, INSTALL))
    if tuple(int(part) for part in torch.__version__.split('.')[:2]) < OLDEST:
        raise SetupError('PyTorch %s cannot read files of others safely (CVE-2025-32434); install '
                         '%d.%d or later: %s'
                         % ((torch.__version__,) + OLDEST + (INSTALL,)))
    try:
        # Warnings are of old formats and types, which are read, or refused below.
        with warnings.catch_warnings(), torch.serialization.safe_globals(IGNORED):
            warnings.simplefilter('ignore')
            return _arrays(torch, torch.load(str(path), map_location='cpu', weights_only=True))
    except OSError:
        raise
    except Exception as error:     # a damaged file raises whatever its bytes happen to spell
        raise CheckpointError('%s was not read: %s. Only files of tensors are read; nothing is executed'
                              % (path, _reason(error))) from error


def _arrays(torch, content):
    """{name: float32 array} of the dictionary of tensors in `content`."""
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    tensors = content.items() if isinstance(content, dict) else ()
    return {
        str(name): tensor.detach().float().numpy()
        for name, tensor in tensors
        if isinstance(tensor, torch.Tensor) and tensor.dtype != torch.bool
        and not tensor.is_complex() and not str(name).endswith('num_batches_tracked')
    }


def _reason(error):
    """Why a file was not read; PyTorch's own words only where they do not advise to read it unsafely."""
    text = str(error).strip()
    named = re.search(r'GLOBAL (\S+)', text)
    if named:
        return 'it names %s, which no file of weights needs' % named.group(1)
    if not text or 'weights_only' in text:
        return 'it is damaged, or not of PyTorch'
    return 'PyTorch says `%s`' % text.splitlines()[0].split('. ')[0]


@READERS.register('.safetensors')
def read_safetensors(path):
    """{name: float32 array} of a .safetensors file. Raises SetupError, CheckpointError."""
    with importing('safetensors', 'reading %s needs' % path, 'pip install -r requirements-convert.txt'):
        import safetensors
        import safetensors.numpy
    try:
        tensors = safetensors.numpy.load_file(str(path))
    except (safetensors.SafetensorError, KeyError, TypeError, OSError) as error:
        raise CheckpointError('%s is not a .safetensors file of NumPy\'s types (%s)' % (path, error)) from error
    return {
        name: np.asarray(value, np.float32)
        for name, value in tensors.items()
        if not name.endswith('num_batches_tracked')
    }
