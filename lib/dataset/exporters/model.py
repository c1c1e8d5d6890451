"""What an exporter of a format is given: a clip, its frames, what was detected in them."""
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from lib.utils.registry import Registry

# write(clip, folder) fills the empty folder, by the name of the format that it writes.
EXPORTERS = Registry('format', '--format', 'lib.dataset.exporters.formats')


class Detection(NamedTuple):
    """An object in one frame."""

    name: str                    # class
    score: float
    x1: float                    # inclusive pixel corners from 0
    y1: float
    x2: float
    y2: float
    track: Optional[int]         # from 1; None: not tracked

    @property
    def edges(self) -> Tuple[float, float, float, float]:
        """Left, top, right and bottom edge of the pixels: the right one lies behind the last."""
        return self.x1, self.y1, self.x2 + 1, self.y2 + 1


class Frame(NamedTuple):
    """A frame that the detector has seen."""

    position: int                # place in the clip, from 0
    number: int                  # in its file's name where all have rising ones, else position
    file: str                    # the name of its image; of a frame of a video, that it would have
    image: str                   # the image as a path from DST, forward slashes
    height: int
    width: int
    detections: List[Detection]


@dataclass(frozen=True)
class ExportedClip:
    """A clip and what was detected in it."""

    name: str
    source: Optional[str]        # the video's file name; None for a folder of images
    first: int                   # number of the first frame, seen or not
    length: int                  # frames of the clip, seen by the detector or not
    rate: float                  # frames a second
    classes: List[str]           # without background
    frames: List[Frame]          # by rising position; at least one
    write_images: Callable[[str], None]     # has those of a video in a folder; else does nothing

    def tracks(self) -> List['Track']:
        """Return the objects through time, by number.

        What was not tracked, and what changes its class, gets numbers behind all others.
        """
        known = [box.track for frame in self.frames for box in frame.detections if box.track]
        following = max(known, default=0) + 1
        found: Dict[Tuple[Optional[int], str], Track] = {}
        taken = set()
        for frame, box in self.boxes():
            key = (box.track, box.name) if box.track else (None, str(following))
            if key not in found:
                number = box.track
                if number is None or number in taken:
                    number, following = following, following + 1
                taken.add(number)
                found[key] = Track(number, box.name, [])
            found[key].boxes.append((frame, box))
        return sorted(found.values(), key=lambda track: track.number)

    def boxes(self) -> Iterator[Tuple[Frame, Detection]]:
        """Yield (frame, detection) for all detections, frame by frame."""
        for frame in self.frames:
            for box in frame.detections:
                yield frame, box


class Track(NamedTuple):
    """An object through time."""

    number: int
    name: str                    # class
    boxes: List[Tuple[Frame, Detection]]
