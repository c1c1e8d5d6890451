"""What a segmentation data set hands to loaders and tests: labelled frames and the clips that they
stand in.
"""
from dataclasses import dataclass
from itertools import groupby
from typing import Iterable, List


@dataclass
class SegRecord:
    """One labelled frame."""

    image: str               # path of the frame
    label: str               # path of its label PNG, as large as the frame
    frames: List[str]        # paths of the clip's frames, in order: one list for its records; [image] for a still
    index: int               # place of `image` in `frames`
    flipped: bool = False    # frames and label are to be mirrored when they are read

    def flip(self) -> 'SegRecord':
        """Return the record of the mirrored frame."""
        return SegRecord(self.image, self.label, self.frames, self.index, not self.flipped)

    def frame_path(self, offset: int) -> str:
        """Return the path of the frame `offset` frames later (earlier below 0), clipped to the
        clip.
        """
        return self.frames[min(max(self.index + offset, 0), len(self.frames) - 1)]


@dataclass
class SegClip:
    """Consecutive frames, some of them labelled."""

    frames: List[str]          # paths, in order
    records: List[SegRecord]   # its labelled frames, in order


def group_clips(records: Iterable[SegRecord]) -> List[SegClip]:
    """Return the clips of `records` that stand in order: neighbours that share their `frames`
    belong together.
    """
    runs = (list(run) for _, run in groupby(records, key=lambda record: id(record.frames)))
    return [SegClip(run[0].frames, run) for run in runs]
