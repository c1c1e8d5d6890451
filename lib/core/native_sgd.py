"""SGD with momentum on the CPU by the native library (lib/operator_cxx/sgd_momentum): MXNet's own takes four times as long."""
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


def step(optimizer, weights, gradients, states):
    """One step of `optimizer` on all parameters, float32 NDArrays.

    MXNet must have nothing left to compute (mx.nd.waitall). It does not see that the weights are written, which layers fused
    for inference would have to; networks bound for training have none.
    """
    function, indices = loader.c_library().dff_sgd_momentum, list(range(len(weights)))
    optimizer._update_count(indices)
    momentum, rescale, clip = (ctypes.c_float(value) for value in (
        optimizer.momentum, optimizer.rescale_grad, optimizer.clip_gradient or float('inf')))
    for weight, gradient, state, rate, decay in zip(weights, gradients, states, optimizer._get_lrs(indices), optimizer._get_wds(indices)):
        function(ctypes.c_size_t(weight.size), _pointer(gradient), ctypes.c_float(rate), ctypes.c_float(decay), momentum, rescale, clip,
                 _pointer(weight), _pointer(state))


def _pointer(array):
    """Where the values of an NDArray lie; puts them into plain order first, where oneDNN has changed it."""
    pointer = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(pointer)))
    return pointer
