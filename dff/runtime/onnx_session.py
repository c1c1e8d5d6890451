"""A network that onnxruntime computes; what one run leaves for the next stays on the device."""

from typing import Any, Collection, Dict, Sequence, Tuple, Union

import numpy as np

from dff.errors import CheckpointError, ConfigError
from dff.packages import needed

INSTALL = 'running ONNX models needs', 'pip install onnxruntime'
# Where the values of a provider lie; all others take and give memory of the host.
DEVICES = {'CUDAExecutionProvider': 'cuda', 'TensorrtExecutionProvider': 'cuda'}


def import_onnxruntime() -> Any:
    """Return the module onnxruntime. Raises SetupError."""
    return needed('onnxruntime', *INSTALL)


class OnnxSession:
    """What dff.runtime.onnx_networks.OnnxNetworks asks of a session. Threads may share it.

    Args:
        name: of the network, for messages.
        model: path or bytes of an ONNX file.
        threads: of onnxruntime; 0: one for each core.
        providers: of onnxruntime, the best first.

    Attributes:
        inputs: {name: shape}; the length of an axis that changes is no int.
        metadata: {key: text} of the file.
        provider: that computes; one that fails to start is left out by onnxruntime.

    Raises SetupError where onnxruntime is missing, ConfigError where a provider is,
    CheckpointError where the file cannot be used.
    """

    def __init__(
        self, name: str, model: Union[str, bytes], threads: int, providers: Sequence[str]
    ):
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        here = runtime.get_available_providers()
        missing = [each for each in providers if each not in here]
        if missing:
            raise ConfigError(
                'onnxruntime has no provider %s here; it has %s' % (missing[0], ', '.join(here))
            )
        try:
            session = runtime.InferenceSession(model, options, providers=list(providers))
        except Exception as error:  # onnxruntime has no class of errors of its own for this
            raise CheckpointError(
                '%s cannot be used: %s'
                % (model if isinstance(model, str) else name + '.onnx', str(error).splitlines()[0])
            ) from error
        self._session, self._place = session, runtime.OrtValue.ortvalue_from_numpy
        self.inputs: Dict[str, Tuple] = {each.name: each.shape for each in session.get_inputs()}
        self._outputs = [each.name for each in session.get_outputs()]
        self.metadata: Dict[str, str] = session.get_modelmeta().custom_metadata_map
        self.provider: str = session.get_providers()[0]
        self._device = DEVICES.get(self.provider, 'cpu')

    def place(self, array: np.ndarray) -> Any:
        """Return `array` on the device, to be given to `run`; on the CPU it is the same memory."""
        return self._place(np.ascontiguousarray(array), self._device, 0)

    def run(self, feeds: Dict[str, Any], kept: Collection[str] = ()) -> Dict[str, Any]:
        """Return {output: array}.

        Args:
            feeds: {input: what `place` returned, or an output that was kept}.
            kept: outputs that stay on the device, to be given to `run` of this or another session.
        """
        binding = self._session.io_binding()
        for name, value in feeds.items():
            binding.bind_ortvalue_input(name, value)
        for name in self._outputs:
            binding.bind_output(name, self._device if name in kept else 'cpu', 0)
        self._session.run_with_iobinding(binding)
        return {
            name: value if name in kept else value.numpy()
            for name, value in zip(self._outputs, binding.get_outputs())
        }


def to_host(value: Any) -> np.ndarray:
    """Return as an array of its own what `place` or `run` of a session left on its device."""
    # What onnxruntime returns may be the memory that was placed, which is free once `value` is gone.
    return np.array(value.numpy())
