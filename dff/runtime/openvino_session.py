"""The files of tools/export_model.py --format onnx, computed by OpenVINO."""
from typing import Any, Collection, Dict, Iterator, Optional, Sequence, Tuple

import numpy as np

from dff.errors import CheckpointError, SetupError
from dff.packages import needed
from dff.runtime.onnx_networks import OnnxNetworks, network_files

INSTALL = 'this backend needs', 'pip install openvino'
# A value may have other names, too: those of its parts, and in float16 of what casts it.
OUTPUTS = ('feature', 'embedding', 'query', 'sum', 'weight', 'flow', 'boxes', 'scores', 'class_map')
METADATA = 14           # the field of ModelProto with pairs of strings (onnx.proto)


class OpenVinoSession:
    """What dff.runtime.onnx_networks.OnnxNetworks asks of a session, as OnnxSession has it, by OpenVINO.

    Args:
        core: an openvino.Core.
        path: of an ONNX file.
        device: of OpenVINO.
        threads: of the CPU; 0: as it likes.

    Attributes inputs, metadata and provider: as of OnnxSession.

    Raises CheckpointError where the file cannot be used.
    """

    def __init__(self, core: Any, path: str, device: str, threads: int):
        # As in onnxruntime and MXNet: some CPUs and GPUs would round to 16 bits by themselves.
        settings: Dict[str, Any] = {'INFERENCE_PRECISION_HINT': 'f32'}
        if threads and device == 'CPU':
            settings['INFERENCE_NUM_THREADS'] = threads
        try:
            self._model = core.compile_model(core.read_model(path), device, settings)
            with open(path, 'rb') as stream:
                self.metadata = dict(metadata_pairs(stream.read()))
        except Exception as error:      # OpenVINO raises RuntimeError, whatever it is
            raise CheckpointError('%s cannot be used: %s' % (path, str(error).strip().splitlines()[-1])) from error
        self.provider = device
        names = [each.node.friendly_name for each in self._model.inputs]
        self.inputs = {name: tuple(axis.get_length() if axis.is_static else None for axis in each.partial_shape)
                       for name, each in zip(names, self._model.inputs)}
        self._outputs = [next(name for name in OUTPUTS if name in each.names) for each in self._model.outputs]
        self._tensor: Any = needed('openvino', *INSTALL).Tensor

    def place(self, array: np.ndarray) -> Any:
        """Return `array` as OpenVINO takes it, the same memory."""
        return self._tensor(np.ascontiguousarray(array), shared_memory=True)

    def run(self, feeds: Dict[str, Any], kept: Collection[str] = ()) -> Dict[str, Any]:
        """Return {output: array}, of those in `kept` what may be given to `run` again; feeds: {input: value
        of `place`, or an output that was kept}.
        """
        # A request for each call, so that threads do not share one, and what is kept stays as it is.
        request = self._model.create_infer_request()
        request.infer(feeds)
        found = {name: request.get_output_tensor(place) for place, name in enumerate(self._outputs)}
        return {name: value if name in kept else value.data.copy() for name, value in found.items()}


def open_sessions(folder: str, threads: int, devices: Optional[Sequence[str]],
                  precision: str = 'float32') -> Tuple[OnnxNetworks, str]:
    """Return (networks, the device that computes them) of an exported folder.

    Args:
        folder: with the files of dff.runtime.onnx_networks.NAMES.
        threads: as of OpenVinoSession.
        devices: of OpenVINO; the first that is here is used; None: the CPU.
        precision: of dff.runtime.onnx_networks.ENDINGS, of the files.

    Raises SetupError where OpenVINO or the device is missing, CheckpointError.
    """
    core: Any = needed('openvino', *INSTALL).Core()
    wanted = [devices] if isinstance(devices, str) else list(devices or ['CPU'])
    device = next((name for name in wanted if name in core.available_devices), None)
    if device is None:
        raise SetupError('OpenVINO has no device %s here; it has %s'
                         % (' or '.join(wanted), ', '.join(core.available_devices)))
    paths = network_files(folder, precision)
    return OnnxNetworks({name: OpenVinoSession(core, path, device, threads) for name, path in paths.items()}), device


def metadata_pairs(data: bytes) -> Iterator[Tuple[str, str]]:
    """Yield (key, value) of the metadata in an ONNX file, which OpenVINO does not hand out.

    data: the file. Raises IndexError, ValueError for other bytes.
    """
    for field, value in _fields(data):
        if field == METADATA:
            pair = dict(_fields(value))
            yield bytes(pair[1]).decode(), bytes(pair[2]).decode()


def _fields(data: Any) -> Iterator[Tuple[int, memoryview]]:
    """(number, content) of the fields of a protobuf message that have a length; others are skipped."""
    view, at = memoryview(data), 0
    while at < len(view):
        tag, at = _varint(view, at)
        kind = tag & 7
        if kind == 0:
            _, at = _varint(view, at)
        elif kind == 2:
            length, at = _varint(view, at)
            yield tag >> 3, view[at:at + length]
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError('not a protobuf message')


def _varint(view, at):
    value = shift = 0
    while True:
        byte = view[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
