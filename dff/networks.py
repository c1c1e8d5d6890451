"""What a pair of networks has to answer to run in the key/current loop, whichever engine computes them."""
from typing import Any, NamedTuple, Optional, Protocol, Tuple

import numpy as np

from dff.frames import Frame


class Outputs(NamedTuple):
    """What the networks hand out for a frame, in host memory."""

    values: Any                          # what the task makes its result of: of detection (rois, cls_prob, bbox_pred)
    # grey levels that the key frame's image, moved along the flow, is off; None: not measured
    mismatch: Optional[float] = None
    # float32 [2, h, w], cells of the feature map: what lies at (x, y) in this frame lies at
    # (x + flow[0], y + flow[1]) in its key frame; None: not handed out, or of a key frame
    flow: Optional[np.ndarray] = None


class Networks(Protocol):
    """A network for key frames and one for all others."""

    def key(self, frame: Frame) -> Tuple[Outputs, Any]:
        """Run the deep network on `frame`. Return (Outputs, state): the state is what later frames need of this one."""
        ...

    def current(self, frame: Frame, state: Any) -> Outputs:
        """Run the light network on `frame`, with the `state` that `key` gave for its key frame, of the same size."""
        ...
