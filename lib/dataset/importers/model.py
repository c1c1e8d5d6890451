"""What an importer of a format hands over: clips, their images, their boxes."""
import collections
import copy
import math
from dataclasses import dataclass, field
from typing import Any, Callable, Counter, Dict, Iterable, List, NamedTuple, Optional, Tuple

from lib.dataset.importers.media import Images, Media
from lib.utils.registry import Registry

# read(src, options, report) -> Source, by the name of the format that it reads.
_PACKAGES = 'lib.dataset.importers.formats', 'lib.dataset.importers.masks.formats'
IMPORTERS = Registry('format', 'FORMAT', *_PACKAGES)
# What tells a format from others by its files' content, a Sign, by its name.
SIGNS = Registry('format', 'FORMAT', *_PACKAGES)
EXAMPLES = 3          # places that the summary names for each reason


class Sign(NamedTuple):
    """How a format is recognised."""

    looks_for: str                                  # in words
    find: Callable[[str], Optional[str]]            # data set -> the file that shows it, or None
    # The format that reads the boxes of the same files, if this one reads their outlines.
    boxes: Optional[str] = None


def recognises(name: str, looks_for: str, boxes: Optional[str] = None
               ) -> Callable[[Any], Any]:
    """Return a decorator of a function find(src) that returns the file by whose content the data
    set `src` is of a format, or None. A file that cannot be read may raise DataError.

    Args:
        name: of the format.
        looks_for: what the function looks for, in words.
        boxes: as of Sign.
    """
    def add(find: Callable[[str], Optional[str]]) -> Callable[[str], Optional[str]]:
        SIGNS.register(name)(Sign(looks_for, find, boxes))
        return find
    return add


class Box(NamedTuple):
    """A labelled object in one frame."""

    name: str                     # class, as the source names it
    x1: float                     # inclusive pixel corners from 0: a box w pixels wide has x2 = x1 + w - 1
    y1: float
    x2: float
    y2: float
    track: Optional[int] = None   # the same for one object in all frames of a clip; None: unknown
    occluded: bool = False
    generated: bool = False       # interpolated, not drawn by a person


class Labels(NamedTuple):
    """The labels of a clip."""

    # boxes(number, height, width) of the frame with that number: [] for no object, None for a frame
    # nobody labelled. Of a source of masks it gives a label map instead of boxes (masks/model.py).
    boxes: Callable[[int, int, int], Any]
    numbers: Iterable[int] = ()       # labelled frames, to tell which of them the clip turns out not to have


@dataclass
class Clip:
    """Frames that belong together, or a single still."""

    name: str                            # its folder in the new data set; for a still, its file
    media: Media                         # image files, or a video
    open_labels: Callable[[], Labels]    # called when the clip is written, so that one clip's labels are held at a time
    part: Optional[str] = None           # 'train', 'val' or 'test' where the source says so
    still: bool = False
    origin: int = 0    # what the annotations call the frame with the number 0 in `media`


class Item(NamedTuple):
    """An image of a source that knows images, not clips."""

    name: str                                             # path without extension
    path: Optional[str]                                   # the file; None where there is none (its video may be there)
    boxes: Callable[[int, int], Any]                      # (height, width) -> as Labels.boxes
    part: Optional[str] = None


