"""SGD with momentum on the CPU by the native library (lib/operator_cxx/sgd_momentum): MXNet's own
takes four times as long.
"""
import ctypes

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from lib.operator_cxx import loader


def suits(optimizer, gradients):
    """Whether `step` can do the steps of this optimizer from these gradients."""
    plain = type(optimizer) is mx.optimizer.SGD and optimizer.momentum > 0 and not optimizer.multi_precision
    here = all(array.context.device_type == 'cpu' and array.dtype == np.float32 for array in gradients)
    return plain and here and loader.c_library() is not None


class MomentumStep:
    """Steps of an optimizer on some parameters.

    Called for each step. MXNet must have nothing left to compute then (mx.nd.waitall). It does not
    see that the weights are written, which layers fused for inference would have to; networks
    bound for training have none.

    Args:
        optimizer: mx.optimizer.SGD that `suits`.
        weights, gradients, states: lists of float32 NDArrays on the CPU, in one order: the
            parameters, their gradients and their momentums.
    """

    def __init__(self, optimizer, weights, gradients, states):
        self._optimizer, self._function = optimizer, loader.c_library().dff_sgd_momentum
        self._gradients, self._weights, self._states = gradients, weights, states
        self._count = len(weights)
        self._sizes = (ctypes.c_size_t * self._count)(*(array.size for array in weights))

    def __call__(self):
        optimizer, indices, floats = self._optimizer, list(range(self._count)), ctypes.c_float * self._count
        optimizer._update_count(indices)
        momentum, rescale, clip = (ctypes.c_float(value) for value in (
            optimizer.momentum, optimizer.rescale_grad, optimizer.clip_gradient or float('inf')))
        self._function(ctypes.c_size_t(self._count), self._sizes, _pointers(self._gradients),
                       floats(*optimizer._get_lrs(indices)), floats(*optimizer._get_wds(indices)),
                       momentum, rescale, clip, _pointers(self._weights), _pointers(self._states))


def _pointers(arrays):
    """Where the values of NDArrays lie; puts them into plain order first, where oneDNN has changed it."""
    pointers = (ctypes.c_void_p * len(arrays))()
    for index, array in enumerate(arrays):
        place = ctypes.byref(pointers, index * ctypes.sizeof(ctypes.c_void_p))
        mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, place))
    return pointers
