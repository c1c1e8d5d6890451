"""Parameters of an exported model in a quarter of their size: weights as 8-bit integers, the file compressed.

Networks still compute in float32, of weights w = q * s with q from -127 to 127 and one s a filter.
"""
import os
import zipfile
import zlib

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from dff.errors import CheckpointError
from dff.files import atomic_path

FILE = 'model-0000.npz'
LEVELS = 127
LARGEST = 1 << 30             # bytes of all arrays: ResNet-152 in 8 bits has 60 MB


def save_compact(folder, params):
    """Write the parameters into FILE of a folder, and return the largest error of a weight.

    Args:
        folder: of the exported model.
        params: {name: NDArray or array}; arrays of two axes and more are weights, along whose
            first axis the filters lie.

    Returns:
        The largest difference of a weight, relative to the largest of its filter.

    Raises:
        CheckpointError: the file cannot be written.
    """
    arrays, error = {}, 0.0
    for name, value in params.items():
        value = np.asarray(value.asnumpy() if isinstance(value, mx.nd.NDArray) else value, np.float32)
        if value.ndim < 2:
            arrays['value:' + name] = value
            continue
        flat = value.reshape(len(value), -1)
        largest = np.abs(flat).max(axis=1)
        scale = np.maximum(largest, np.finfo(np.float32).tiny * LEVELS) / LEVELS
        quantised = np.rint(flat / scale[:, None]).astype(np.int8)
        differences = np.abs(quantised * scale[:, None] - flat).max(axis=1)
        error = max(error, float((differences / np.maximum(largest, np.finfo(np.float32).tiny)).max()))
        arrays['weight:' + name] = quantised.reshape(value.shape)
        arrays['scale:' + name] = scale.astype(np.float32)
    path = os.path.join(folder, FILE)
    try:
        with atomic_path(path) as temporary, open(temporary, 'wb') as stream:
            np.savez_compressed(stream, **arrays)
    except OSError as failure:
        raise CheckpointError('cannot write %s: %s' % (path, failure.strerror)) from failure
    return error


def load_compact(folder):
    """Return the parameters in FILE of a folder, {name: NDArray}, float32.

    folder: of the exported model.

    Raises CheckpointError where the file is damaged or holds what `save_compact` does not write.
    """
    path = os.path.join(folder, FILE)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST:
            raise CheckpointError('%s would take %d MB of memory; no model of this project does' % (path, size >> 20))
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError,
            MemoryError, SyntaxError) as error:
        raise CheckpointError('%s is damaged (%s): export the model again' % (
            path, ' '.join(str(error).split())[:120])) from error
    params = {}
    for key, values in arrays.items():
        kind, _, name = key.partition(':')
        if kind == 'scale' and 'weight:' + name in arrays:
            continue
        if kind == 'weight' and values.dtype == np.int8 and values.ndim > 1:
            scale = arrays.get('scale:' + name)
            if scale is None or scale.shape != values.shape[:1] or scale.dtype != np.float32:
                raise CheckpointError('%s: the weights %.80r have no scales that fit; export the model again'
                                      % (path, name))
            values = values * scale.reshape((-1,) + (1,) * (values.ndim - 1))
        elif kind != 'value' or values.dtype != np.float32 or values.ndim != 1:
            raise CheckpointError('%s holds %.80r, which no export writes; export the model again' % (path, key))
        params[name] = mx.nd.array(values)
    return params
