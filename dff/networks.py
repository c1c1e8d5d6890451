"""What a pair of networks has to answer to run in the key/current loop, whichever engine computes them."""
from typing import Any, NamedTuple, Optional, Protocol, Tuple

import numpy as np

from dff.errors import ConfigError
from dff.frames import Frame

MOST_REACH = 2047      # K of a window: 2 K + 1 places are as many as the native operator joins


def checked_reach(reach: int) -> int:
    """Return `reach`, K of a window; ConfigError where no window is so large."""
    if reach > MOST_REACH:
        raise ConfigError('a window has at most %d frames to each side (TEST.KEY_FRAME_INTERVAL, --interval), found %d'
                          % (MOST_REACH, reach))
    return reach


class Outputs(NamedTuple):
    """What the networks hand out for a frame, in host memory."""

    values: Any                          # what the task makes its result of: of detection (rois, cls_prob, bbox_pred)
    # grey levels that the key frame's image, moved along the flow, is off; None: not measured
    mismatch: Optional[float] = None
    # float32 [2, h, w], cells of the feature map: what lies at (x, y) in this frame lies at
    # (x + flow[0], y + flow[1]) in its key frame; None: not handed out, or of a key frame
    flow: Optional[np.ndarray] = None


class Windowed(Protocol):
    """Networks that join the features of a window of frames for one of them (FGFA).

    The window is a ring of places, which are filled one after the other and then again.
    """

    def put(self, place: int, frame: Frame) -> None:
        """Compute the feature of `frame`, and keep it at `place`."""
        ...

    def repeat(self, place: int, source: int) -> None:
        """Keep at `place` the frame that is at `source`, too."""
        ...

    def join(self, place: int) -> Outputs:
        """Return the Outputs of the frame at `place`, from the features at all places, which have one size."""
        ...


class Windows(Protocol):
    """Networks that make windows."""

    def window(self, reach: int) -> Windowed:
        """Return an empty window of 2 `reach` + 1 places, for one clip."""
        ...


class Networks(Protocol):
    """A network for key frames and one for all others.

    Those with an attribute `joins_key_frames` that is true take a second argument of `key`, `before`: the state of the
    key frame before, of the same size, whose feature theirs is joined with; None: there is none. Those that have
    a method `between` can run with Schedule.both_sides.
    """

    def key(self, frame: Frame) -> Tuple[Outputs, Any]:
        """Run the deep network on `frame`. Return (Outputs, state): the state is what later frames need of this one."""
        ...

    def current(self, frame: Frame, state: Any) -> Outputs:
        """Run the light network on `frame`, with the `state` that `key` gave for its key frame, of the same size."""
        ...


class TwoSided(Networks, Protocol):
    """Networks that can take the features of two key frames."""

    def between(self, frame: Frame, state: Any, other: Any, share: float) -> Outputs:
        """Run the light network on `frame` with the features of the key frames on both sides of it.

        Args:
            frame: a Frame.
            state: of the key frame of its interval, to which Outputs.flow leads.
            other: of the key frame on the other side.
            share: by how much `other` counts by its distance in time, 0 to 1.
        """
        ...
