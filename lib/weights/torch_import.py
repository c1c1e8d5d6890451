"""PyTorch, where it is installed."""
from dff.packages import interrupted


def import_torch():
    """Return the torch module, or None where it is not installed or cannot be imported."""
    try:
        import torch
    except ImportError as error:
        if interrupted(error):
            raise KeyboardInterrupt from None
        return None
    return torch
