"""Networks in ONNX files of tools/export_model.py --format onnx, by onnxruntime or in its place OpenVINO."""

import json
import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dff.errors import CheckpointError, ConfigError, DataError, DFFError
from dff.frames import Frame, InputFormat
from dff.networks import Outputs
from dff.runtime.onnx_session import OnnxSession
from dff.runtime.onnx_window import OnnxWindow
from dff.tracking.motion import STRIDE

# The networks that a folder holds.
NAMES = ('key', 'current', 'between'), ('key', 'current'), ('frame',), ('feature', 'pair', 'joined')
KEPT = 'feature', 'embedding', 'query', 'sum', 'weight'  # outputs that stay on the device
# How their files' names end, by precision.
ENDINGS = {'float32': '.onnx', 'float16': '.float16.onnx', 'int8': '.int8.onnx'}


class Key(NamedTuple):
    """What other frames need of their key frame, on the device of the session."""

    image: Any
    feature: Any  # None of a frame baseline


class OnnxNetworks:
    """dff.networks.Networks, or dff.networks.Windows of files that join windows of frames.

    Of detection, `values` are boxes, [R, 4] or [R, classes, 4], and scores [R, classes]; of
    segmentation a class map, uint8 [H, W]; both in the frame's own pixels.

    Args:
        models: {'frame': path or bytes of the file}, {'key': ..., 'current': ...}, with 'between' for frames
            between two key frames, or {'feature': ..., 'pair': ..., 'joined': ...}; in place of a file may
            stand what answers as OnnxSession does.
        threads: of onnxruntime; 0: one for each core.
        providers: of onnxruntime, the best first.

    Attributes:
        about: what the files say of themselves: task, classes, means, scales, interval and so on.
        propagates: there is a network for frames that are no key frames.
        two_sided: there is one for frames between two key frames.
        aggregates: there are windows.
        form: InputFormat.

    Raises SetupError where onnxruntime is missing, CheckpointError where a file cannot be used.
    """

    def __init__(
        self,
        models: Mapping[str, Any],
        threads: int = 0,
        providers: Sequence[str] = ('CPUExecutionProvider',),
    ):
        self._sessions = {
            name: OnnxSession(name, model, threads, providers)
            if isinstance(model, (str, bytes))
            else model
            for name, model in models.items()
        }
        for name, session in self._sessions.items():
            found = session.metadata.get('network', name)
            if found != name:
                raise CheckpointError(
                    '%s.onnx is the network %.50s under another name: export the model again'
                    % (name, found)
                )
        self._key = next(name for name in ('key', 'feature', 'frame') if name in self._sessions)
        self.propagates, self.aggregates = self._key == 'key', self._key == 'feature'
        self.two_sided = 'between' in self._sessions
        self.about = _about(self._sessions[self._key].metadata)
        self.form = InputFormat(
            tuple(self.about['scales']), self.about['image_stride'], self.about['pixel_means']
        )

    def provider(self) -> str:
        """Return the provider of onnxruntime that computes, or the device of OpenVINO."""
        return self._sessions[self._key].provider

    def input_size(self) -> Optional[Tuple[int, int]]:
        """Return the one (height, width) that images must have; None where they are free."""
        size = self._sessions[self._key].inputs['image'][2:]
        return (size[0], size[1]) if all(isinstance(side, int) for side in size) else None

    def key(self, frame: Frame) -> Tuple[Outputs, Key]:
        """See dff.networks.Networks."""
        feeds = self.feed(self._key, frame)
        found = self.run(self._key, feeds)
        return Outputs(_values(found)), Key(feeds['image'], found.get('feature'))

    def current(self, frame: Frame, state: Key) -> Outputs:
        """See dff.networks.Networks. Raises ValueError where there are no such networks."""
        if not self.propagates:
            raise ValueError('the frame baseline has no network for other frames than key frames')
        return self._carried('current', self.feed('current', frame, state))

    def between(self, frame: Frame, state: Key, other: Key, share: float) -> Outputs:
        """See dff.networks.TwoSided; only where `two_sided`."""
        return self._carried('between', self.feed('between', frame, state, self.second(other, share)))

    def second(self, other: Key, share: float) -> Dict[str, Any]:
        """Return the inputs of the network between two key frames that come of the second one; other, share: as
        of `between`.
        """
        placed = self.place(np.array([share], np.float32))
        return {'other_image': other.image, 'other_feature': other.feature, 'other_share': placed}

    def _carried(self, name: str, feeds: Dict[str, Any]) -> Outputs:
        found = self.run(name, feeds)
        flow = found.pop('flow', None)
        return Outputs(_values(found), flow=None if flow is None else flow[0])

    def window(self, reach: int) -> OnnxWindow:
        """See dff.networks.Windows. Windows share nothing but the networks."""
        return OnnxWindow(self, reach)

    def feed(
        self,
        name: str,
        frame: Frame,
        state: Optional[Key] = None,
        more: Optional[Mapping[str, Any]] = None,
    ) -> Dict[str, Any]:
        """Return {input: value on the device} of a network; onnx_session.to_host makes arrays of them.

        Args:
            name: of a network.
            frame: a Frame.
            state: of its key frame; only the networks for other frames look at it.
            more: {input: value on the device}, of those that no frame has.

        Raises DataError where the model takes images of another size only.
        """
        session = self._sessions[name]
        wanted = tuple(session.inputs['image'])
        if any(
            isinstance(size, int) and size != own for size, own in zip(wanted, frame.tensor.shape)
        ):
            raise DataError(
                '%s.onnx was exported for images of %sx%s, this frame becomes one of %dx%d: '
                'export the model with another --size, or without one'
                % ((name,) + wanted[2:] + frame.tensor.shape[2:])
            )
        own = {
            'image': frame.tensor,
            'scale': frame.im_info[0, 2:],
            'frame_size': np.array(frame.image.shape[:2], np.int64),
        }
        left = dict(more or {})
        if state is not None:
            left.update(key_image=state.image, key_feature=state.feature)
        return {
            each: left[each] if each in left else session.place(own[each]) for each in session.inputs
        }

    def place(self, array: np.ndarray) -> Any:
        """Return `array` on the device."""
        return self._sessions[self._key].place(array)

    def run(self, name: str, feeds: Dict[str, Any]) -> Dict[str, Any]:
        """Return {output: array} of the network `name`; those in KEPT stay on the device.

        feeds: of `feed`. Raises CheckpointError where the network cannot be computed.
        """
        try:
            return self._sessions[name].run(feeds, kept=KEPT)
        except DFFError:
            raise
        except Exception as error:  # onnxruntime has no class of errors of its own for this
            raise CheckpointError(
                'the network %s.onnx cannot be computed: it does not fit this frame or the other '
                'network of its folder; export the model again (%s)'
                % (name, str(error).splitlines()[0])
            ) from error


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
    return OnnxNetworks(network_files(folder, precision), threads, providers)