@dataclass
class Source:
    """A whole data set of another format."""

    clips: List[Clip]
    classes: List[str]                   # class names in the source's order; those that are met but not listed follow
    # What writes it, where it has no boxes: write(folder, Import) -> (summary, frames by part).
    write: Optional[Callable[[str, 'Import'], Tuple[List[str], Counter[str]]]] = None
    # Colours of classes by name, where it states them.
    colours: Dict[str, Tuple[int, int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    frames: Optional[str] = None      # folder of images or videos, where they are not in the source
    clips: bool = False               # images are frames of clips, by their names
    # Number that a video's first frame has in the annotations; None: find out.
    first_frame: Optional[int] = None
    classes: List[str] = field(default_factory=list)       # the only ones to import, in this order; [] for all
    val: float = 0.2                  # share of the clips for validation
    val_clips: List[str] = field(default_factory=list)     # the clips for validation, by name
    # CLIP:FIRST-LAST each, stretches of clips for validation.
    val_frames: List[str] = field(default_factory=list)
    seed: int = 0                     # of the choice of clips
    per_clip: int = 15                # training frames listed of each clip; 0: all
    copy: bool = False                # copy JPEG files, do not link them
    force: bool = False               # replace an earlier import
    devices: int = 1                  # GPUs to train on; 0: the CPU
    small: bool = False               # settings of the embedded data set's network ...
    half: bool = False                # ... or of a ResNet-50 of half width; detection only
    # What pixels without class become, in masks: the class background, or ignored.
    unlabelled: str = 'background'

    @property
    def network(self) -> str:
        """Return which of the shipped settings the new ones are made from."""
        return 'half' if self.half else 'small' if self.small else 'original'


class Import(NamedTuple):
    """What is to be written."""

    source: Source
    clips: List[Clip]            # those of it to import, each for training or for validation
    src: str                     # where it was read
    dst: str                     # the folder that the data set will have
    options: Options
    report: 'Report'


class _Tally:
    """Things counted by reason, with the first places."""

    def __init__(self) -> None:
        self.count: Counter[str] = collections.Counter()
        self._places: Dict[str, List[str]] = collections.defaultdict(list)

    def add(self, reason: str, place: str, number: int) -> None:
        """Count `number` things of a `reason` at `place`."""
        self.count[reason] += number
        if len(self._places[reason]) < EXAMPLES and place not in self._places[reason]:
            self._places[reason].append(place)

    def lines(self) -> List[str]:
        """Return one line a reason, the most frequent first."""
        lines = []
        for reason, number in self.count.most_common():
            places = self._places[reason]
            lines.append('%d %s (%s%s)' % (number, reason, '; '.join(places), '; ...' if number > len(places) else ''))
        return lines


class Report:
    """What an import left out, changed, took for granted and cannot take, and why."""

    def __init__(self) -> None:
        self._skipped, self._changed, self._failed = _Tally(), _Tally(), _Tally()
        self._assumed: Dict[str, None] = {}
        self.parts = ''           # who said what is for validation

    def skip(self, reason: str, place: str, number: int = 1) -> None:
        """Count `number` things left out for `reason`, as in 'boxes: smaller than a pixel', at
        `place`.
        """
        self._skipped.add(reason, place, number)

    def change(self, what: str, place: str, number: int = 1) -> None:
        """Count `number` things that are not imported as they stand; `what` says how, `place`
        where.
        """
        self._changed.add(what, place, number)

    def fail(self, reason: str, place: str, number: int = 1) -> None:
        """Count `number` things at `place` for whose `reason` the import will fail, all told at
        once.
        """
        self._failed.add(reason, place, number)

    def assume(self, text: str) -> None:
        """Note what the source does not say and the import took for granted."""
        self._assumed[text] = None

    def state(self) -> Dict[str, Any]:
        """Return what was reported so far, for `restore`."""
        return copy.deepcopy(vars(self))

    def restore(self, state: Dict[str, Any]) -> None:
        """Forget what was reported since `state` was taken."""
        vars(self).update(state)

    @property
    def failures(self) -> List[str]:
        """What the import fails for, a line a reason."""
        return self._failed.lines()

    def lines(self) -> List[str]:
        """Return the lines of the summary: what was assumed, changed and left out."""
        return (['parts:      ' + self.parts] * bool(self.parts)
                + ['assumed:    ' + line for line in self._assumed]
                + ['changed:    ' + line for line in self._changed.lines()]
                + ['left out:   ' + line for line in self._skipped.lines()])


def number(value: Any) -> float:
    """Return `value` as a float; nan where it is no number. (The writer drops boxes with nan, and
    counts them.)
    """
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def whole(value: Any) -> Optional[int]:
    """Return `value` as an int where it is a whole number of 18 digits at most, else None."""
    value = number(value)
    return int(value) if math.isfinite(value) and value.is_integer() and abs(value) < 1e18 else None


def scales(declared: Tuple[Optional[int], ...], actual: Tuple[int, int], place: str,
           report: Report, what: str = 'boxes') -> Optional[Tuple[float, float]]:
    """Return by what (down, across) an annotation's coordinates are to be multiplied, as it was made
    on the same picture of another size; None where it is of another image.

    Args:
        declared, actual, place, report: as of fitted.
        what: is scaled, for messages.
    """
    height, width = declared
    if not height or not width or (height, width) == actual:
        return 1.0, 1.0
    down, across = actual[0] / height, actual[1] / width
    # Encoders round sides, to even numbers or to multiples of 8; with one side kept it is a border.
    rounding = 2 if 1 in (down, across) else 7
    if abs(height * across - actual[0]) > rounding or abs(down / across - 1) > 0.02:
        turned = abs(height / width - actual[1] / actual[0]) < 0.02
        report.fail(
            'images: their size is not the one that the annotation states, nor the same picture '
            'scaled, so its %s are of another image%s; give the images that were labelled, or '
            'take these '
            'out'
            % (what, ' (or of this one turned by 90 degrees)' if turned else ''),
            '%s: %sx%s instead of %dx%d' % (place, width, height, actual[1], actual[0]))
        return None
    report.change('frames: labelled at another size, their %s were scaled' % what,
                  '%s: from %dx%d to %dx%d' % (place, width, height, actual[1], actual[0]))
    return down, across


def fitted(boxes: List[Box], declared: Tuple[Optional[int], ...], actual: Tuple[int, int],
           place: str, report: Report) -> Optional[List[Box]]:
    """Return the boxes of an annotation in pixels of its image; None where it is of another image.

    Where the annotation was made on the same picture of another size, boxes are scaled.

    Args:
        boxes: of the annotation.
        declared: (height, width) that it states, each None or 0 where it does not: any image fits.
        actual: (height, width) of the image.
        place: where the annotation is, for the report.
        report: where to count what is scaled, and what does not fit, for which the import fails.
    """
    found = scales(declared, actual, place, report) if boxes else (1.0, 1.0)
    if found is None or found == (1.0, 1.0):
        return None if found is None else boxes
    down, across = found
    return [box._replace(x1=box.x1 * across, y1=box.y1 * down, x2=(box.x2 + 1) * across - 1,
                         y2=(box.y2 + 1) * down - 1) for box in boxes]


def still(item: Item, path: str) -> Clip:
    """Return a Clip of the one image of `item`, which is at `path`."""
    labels = Labels(lambda number, height, width: item.boxes(height, width))
    return Clip(item.name, Images([path]), lambda: labels, item.part, True)
