"""A trained model, ready to run on videos: what `dff.load` returns."""

import contextlib
from typing import Any, Iterable, Iterator, Optional, Sequence, Union

import numpy as np

from dff.boxes import best_detections
from dff.errors import ConfigError
from dff.frames import Frame, prepare
from dff.loop import key_frame_loop
from dff.onnx_networks import OnnxNetworks, open_networks
from dff.results import Detected, Segmented
from dff.schedule import Schedule, make_schedule
from dff.sources import open_frames, read_ahead


class Model:
    """Call it with a clip: it yields a Detected or a Segmented for each frame.

    Args:
        networks: OnnxNetworks.

    Attributes:
        recognises: 'detection' or 'segmentation'.
        classes: names by class id; of detection the background first.
        interval: frames from one key frame to the next, as the model was exported.
    """

    def __init__(self, networks: OnnxNetworks):
        about = networks.about
        self.networks, self.recognises, self.interval = (
            networks,
            about['recognises'],
            about['key_frame_interval'],
        )
        lines = about['classes']
        # A line of segmentation ends with the colour of its class.
        self.classes = (
            ['__background__'] + lines
            if self.recognises == 'detection'
            else [line.rsplit(' ', 3)[0] for line in lines]
        )
        self._policy, self._nms, self._most = (
            about['key_frame_policy'],
            about['nms'],
            about['max_per_image'],
        )

    def __call__(
        self,
        clip: Union[str, Iterable[np.ndarray]],
        interval: Optional[int] = None,
        thresh: float = 1e-3,
    ) -> Iterator[Any]:
        """Yield a Detected or Segmented for each frame.

        Args:
            clip: a video file, a folder of frames, or an iterable of BGR uint8 [H, W, 3] images.
            interval: frames from one key frame to the next; None: that of the model.
            thresh: lowest score of a detection.

        Raises DataError for a clip that cannot be read, ConfigError for a bad interval.
        """
        schedule = self._schedule(self.interval if interval is None else interval)
        images = open_frames(clip) if isinstance(clip, str) else clip
        return self._run(images, schedule, thresh)

    def _run(self, images, schedule, thresh):
        def detections(values: Any, frame: Frame):
            found, scores = values
            return best_detections(found, scores, thresh, self._nms, self._most)

        def labels(values: Any, frame: Frame):
            return values

        post_process, result = (
            (detections, Detected) if self.recognises == 'detection' else (labels, Segmented)
        )
        with contextlib.closing(
            read_ahead(prepare(image, self.networks.form) for image in images)
        ) as frames:
            yield from key_frame_loop(frames, schedule, self.networks, post_process, result)

    def _schedule(self, interval: int) -> Schedule:
        if not self.networks.propagates:
            return Schedule(1)
        if self._policy == 'flow':
            raise ConfigError(
                'this model chooses its key frames by the flow (TEST.KEY_FRAME_POLICY), '
                'which ONNX models do not measure; export it with '
                '--set TEST.KEY_FRAME_POLICY=fixed'
            )
        return make_schedule(self._policy, interval, 0.0)


def load(
    folder: str,
    threads: int = 0,
    providers: Sequence[str] = ('CPUExecutionProvider',),
    precision: str = 'float32',
) -> Model:
    """Return the Model in `folder`, which tools/export_model.py --format onnx wrote.

    Args:
        folder: with frame.onnx, or key.onnx and current.onnx.
        threads, providers: of onnxruntime, as of OnnxNetworks.
        precision: float32, or float16 or int8 where it was exported so too.

    Raises SetupError where onnxruntime is missing, CheckpointError where a file is missing or
    cannot be used.
    """
    return Model(open_networks(folder, threads, providers, precision))