def network_files(folder: str, precision: str = 'float32') -> Dict[str, str]:
    """Return {network: path} of an exported folder; folder, precision: as of open_networks.

    Raises ConfigError for an unknown precision, CheckpointError where files are missing.
    """
    if precision not in ENDINGS:
        raise ConfigError(
            "there is no precision '%s'; choose from %s" % (precision, ', '.join(ENDINGS))
        )
    ending = ENDINGS[precision]
    for names in NAMES:
        paths = {name: os.path.join(folder, name + ending) for name in names}
        if all(os.path.isfile(path) for path in paths.values()):
            return paths
    raise CheckpointError(
        '%s holds neither frame%s nor key%s and current%s, nor feature%s, pair%s and joined%s; write them with: '
        'python tools/export_model.py TASK --format onnx --precision %s --output FOLDER'
        % ((folder,) + 6 * (ending,) + (precision,))
    )


def _values(found: Dict[str, np.ndarray]) -> Any:
    return found['class_map'] if 'class_map' in found else (found['boxes'], found['scores'])


def _about(texts: Mapping[str, str]) -> Dict[str, Any]:
    """The metadata of a file; what is JSON there as what it stands for. Raises CheckpointError for
    a file of others.
    """
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
    # Files of before they could have another say nothing of it.
    stride = about.setdefault('feature_stride', STRIDE)
    if not isinstance(stride, int) or isinstance(stride, bool) or stride < 1:
        raise CheckpointError(
            'the metadata of this ONNX file have a feature_stride of %.50r, which is no number of pixels: '
            'export the model again' % (stride,)
        )
    return about
