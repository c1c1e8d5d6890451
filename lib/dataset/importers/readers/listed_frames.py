"""Clips whose frames a file lists one by one, as image files."""
from typing import Callable, Dict, List, NamedTuple, Optional

from lib.dataset.importers.media import Images
from lib.dataset.importers.model import Box, Clip, Labels, Report


class Frame(NamedTuple):
    """A frame of a clip."""

    path: Optional[str]                                  # None where the file is missing
    boxes: Callable[[int, int], Optional[List[Box]]]     # (height, width) -> as Labels.boxes


def listed_clip(name: str, frames: Dict[int, Frame], part: Optional[str], report: Report
                ) -> Optional[Clip]:
    """Return the Clip of the frames whose images are there; None where none is.

    Args:
        name: of the clip.
        frames: by number.
        part: as of Clip.
        report: where to count the missing ones.
    """
    present = {number: frame.path for number, frame in sorted(frames.items()) if frame.path}
    if not frames:
        report.skip('clips: they list no images', name)
    elif len(present) < len(frames):
        report.skip('images: the file is missing', name, len(frames) - len(present))
    if not present:
        return None
    media = Images(list(present.values()), list(present))

    def boxes(number: int, height: int, width: int) -> Optional[List[Box]]:
        frame = frames.get(number)
        return frame.boxes(height, width) if frame else None
    return Clip(name, media, lambda: Labels(boxes, list(present)), part)
