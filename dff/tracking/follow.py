"""Track ids in the key/current loop."""
from typing import Optional

import numpy as np

from dff.frames import Frame
from dff.results import Detected
from dff.tracking.motion import STRIDE, box_displacements
from dff.tracking.tracker import Tracker


class Follower:
    """What dff.loop.key_frame_loop calls to give the detections of one clip their ids.

    Args:
        tracker: a Tracker.
        stride: pixels of the network's input for a cell of the flow.
    """

    def __init__(self, tracker: Tracker, stride: int = STRIDE):
        self._tracker, self._stride = tracker, stride

    def restart(self) -> None:
        """Forget the clip."""
        self._tracker.restart()

    def __call__(self, detections: np.ndarray, frame: Frame, begins: bool,
                 flow: Optional[np.ndarray], is_key: bool) -> np.ndarray:
        """Return the ids of a frame's detections.

        Args:
            detections: as of Tracker.update.
            frame: the Frame.
            begins: it is the first of an interval.
            flow: to its key frame, as of box_displacements; None where the networks gave none.
            is_key: it is the key frame, from which its boxes are nowhere moved; with `flow`, it
                became one since it followed that flow to the key frame before too badly.
        """
        displacement = np.zeros((len(detections), 2)) if is_key else None
        if flow is not None:
            displacement = box_displacements(detections[:, 2:6], flow, float(frame.im_info[0, 2]), self._stride)
        ids = self._tracker.update(detections, displacement, begins)
        if is_key and flow is not None:
            self._tracker.rebase()
        return ids


def only_above(result: Detected, thresh: float) -> Detected:
    """Return a tracked Detected without its detections of score `thresh` or less."""
    chosen = result.detections[:, 1] > np.float32(thresh)
    ids = None if result.track_ids is None else result.track_ids[chosen]
    return result._replace(detections=result.detections[chosen], track_ids=ids)
