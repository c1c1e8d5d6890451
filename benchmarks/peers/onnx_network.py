"""The PyTorch networks in onnxruntime, float32 or int8 by its own static quantisation. Needs no MXNet."""
import os
import platform

import numpy as np


def in_onnxruntime(networks, inputs, frames, folder, threads):
    """Return {kind: callable}.

    Args:
        networks: {kind: nn.Module}.
        inputs: {kind: tensors to time}.
        frames: {kind: [tensors to calibrate int8 with]}; None: float32.
        folder: for the ONNX files, which are large.
        threads: of onnxruntime.

    Raises ImportError where a package is missing.
    """
    import onnx  # noqa: F401  torch.onnx and the quantisation need it
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    runners = {}
    for kind, network in networks.items():
        path = os.path.join(folder, '%s-%d.onnx' % (kind, os.getpid()))
        names = _write(network, inputs[kind], path)
        if frames is not None:
            path = _quantised(path, [dict(zip(names, map(_array, each))) for each in frames[kind]])
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        runners[kind] = _runner(session, dict(zip(names, map(_array, inputs[kind]))))
    return runners


def _runner(session, feed):
    return lambda: session.run(None, feed)


def _array(tensor):
    return np.ascontiguousarray(tensor.numpy())


def _write(network, inputs, path):
    """Write the ONNX file of a network; returns the names of its inputs."""
    import torch
    names = ['input%d' % place for place in range(len(inputs))]
    with torch.no_grad():
        # The exporter without `dynamo` needs no package beside onnx.
        torch.onnx.export(network, tuple(inputs), path, input_names=names, opset_version=17, dynamo=False)
    return names


def _quantised(path, feeds):
    """Write the int8 form of the file `path`, QDQ with a scale a filter; returns its path."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Feeds(CalibrationDataReader):
        """The frames, one after the other."""

        def __init__(self):
            self._feeds = iter(feeds)

        def get_next(self):
            """Return the next feed; None after the last."""
            return next(self._feeds, None)

    prepared, out = (path[:-len('onnx')] + ending for ending in ('prepared.onnx', 'int8.onnx'))
    # As onnxruntime advises: it quantises no convolution whose bias is a copy of another constant. Shapes are fixed.
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, out, Feeds(), quant_format=QuantFormat.QDQ, per_channel=True,
                    # Eight bits of both overflow the 16-bit sums of x86 processors without VNNI.
                    reduce_range=not has_vnni(), activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return out


def has_vnni():
    """Whether int8 products of this processor are summed in 32 bits at once."""
    if platform.machine() not in ('x86_64', 'AMD64'):
        return True
    with open('/proc/cpuinfo', encoding='utf-8') as stream:
        return any(line.startswith('flags') and '_vnni' in line for line in stream)
