"""Annotations: one XML file an image, as ImageNet VID and PASCAL VOC write them."""
import functools
import math
import os
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from lib.dataset.formats.classes import ClassList
from lib.dataset.formats.problems import ReportFunction, refuse
from lib.dataset.formats.xml_text import XMLError, parse_xml
from dff.errors import DataError, shown
from dff.image import read_image
from lib.utils.parallel import process_map
from lib.utils.progress import progress_bar

# Below this many files one process is done before others have started (0.12 ms a file; threads are slower).
PARALLEL_FROM = 20000
MAX_SIDE = 2 ** 27           # pixels of an image as a whole
NAME_LENGTH = 100            # letters that are kept of the name of an unknown class, which is for messages only

FARTHEST = 10 ** 6           # pixels of a corner; no picture is so large
Size = Tuple[int, int]       # height, width
# Of one image, by parse_indexed: height, width, boxes, class indices, track ids, names of unknown classes.
Parsed = Tuple[int, int, List[Tuple[float, ...]], List[int], List[str], List[str]]


class Source(NamedTuple):
    """Where the annotation of one image is, and who asks for it."""

    xml: str      # path of the annotation
    image: str    # path of the image, whose header tells the size where the XML does not
    where: str    # `image set, line n`, for messages


@dataclass
class AnnotationTable:
    """The annotations of many images as arrays; image i owns rows offsets[i]:offsets[i + 1] of
    boxes and classes.
    """

    sizes: np.ndarray       # int32 [n, 2]: height, width, pixels
    offsets: np.ndarray     # int64 [n + 1]
    boxes: np.ndarray       # float64 [m, 4]: x1 y1 x2 y2 as in the files, neither clipped nor filtered
    classes: np.ndarray     # int32 [m], from 1
    unknown: np.ndarray     # int32 [n]: objects whose class is not in the list
    unknown_names: Dict[str, int]   # those classes and how many objects each has
    # int32 [m]: the object of each box, equal for equal <trackid>; -1 where there is none
    tracks: np.ndarray
    # names taken for a class by ClassList.others: objects
    other_names: Dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sizes)

    def of(self, i: int) -> Tuple[np.ndarray, np.ndarray]:
        """Return (boxes, classes) of image `i`, views of the rows that it owns."""
        rows = slice(self.offsets[i], self.offsets[i + 1])
        return self.boxes[rows], self.classes[rows]


class AnnotatedObject(NamedTuple):
    """One <object>."""

    name: str      # its class id
    x1: float      # corners as in the file
    y1: float
    x2: float
    y2: float
    track: str     # its <trackid>; '' where there is none


def parse_annotation(source: Source, report: ReportFunction = refuse
                     ) -> Tuple[Optional[Size], List[AnnotatedObject]]:
    """Read one XML file: return ((height, width), objects).

    Only <name> and <bndbox> of each <object> are needed; a missing or empty <size> is taken from
    the image. report: what to do about a problem; by default the first raises DataError naming the
    file and the image-set line. Where it returns, what could not be read is None (the size), or
    left out (objects).
    """
    root = _parse_xml(source, report)
    if root is None:
        return None, []
    objects = []
    for index, element in enumerate(root.iter('object'), 1):
        name = ' '.join((element.findtext('name') or '').split())
        if not name:
            report('annotation invalid', source.where, 'object %d of %s has no <name>' % (index, source.xml))
            continue
        x1, y1, x2, y2 = (_number(element, tag, index, source, report) for tag in ('xmin', 'ymin', 'xmax', 'ymax'))
        if None not in (x1, y1, x2, y2):
            track = (element.findtext('trackid') or '').strip()
            objects.append(AnnotatedObject(name, x1, y1, x2, y2, track))
    return _size(root, source, report), objects


def _parse_xml(source, report):
    """The root element; None where there is no valid XML."""
    try:
        return parse_xml(source.xml)
    except FileNotFoundError:
        report('annotation missing', source.where, 'the annotation %s does not exist' % source.xml)
    except XMLError as error:
        report(
            'annotation invalid',
            source.where,
            'the annotation %s is not valid XML: %s' % (source.xml, error),
        )
    except OSError as error:
        report(
            'annotation invalid',
            source.where,
            'cannot read the annotation %s: %s' % (source.xml, error.strerror),
        )
    return None


def _number(element, tag, index, source, report):
    text = element.findtext('bndbox/' + tag)
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not abs(value) <= FARTHEST:
        report('annotation invalid', source.where,
               'object %d of %s: expected a number in <bndbox><%s>, found %s' % (index, source.xml, tag, shown(text)))
        return None
    return value


def _size(root, source, report):
    """(height, width) from <size>, else from the image."""
    try:
        height, width = int(root.findtext('size/height')), int(root.findtext('size/width'))
    except (TypeError, ValueError):
        height = width = 0
    if max(height, width) > MAX_SIDE:
        report('annotation invalid', source.where, '%s: a side of <size> has at most %d pixels, found %s x %s'
               % (source.xml, MAX_SIDE, shown(width), shown(height)))
        return None
    if height > 0 and width > 0:
        return height, width
    try:
        return read_image(source.image).shape[:2]
    except DataError as error:
        report('annotation invalid', source.where,
               '%s has no usable <size>, and so the image is needed: %s' % (source.xml, error))
        return None


