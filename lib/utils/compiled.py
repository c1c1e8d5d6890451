"""Chooses between a compiled (Cython) module and its NumPy twin, and says which."""
import importlib
import logging


def pick(module, function, fallback):
    """`function` of the compiled `module`, or `fallback` where that is not built. Both give identical results."""
    try:
        return getattr(importlib.import_module(module), function)
    except ImportError:
        logging.getLogger(__name__).info('%s is not built, NumPy is used (slower): `sh init.sh` builds it', module)
        return fallback
