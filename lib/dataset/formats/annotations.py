"""Annotations: one XML file an image, as ImageNet VID and PASCAL VOC write them."""
import functools
import math
import os
from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from lib.dataset.formats.problems import ReportFunction, refuse
from dff.errors import DataError, shown
from dff.image import read_image
from lib.utils.parallel import process_map
from lib.utils.progress import progress_bar

# Below this many files one process is done before others have started (0.12 ms a file; threads are slower).
PARALLEL_FROM = 20000
MAX_SIDE = 2 ** 27           # pixels of an image as a whole
NAME_LENGTH = 100            # letters that are kept of the name of an unknown class, which is for messages only

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
    tracks: np.ndarray      # int32 [m]: the object of each box, equal for equal <trackid>; -1 where there is none

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
        name = (element.findtext('name') or '').strip()
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
        # Not expanding entities keeps a hostile file from filling the memory.
        return ElementTree.parse(source.xml, forbid_dtd=False).getroot()
    except FileNotFoundError:
        report('annotation missing', source.where, 'the annotation %s does not exist' % source.xml)
    except (ParseError, UnicodeDecodeError, LookupError, ValueError) as error:
        reason = 'entity definitions are not allowed' if isinstance(error, DefusedXmlException) else error
        report('annotation invalid', source.where, 'the annotation %s is not valid XML: %s' % (source.xml, reason))
    except OSError as error:
        report('annotation invalid', source.where, 'cannot read the annotation %s: %s' % (source.xml, error.strerror))
    return None


def _number(element, tag, index, source, report):
    text = element.findtext('bndbox/' + tag)
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
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


def read_annotations(sources: Sequence[Source], class_ids: Sequence[str], description: str,
                     workers: Optional[int] = None) -> AnnotationTable:
    """Parse annotations into an AnnotationTable, with a progress bar for many of them.

    Args:
        sources: of the images, at least one.
        class_ids: the ids by class index, background first.
        description: what stands beside the bar.
        workers: processes; by default one for less than PARALLEL_FROM files, else one a core, at
            most 8.

    Raises:
        DataError: for the first file that is missing or malformed.
    """
    indices = {identifier: i for i, identifier in enumerate(class_ids) if i}
    work = functools.partial(parse_indexed, indices)
    if workers is None:
        workers = 1 if len(sources) < PARALLEL_FROM else min(os.cpu_count() or 1, 8)
    with progress_bar(total=len(sources), desc=description, unit='file',
                      disable=len(sources) < 1000, leave=False) as bar:
        parsed = [_advance(bar, item) for item in process_map(work, sources, workers, chunksize=256)]
    return make_table(parsed)


def _advance(bar, item):
    bar.update()
    return item


def parse_indexed(indices: Dict[str, int], source: Source,
                  report: ReportFunction = refuse) -> Parsed:
    """Read one XML file as parse_annotation does and split its objects by whether their class is
    known.

    Args:
        indices: {class id: class index}.
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


def make_table(parsed: Sequence[Parsed]) -> AnnotationTable:
    """Return the AnnotationTable of what parse_indexed gave for each image, at least one."""
    columns: Any = zip(*parsed)
    heights, widths, boxes, classes, tracks, unknown = columns
    numbers = {'': -1}
    for group in tracks:
        for track in group:
            numbers.setdefault(track, len(numbers))
    names = Counter(name for group in unknown for name in group)
    flat: List[Tuple[float, ...]] = [box for group in boxes for box in group]
    return AnnotationTable(
        sizes=np.stack([heights, widths], axis=1).astype(np.int32),
        offsets=np.cumsum([0] + [len(group) for group in classes], dtype=np.int64),
        boxes=np.array(flat, dtype=np.float64).reshape(-1, 4),
        classes=np.array([c for group in classes for c in group], dtype=np.int32),
        unknown=np.array([len(group) for group in unknown], dtype=np.int32),
        unknown_names=dict(names.most_common()),
        tracks=np.array([numbers[track] for group in tracks for track in group], dtype=np.int32))


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
