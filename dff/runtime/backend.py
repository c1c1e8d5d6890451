"""What a trained model is to those who run it, whichever engine computes it."""
import threading
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dff.errors import DFFError
from dff.frames import Frame, InputFormat
from dff.labels import default_palette
from dff.networks import Outputs, Windowed
from dff.tracking.clip_boxes import select
from dff.tracking.motion import STRIDE


class About(NamedTuple):
    """What a model says of itself."""

    recognises: str                    # detection or segmentation
    classes: List[str]                 # by class id; of detection the background first
    palette: Optional[np.ndarray]      # of segmentation, uint8 [n, 3] RGB
    propagates: bool                   # it has key frames and others; False: every frame is a key frame
    interval: int                      # frames from one key frame to the next; where it aggregates, K
    policy: str                        # of dff.schedule.POLICIES
    mismatch: Optional[float]          # of the policy flow, grey levels; None: it measures none
    two_sided: bool = False            # it can take the features of two key frames (the policy both)
    stride: int = STRIDE               # pixels of the network's input for a cell of its flow
    aggregates: bool = False           # the features of a window of frames are joined (FGFA); it has no key frames


class ClipRules(NamedTuple):
    """How a detector's results are made at a clip's end, with Seq-NMS."""

    # (values of Outputs, Frame, lowest score) -> boxes before NMS [n, 6], as of dff.boxes.boxes_before_nms
    before_nms: Callable[[Any, Frame, float], np.ndarray]
    rescore: str                       # of dff.tracking.seq_nms.RESCORE
    nms: float                         # a box goes when a better one of its class overlaps it by more
    max_per_image: int                 # detections of a frame; 0: all
    select: Callable = select          # as dff.tracking.clip_boxes.select, of two arguments


class Backend(NamedTuple):
    """A model in an engine, ready to run."""

    about: About
    networks: Any                      # dff.networks.Networks; where it aggregates, Windows
    form: InputFormat
    # (values of Outputs, Frame, lowest score) -> detections [n, 6]; of segmentation -> uint8 [H, W]
    post_process: Callable[[Any, Frame, float], np.ndarray]
    engine: str                        # what computes it, in words
    clip_rules: Optional[ClipRules] = None     # None: of segmentation


def class_lines(recognises: str, lines: Sequence[str]) -> Tuple[List[str], Optional[np.ndarray]]:
    """Return (names by class id, palette or None) of the classes that an exported model lists.

    recognises: detection or segmentation, whose lines are `name red green blue`.
    lines: the list.
    """
    if recognises == 'detection':
        return ['__background__', *lines], None
    words = [line.rsplit(None, 3) for line in lines]
    if all(len(each) == 4 for each in words):
        return [each[0] for each in words], np.array([each[1:] for each in words], int).astype(np.uint8)
    return list(lines), default_palette(len(lines))


class OneThread:
    """Networks that keep state of their own, and say so when a second thread calls them.

    Args:
        networks: to run.
        engine: their name in the message.
    """

    def __init__(self, networks: Any, engine: str):
        self._networks, self._engine = networks, engine
        self.clip: Any = None      # the _OneClip that the networks' window holds
        self.joins_key_frames = getattr(networks, 'joins_key_frames', False)
        self._owner: Optional[int] = None

    def key(self, frame: Frame, *before: Any) -> Tuple[Outputs, Any]:
        """See dff.networks.Networks."""
        self.check()
        return self._networks.key(frame, *before)

    def current(self, frame: Frame, state: Any) -> Outputs:
        """See dff.networks.Networks."""
        self.check()
        return self._networks.current(frame, state)

    def between(self, frame: Frame, state: Any, other: Any, share: float) -> Outputs:
        """See dff.networks.TwoSided."""
        self.check()
        return self._networks.between(frame, state, other, share)      # type: ignore[attr-defined]

    def window(self, reach: int) -> Windowed:
        """See dff.networks.Windows."""
        return _OneClip(self, self._networks.window(reach), self._engine)

    def check(self) -> None:
        """Raise DFFError in another thread than the first call's."""
        here = threading.get_ident()
        if self._owner is None:
            self._owner = here
        if self._owner != here:
            raise DFFError('a model in %s runs in one thread, that of its first frame: load another '
                           'one in this thread, or export it to ONNX and name backend="onnxruntime"' % self._engine)


class _OneClip:
    """A window of networks that have one, for all clips in turn; dff.networks.Windowed.

    Args:
        owner: OneThread.
        window: Windowed.
        engine: its name in the message.
    """

    def __init__(self, owner: OneThread, window: Windowed, engine: str):
        self._owner, self._window, self._engine, self._begun = owner, window, engine, False

    def put(self, place: int, frame: Frame) -> None:
        """See dff.networks.Windowed."""
        self._check()
        self._window.put(place, frame)

    def repeat(self, place: int, source: int) -> None:
        """See dff.networks.Windowed."""
        self._check()
        self._window.repeat(place, source)

    def join(self, place: int) -> Outputs:
        """See dff.networks.Windowed."""
        self._check()
        return self._window.join(place)

    def _check(self):
        self._owner.check()
        if not self._begun:
            self._begun, self._owner.clip = True, self
        if self._owner.clip is not self:
            raise DFFError('a model in %s has one window of frames, which another clip has taken: run one clip to its '
                           'end, load the model twice, or export it to ONNX' % self._engine)
