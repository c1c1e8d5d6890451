"""MXNet's own parameter files as weights to convert."""
from lib.engine.checkpoint import load_arrays
from lib.weights.registry import READERS


@READERS.register('.params')
def read_params(path):
    """Return {name: float32 array} of an MXNet parameter file; arg: and aux: are taken off the names."""
    return {name.split(':', 1)[-1]: array.asnumpy().astype('float32') for name, array in load_arrays(path).items()}
