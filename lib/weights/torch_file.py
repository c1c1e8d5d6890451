"""Reading PyTorch's .pth and .safetensors files. PyTorch and safetensors are optional: requirements-convert.txt."""
import numpy as np

from lib.utils.errors import CheckpointError, SetupError

INSTALL = '`pip install -r requirements-convert.txt` installs it (PyTorch needs Python 3.9 or later)'
OLDEST = (2, 6)    # before it, weights_only could be tricked into running code (CVE-2025-32434)
WRAPPERS = ('state_dict', 'model', 'model_state')


def import_torch():
    """The torch module, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def read_torch(path):
    """{name: float32 array} of a .pth file, read with weights_only: nothing in it is executed.

    Raises SetupError where PyTorch is absent or too old, CheckpointError where the file holds more than tensors.
    """
    torch = import_torch()
    if torch is None:
        raise SetupError('reading %s needs PyTorch: %s' % (path, INSTALL))
    if tuple(int(part) for part in torch.__version__.split('.')[:2]) < OLDEST:
        raise SetupError('PyTorch %s cannot read files of others safely (CVE-2025-32434); install %d.%d or later: %s'
                         % ((torch.__version__,) + OLDEST + (INSTALL,)))
    try:
        content = torch.load(str(path), map_location='cpu', weights_only=True)
    except OSError:
        raise
    except Exception as error:     # a damaged file raises whatever its bytes happen to spell
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError('%s was not read: PyTorch says `%s`. Only files of tensors are read; nothing is executed'
                              % (path, reason[0])) from error
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    tensors = content.items() if isinstance(content, dict) else ()
    return {name: tensor.detach().float().numpy() for name, tensor in tensors
            if isinstance(tensor, torch.Tensor) and tensor.dtype != torch.bool and not name.endswith('num_batches_tracked')}


def read_safetensors(path):
    """{name: float32 array} of a .safetensors file. Raises SetupError, CheckpointError."""
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise SetupError('reading %s needs safetensors: %s' % (path, INSTALL)) from None
    try:
        tensors = safetensors.numpy.load_file(str(path))
    except (safetensors.SafetensorError, KeyError, TypeError, OSError) as error:
        raise CheckpointError('%s is not a .safetensors file of NumPy\'s types (%s)' % (path, error)) from error
    return {name: np.asarray(value, np.float32) for name, value in tensors.items() if not name.endswith('num_batches_tracked')}
