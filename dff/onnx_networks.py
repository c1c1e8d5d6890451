"""Networks that onnxruntime computes, from the files of tools/export_model.py --format onnx."""

import json
import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from dff.errors import CheckpointError, ConfigError, DataError, SetupError
from dff.frames import Frame, InputFormat
from dff.networks import Outputs

NAMES = ('key', 'current'), ('frame',)  # the networks that a folder holds


class Key(NamedTuple):
    """What other frames need of their key frame."""

    tensor: np.ndarray
    feature: Optional[np.ndarray]  # None of a frame baseline


class OnnxNetworks:
    """dff.networks.Networks.

    Of detection, `values` are boxes, [R, 4] or [R, classes, 4], and scores [R, classes]; of
    segmentation a class map, uint8 [H, W]; both in the frame's own pixels.

    Args:
        models: {'frame': path or bytes of the file}, or {'key': ..., 'current': ...}; in their place
            may stand what answers as onnxruntime.InferenceSession does.
        threads: of onnxruntime; 0: one for each core.
        providers: of onnxruntime, the best first.

    Attribute: about, what the files say of themselves: task, classes, means, scales, interval and
        so on.

    Raises SetupError where onnxruntime is missing, CheckpointError where a file cannot be used.
    """

    def __init__(
        self,
        models: Mapping[str, Any],
        threads: int = 0,
        providers: Sequence[str] = ('CPUExecutionProvider',),
    ):
        self._sessions = {
            name: _session(name, model, threads, providers)
            if isinstance(model, (str, bytes))
            else model
            for name, model in models.items()
        }
        self._key = 'key' if 'key' in self._sessions else 'frame'
        self.propagates = self._key == 'key'
        self.about = _about(self._sessions[self._key])
        self.form = InputFormat(
            tuple(self.about['scales']), self.about['image_stride'], self.about['pixel_means']
        )

    def providers(self) -> Sequence[str]:
        """Return the providers that onnxruntime uses, the first first: one that fails to start is
        left out by it.
        """
        return self._sessions[self._key].get_providers()

    def key(self, frame: Frame) -> Tuple[Outputs, Key]:
        """See dff.networks.Networks."""
        found = self._run(self._key, frame, {})
        feature = found.pop('feature', None)
        return Outputs(_values(found)), Key(frame.tensor, feature)

    def current(self, frame: Frame, state: Key) -> Outputs:
        """See dff.networks.Networks. Raises ValueError where there are no such networks."""
        if not self.propagates:
            raise ValueError('the frame baseline has no network for other frames than key frames')
        found = self._run(
            'current', frame, {'key_image': state.tensor, 'key_feature': state.feature}
        )
        flow = found.pop('flow', None)
        return Outputs(_values(found), flow=None if flow is None else flow[0])

    def _run(self, name: str, frame: Frame, more: Dict[str, Any]) -> Dict[str, np.ndarray]:
        """{output: array} of the network `name`; more: inputs beside those of every frame."""
        session = self._sessions[name]
        given = dict(
            more,
            image=frame.tensor,
            scale=frame.im_info[0, 2:],
            frame_size=np.array(frame.image.shape[:2], np.int64),
        )
        inputs = session.get_inputs()
        wanted = next(each.shape for each in inputs if each.name == 'image')
        for size, own in zip(wanted, frame.tensor.shape):
            if isinstance(size, int) and size != own:
                raise DataError(
                    '%s.onnx was exported for images of %sx%s, this frame becomes one of %dx%d: '
                    'export the model with '
                    'another --size, or without one'
                    % ((name,) + tuple(wanted[2:]) + frame.tensor.shape[2:])
                )
        found = session.run(None, {each.name: given[each.name] for each in inputs})
        return dict(zip((each.name for each in session.get_outputs()), found))


def open_networks(
    folder: str, threads: int = 0, providers: Sequence[str] = ('CPUExecutionProvider',)
) -> OnnxNetworks:
    """Return the OnnxNetworks of an exported folder; threads, providers: as there. Raises its
    errors.
    """
    for names in NAMES:
        paths = {name: os.path.join(folder, name + '.onnx') for name in names}
        if all(os.path.isfile(path) for path in paths.values()):
            return OnnxNetworks(paths, threads, providers)
    raise CheckpointError(
        '%s holds neither frame.onnx nor key.onnx and current.onnx; write them with: '
        'python tools/export_model.py TASK --format onnx --output FOLDER' % folder
    )


def _values(found: Dict[str, np.ndarray]) -> Any:
    return found['class_map'] if 'class_map' in found else (found['boxes'], found['scores'])


def _session(name: str, model: Union[str, bytes], threads: int, providers: Sequence[str]) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise SetupError(
            'running ONNX models needs onnxruntime (%s); install it with: pip install onnxruntime'
            % error
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    missing = [each for each in providers if each not in onnxruntime.get_available_providers()]
    if missing:
        raise ConfigError(
            'onnxruntime has no provider %s here; it has %s'
            % (missing[0], ', '.join(onnxruntime.get_available_providers()))
        )
    try:
        return onnxruntime.InferenceSession(model, options, providers=list(providers))
    except Exception as error:  # onnxruntime has no class of errors of its own for this
        raise CheckpointError(
            '%s cannot be used: %s'
            % (model if isinstance(model, str) else name + '.onnx', str(error).splitlines()[0])
        ) from error


def _about(session: Any) -> Dict[str, Any]:
    """The metadata of a file; what is JSON there as what it stands for. Raises CheckpointError for
    a file of others.
    """
    texts = session.get_modelmeta().custom_metadata_map
    about = {}
    for key, text in texts.items():
        try:
            about[key] = json.loads(text)
        except ValueError:
            about[key] = text
    missing = [
        key
        for key in (
            'recognises',
            'classes',
            'scales',
            'image_stride',
            'pixel_means',
            'key_frame_interval',
            'key_frame_policy',
            'nms',
            'max_per_image',
        )
        if key not in about
    ]
    if missing:
        raise CheckpointError(
            'this ONNX file is none of this project: its metadata has no %s' % missing[0]
        )
    return about
