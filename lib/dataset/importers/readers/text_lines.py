"""Texts with a line an object, of an image or of a sequence: what VisDrone and KITTI share."""
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from lib.dataset.importers.media import Media
from lib.dataset.importers.model import Box, Clip, Labels, Options, Report
from lib.dataset.importers.numbering import Counted, origins


class Line(NamedTuple):
    """A line of a text."""

    place: str                 # file and line, for the report
    frame: int                 # 0 of an image
    track: Optional[int]
    values: List[str]          # without frame and track


Boxes = Callable[[Sequence[Line]], List[Box]]      # of the lines of an image or a frame


class Frames(NamedTuple):
    """A text of a sequence and its frames."""

    name: str
    media: Media
    lines: Dict[int, List[Line]]      # by frame
    part: Optional[str]


def by_frame(lines: Sequence[Line]) -> Dict[int, List[Line]]:
    """Return the `lines` of each frame."""
    frames: Dict[int, List[Line]] = {}
    for line in lines:
        frames.setdefault(line.frame, []).append(line)
    return frames


def image_labels(lines: Sequence[Line], boxes: Boxes) -> Callable[[int, int], List[Box]]:
    """Return a function boxes(height, width) of an image, as of Item.

    Args:
        lines: of the image.
        boxes: makes boxes of them.
    """
    return lambda height, width: boxes(lines)


def clips(sequences: Sequence[Frames], boxes: Boxes, usual: int, options: Options,
          report: Report) -> List[Clip]:
    """Return the Clip of each of `sequences`; a frame without lines has no object.

    Args:
        sequences: of one source.
        boxes: makes boxes of the lines of a frame.
        usual: the number that the format gives to the first frame.
        options: what the user asked for.
        report: where to note from which number frames are counted.
    """
    counted = [Counted(each.name, each.lines.keys(), each.media) for each in sequences]
    firsts = origins(counted, options.first_frame, usual, report)
    return [Clip(each.name, each.media, _opener(each.lines, first, boxes), each.part, origin=first)
            for each, first in zip(sequences, firsts)]


def _opener(lines: Dict[int, List[Line]], first: int, boxes: Boxes) -> Callable[[], Labels]:
    def open_labels() -> Labels:
        return Labels(lambda number, height, width: boxes(lines.get(number + first, ())),
                      [frame - first for frame in lines])
    return open_labels
