"""Chooses between the compiled (Cython) modules and their NumPy twins, and says which."""
import importlib
import logging

MODULES = ('lib.boxes.bbox', 'lib.evaluation.detection_text')


def load(module):
    """The compiled `module`, or None where it is not built."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def pick(module, function, fallback):
    """`function` of the compiled `module`, or `fallback` where that is not built. Both give identical results."""
    compiled = load(module)
    if compiled is None:
        logging.getLogger(__name__).info('%s is not built, NumPy is used (slower): `sh init.sh` builds it', module)
        return fallback
    return getattr(compiled, function)


def built():
    """Whether all compiled modules are there."""
    return all(load(module) for module in MODULES)
