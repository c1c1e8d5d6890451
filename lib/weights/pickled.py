"""Reading the .pkl files of Detectron and detectron2 without running anything that they name.

A pickle can call any function. Here it may only name the few that build NumPy arrays and plain containers; every other
name ends the reading with an error.
"""
import collections
import pickle

import numpy as np

from lib.utils.errors import CheckpointError


def _encode(text, encoding='latin1'):
    """What NumPy's pickles of Python 3 call to get their bytes back."""
    if encoding not in ('latin1', 'latin-1'):
        raise pickle.UnpicklingError('it encodes text as %r' % encoding)
    return text.encode('latin1')


_MULTIARRAY = {'_reconstruct': np.zeros(0).__reduce__()[0], 'scalar': np.float32(0).__reduce__()[0]}
ALLOWED = {('numpy', 'ndarray'): np.ndarray, ('numpy', 'dtype'): np.dtype, ('_codecs', 'encode'): _encode,
           ('collections', 'OrderedDict'): collections.OrderedDict}
ALLOWED.update({(module, name): value for name, value in _MULTIARRAY.items()
                for module in ('numpy.core.multiarray', 'numpy._core.multiarray')})


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError('it names %s.%s, which no file of weights needs' % (module, name))
        return ALLOWED[module, name]

    def persistent_load(self, pid):
        raise pickle.UnpicklingError('it refers to data outside itself')


def read_pickle(path):
    """({name: float32 array}, author) of a model file of Detectron (Caffe2) or detectron2.

    author: what the file says of its origin, '' where it says nothing. Raises CheckpointError for anything else, above
    all for pickles that name functions or classes beyond NumPy's.
    """
    try:
        with open(path, 'rb') as stream:
            content = _Unpickler(stream, encoding='latin1').load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, KeyError, IndexError,
            ImportError, MemoryError, OverflowError, UnicodeDecodeError) as error:
        raise CheckpointError('%s was not read: %s. Only pickles of NumPy arrays are, as those of detectron2\'s model zoo'
                              % (path, str(error) or type(error).__name__)) from error
    if not isinstance(content, dict):
        raise CheckpointError('%s holds a %s, not a dictionary of weights' % (path, type(content).__name__))
    author = content.get('__author__', '')
    tensors = content.get('model', content.get('blobs', content))
    if not isinstance(tensors, dict):
        raise CheckpointError('%s: its model is a %s, not a dictionary of weights' % (path, type(tensors).__name__))
    return {str(name): np.asarray(value, np.float32) for name, value in tensors.items()
            if isinstance(value, np.ndarray) and value.dtype.kind in 'fiu' and not str(name).endswith('_momentum')}, str(author)
