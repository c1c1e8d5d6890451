"""What a data set hands to the loaders: labelled images and clips."""
from dataclasses import dataclass
from typing import Optional

import numpy as np


@dataclass
class Record:
    """One labelled image. Slots, because ImageNet VID + DET has more than 200,000 with flips."""

    __slots__ = ('image', 'height', 'width', 'boxes', 'gt_classes', 'flipped', 'pattern', 'frame_id',
                 'clip_length', 'why_empty')

    image: str               # path of the image file
    height: int              # pixels
    width: int
    boxes: np.ndarray        # float32 [n, 4]: x1 y1 x2 y2, inclusive pixel corners from 0, inside the image
    gt_classes: np.ndarray   # int32 [n], from 1
    flipped: bool            # boxes are mirrored already; the image must be mirrored when it is read
    pattern: Optional[str]   # path of the clip's frames with one %06d; None for a still image
    frame_id: int            # this frame's place in the clip, from 0
    clip_length: int         # frames of the clip; 1 for a still image
    why_empty: str           # why no box is left; '' where there are boxes

    def flip(self) -> 'Record':
        """Return the record of the mirrored image: x1' = width - 1 - x2."""
        boxes = self.boxes.copy()
        boxes[:, 0] = self.width - 1 - self.boxes[:, 2]
        boxes[:, 2] = self.width - 1 - self.boxes[:, 0]
        return Record(self.image, self.height, self.width, boxes, self.gt_classes, not self.flipped,
                      self.pattern, self.frame_id, self.clip_length, self.why_empty)

    def frame_path(self, frame_id: int) -> str:
        """Return the path of another frame of the same clip; of the image itself for a still."""
        return self.image if self.pattern is None else frame_path(self.pattern, frame_id)


@dataclass
class Clip:
    """Consecutive frames to detect in, in order."""

    name: str            # folder of the clip below Data/VID
    pattern: str         # path of its frames with one %06d
    first_number: int    # number of the first frame in detection files; the next has one more
    length: int          # frames
    first_frame: int = 0  # what %06d is for the first frame

    def frame_path(self, index: int) -> str:
        """Return the path of the frame at `index`, 0 <= index < length."""
        return frame_path(self.pattern, self.first_frame + index)


def frame_path(pattern: str, frame_id: int) -> str:
    """Return `pattern`, a clip's, with its last %06d filled by `frame_id`; folders may hold other
    percent signs.
    """
    head, tail = pattern.rsplit('%06d', 1)
    return '%s%06d%s' % (head, frame_id, tail)
