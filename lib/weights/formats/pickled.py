"""Reading the .pkl files of Detectron and detectron2 without running anything that they name.

A pickle can call any function. Here it may only name what NumPy arrays are made with, for which
own, harmless stand-ins are called (NumPy's can be led to bad memory by a made-up type); every
other name ends the reading with an error.
"""
import collections
import pickle
import re

import numpy as np

from lib.weights.registry import READERS
from dff.errors import CheckpointError

NUMBER = re.compile('[fiub][1248]')      # types that weights have


class _Type:
    """Stands for numpy.dtype: a letter and a width, then the byte order."""

    def __init__(self, code, align=False, copy=False):
        if not isinstance(code, str) or not NUMBER.fullmatch(code):
            raise pickle.UnpicklingError('it holds values of type %r' % (code,))
        self.code, self.order = code, '='

    def __setstate__(self, state):
        if state[1] in ('<', '>'):
            self.order = state[1]

    def values(self, data):
        """The numbers in `data`, bytes, or text as Python 2 wrote it."""
        return np.frombuffer(_encode(data) if isinstance(data, str) else data, self.order + self.code)


class _Array:
    """Stands for numpy.ndarray; `value` is the array, once its state has come."""

    value = None

    def __setstate__(self, state):
        _, shape, kind, by_column, data = state
        self.value = kind.values(data).reshape(shape, order='F' if by_column else 'C')


def _reconstruct(kind, shape, code):
    return _Array()


def _from_buffer(data, kind, shape, order):
    array = _Array()
    array.value = kind.values(data).reshape(shape, order=order)
    return array


def _scalar(kind, data):
    return kind.values(data)[0]


def _encode(text, encoding='latin1'):
    """What NumPy's pickles of Python 3 call to get their bytes back."""
    if encoding not in ('latin1', 'latin-1'):
        raise pickle.UnpicklingError('it encodes text as %r' % encoding)
    return text.encode('latin1')


ALLOWED = {('numpy', 'ndarray'): _Array, ('numpy', 'dtype'): _Type, ('_codecs', 'encode'): _encode,
           ('collections', 'OrderedDict'): collections.OrderedDict}
for _core in ('numpy.core.', 'numpy._core.'):
    ALLOWED.update({(_core + 'multiarray', '_reconstruct'): _reconstruct, (_core + 'multiarray', 'scalar'): _scalar,
                    (_core + 'numeric', '_frombuffer'): _from_buffer})


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError('it names %s.%s, which no file of weights needs' % (module, name))
        return ALLOWED[module, name]

    def persistent_load(self, pid):
        raise pickle.UnpicklingError('it refers to data outside itself')


@READERS.register('.pkl')
def read_pickle(path):
    """({name: float32 array}, author) of a model file of Detectron (Caffe2) or detectron2.

    author: what the file says of its origin, '' where it says nothing. Raises CheckpointError for anything else, above
    all for pickles that name functions or classes beyond NumPy's.
    """
    with open(path, 'rb') as stream:
        try:
            content = _Unpickler(stream, encoding='latin1').load()
        except Exception as error:     # a damaged pickle raises whatever its bytes happen to spell
            raise CheckpointError(
                '%s was not read: %s. Only pickles of NumPy arrays are, as those of detectron2\'s model zoo'
                % (path, str(error) or type(error).__name__)) from error
    if not isinstance(content, dict):
        raise CheckpointError('%s holds a %s, not a dictionary of weights' % (path, type(content).__name__))
    author = content.get('__author__', '')
    tensors = content.get('model', content.get('blobs', content))
    if not isinstance(tensors, dict):
        raise CheckpointError('%s: its model is a %s, not a dictionary of '
                              'weights' % (path, type(tensors).__name__))
    return {
        str(name): np.array(tensor.value, np.float32)
        for name, tensor in tensors.items()
        if isinstance(tensor, _Array) and tensor.value is not None
        and not str(name).endswith('_momentum')
    }, str(author)