def read_annotations(sources: Sequence[Source], classes: ClassList, description: str,
                     workers: Optional[int] = None) -> AnnotationTable:
    """Parse annotations into an AnnotationTable, with a progress bar for many of them.

    Args:
        sources: of the images, at least one.
        classes: those that are used.
        description: what stands beside the bar.
        workers: processes; by default one for less than PARALLEL_FROM files, else one a core, at
            most 8.

    Raises:
        DataError: for the first file that is missing or malformed.
    """
    work = functools.partial(parse_indexed, class_indices(classes))
    if workers is None:
        workers = 1 if len(sources) < PARALLEL_FROM else min(os.cpu_count() or 1, 8)
    with progress_bar(total=len(sources), desc=description, unit='file',
                      disable=len(sources) < 1000, leave=False) as bar:
        builder = TableBuilder()
        for parsed in process_map(work, sources, workers, chunksize=256):
            builder.add(parsed)
            bar.update()
    return builder.table(classes)


def class_indices(classes: ClassList) -> Dict[str, int]:
    """Return {name in annotations: class index}, the index negative for the other names of a
    class (ClassList.others)."""
    indices = {name: -index for name, index in classes.others.items()}
    indices.update((identifier, index) for index, identifier in enumerate(classes.ids) if index)
    return indices


def parse_indexed(indices: Dict[str, int], source: Source,
                  report: ReportFunction = refuse) -> Parsed:
    """Read one XML file as parse_annotation does and split its objects by whether their class is
    known.

    Args:
        indices: of class_indices.
        source: where the annotation is.
        report: as of parse_annotation.

    Returns:
        (height, width, boxes of known classes, their class indices, their track ids, class ids of
        the other objects); height and width are 0 where they are not known.
    """
    size, objects = parse_annotation(source, report)
    height, width = size or (0, 0)
    known = [o for o in objects if o.name in indices]
    return (height, width, [o[1:5] for o in known], [indices[o.name] for o in known],
            [o.track for o in known], [o.name[:NAME_LENGTH] for o in objects if o.name not in indices])


class TableBuilder:
    """An AnnotationTable in the making; it takes what parse_indexed gives for one image after the
    other.

    An object that has another name of a class is of that class, unless objects have the class's
    own id, too; then it is of an unknown one.
    """

    def __init__(self) -> None:
        # Arrays of machine numbers: as Python's objects they would take ten times the memory.
        self._sizes, self._lengths, self._boxes = array('i'), array('q'), array('d')
        self._classes, self._unknown, self._tracks = array('i'), array('i'), array('i')
        self._numbers: Dict[str, int] = {'': -1}
        self._names: "Counter[str]" = Counter()

    def add(self, parsed: Parsed) -> None:
        """Add the next image."""
        height, width, boxes, classes, tracks, unknown = parsed
        self._sizes.extend((height, width))
        self._lengths.append(len(classes))
        for box in boxes:
            self._boxes.extend(box)
        self._classes.extend(classes)
        numbers = self._numbers
        self._tracks.extend([numbers.setdefault(track, len(numbers)) for track in tracks])
        self._unknown.append(len(unknown))
        if unknown:
            self._names.update(unknown)

    def table(self, classes: ClassList) -> AnnotationTable:
        """Return the AnnotationTable of the images so far, at least one. classes: those that are
        used."""
        offsets = np.zeros(len(self._lengths) + 1, np.int64)
        np.cumsum(np.array(self._lengths, np.int64), out=offsets[1:])
        table = AnnotationTable(
            sizes=np.array(self._sizes, np.int32).reshape(-1, 2),
            offsets=offsets,
            boxes=np.array(self._boxes, np.float64).reshape(-1, 4),
            classes=np.array(self._classes, np.int32),
            unknown=np.array(self._unknown, np.int32),
            unknown_names=dict(self._names.most_common()),
            tracks=np.array(self._tracks, np.int32),
        )
        return _settle_other_names(table, classes) if (table.classes < 0).any() else table


def _settle_other_names(table: AnnotationTable, classes: ClassList) -> AnnotationTable:
    """The table without negative classes, which become positive, or unknown where the class's own
    id occurs."""
    labels, others = (
        {-index: name for name, index in classes.others.items()},
        table.classes[table.classes < 0],
    )
    own = np.isin(-table.classes, table.classes[table.classes > 0]) & (table.classes < 0)
    owners = np.repeat(np.arange(len(table)), np.diff(table.offsets))
    left = Counter(labels[c] for c in table.classes[own].tolist())
    counts = Counter(table.unknown_names)
    counts.update(left)
    unknown = table.unknown + np.bincount(owners[own], minlength=len(table)).astype(np.int32)
    kept = np.bincount(owners[~own], minlength=len(table))
    taken = Counter(labels[c] for c in others.tolist()) - left
    return AnnotationTable(
        table.sizes,
        np.concatenate([[0], np.cumsum(kept)]).astype(np.int64),
        table.boxes[~own],
        np.abs(table.classes[~own]),
        unknown,
        dict(counts.most_common()),
        table.tracks[~own],
        dict(taken),
    )


def clip_to_image(boxes: np.ndarray, height: int, width: int) -> Tuple[np.ndarray, np.ndarray, int]:
    """Clip boxes to an image.

    Args:
        boxes: float64 [n, 4], x1 y1 x2 y2 with inclusive corners.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        (float32 boxes [k, 4], bool [n] which were kept, how many clipping moved). A box that is
        empty, or lies wholly outside, is not kept.
    """
    x1, y1, x2, y2 = boxes.T
    kept = (x1 <= x2) & (y1 <= y2) & (x2 >= 0) & (y2 >= 0) & (x1 <= width - 1) & (y1 <= height - 1)
    limits = np.array([width - 1, height - 1, width - 1, height - 1], dtype=np.float64)
    clipped = np.clip(boxes[kept], 0, limits)
    moved = int((clipped != boxes[kept]).any(axis=1).sum())
    return clipped.astype(np.float32), kept, moved
