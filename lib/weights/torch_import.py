"""PyTorch, where it is installed."""


def import_torch():
    """Return the torch module, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch
