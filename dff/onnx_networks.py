"""Networks that onnxruntime computes, from the files of tools/export_model.py --format onnx."""

import json
import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from dff.errors import CheckpointError, ConfigError, DataError, DFFError, SetupError
from dff.frames import Frame, InputFormat
from dff.networks import Outputs

NAMES = ('key', 'current'), ('frame',)  # the networks that a folder holds
# How their files' names end, by precision.
ENDINGS = {'float32': '.onnx', 'float16': '.float16.onnx', 'int8': '.int8.onnx'}


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
        found = self._run(self._key, self.feed(self._key, frame))
        feature = found.pop('feature', None)
        return Outputs(_values(found)), Key(frame.tensor, feature)

    def current(self, frame: Frame, state: Key) -> Outputs:
        """See dff.networks.Networks. Raises ValueError where there are no such networks."""
        if not self.propagates:
            raise ValueError('the frame baseline has no network for other frames than key frames')
        found = self._run('current', self.feed('current', frame, state))
        flow = found.pop('flow', None)
        return Outputs(_values(found), flow=None if flow is None else flow[0])

    def feed(self, name: str, frame: Frame, state: Optional[Key] = None) -> Dict[str, np.ndarray]:
        """Return {input: array} of a network.

        Args:
            name: 'key', 'current' or 'frame'.
            frame: a Frame.
            state: of its key frame, where the network is for other frames.

        Raises DataError where the model takes images of another size only.
        """
        inputs = self._sessions[name].get_inputs()
        wanted = next(each.shape for each in inputs if each.name == 'image')
        if any(
            isinstance(size, int) and size != own for size, own in zip(wanted, frame.tensor.shape)
        ):
            raise DataError(
                '%s.onnx was exported for images of %sx%s, this frame becomes one of %dx%d: '
                'export the model with another --size, or without one'
                % ((name,) + tuple(wanted[2:]) + frame.tensor.shape[2:])
            )
        given: Dict[str, Any] = {
            'image': frame.tensor,
            'scale': frame.im_info[0, 2:],
            'frame_size': np.array(frame.image.shape[:2], np.int64),
        }
        if state is not None:
            given.update(key_image=state.tensor, key_feature=state.feature)
        return {each.name: given[each.name] for each in inputs}

    def _run(self, name: str, feed: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """{output: array} of the network `name`."""
        session = self._sessions[name]
        try:
            found = session.run(None, feed)
        except DFFError:
            raise
        except Exception as error:  # onnxruntime has no class of errors of its own for this
            raise CheckpointError(
                'the network %s.onnx cannot be computed: it does not fit this frame or the other '
                'network of its folder; export the model again (%s)'
                % (name, str(error).splitlines()[0])
            ) from error
        return dict(zip((each.name for each in session.get_outputs()), found))


def open_networks(
    folder: str,
    threads: int = 0,
    providers: Sequence[str] = ('CPUExecutionProvider',),
    precision: str = 'float32',
) -> OnnxNetworks:
    """Return the OnnxNetworks of an exported folder, with their errors.

    Args:
        folder: that tools/export_model.py wrote.
        threads, providers: of onnxruntime, as of OnnxNetworks.
        precision: float16 or int8: the files of that, which --precision writes.
    """
    if precision not in ENDINGS:
        raise ConfigError(
            "there is no precision '%s'; choose from %s" % (precision, ', '.join(ENDINGS))
        )
    ending = ENDINGS[precision]
    for names in NAMES:
        paths = {name: os.path.join(folder, name + ending) for name in names}
        if all(os.path.isfile(path) for path in paths.values()):
            return OnnxNetworks(paths, threads, providers)
    raise CheckpointError(
        '%s holds neither frame%s nor key%s and current%s; write them with: '
        'python tools/export_model.py TASK --format onnx --precision %s --output FOLDER'
        % (folder, ending, ending, ending, precision)
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
