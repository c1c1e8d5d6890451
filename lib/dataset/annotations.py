"""Annotations: one XML file an image, as ImageNet VID and PASCAL VOC write them."""
import functools
import math
import os
from collections import Counter
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Tuple
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from lib.utils.errors import DataError
from lib.utils.image import read_image
from lib.utils.parallel import process_map
from lib.utils.progress import progress_bar

# Below this many files one process is done before others have started (0.12 ms a file; threads are slower).
PARALLEL_FROM = 20000


class Source(NamedTuple):
    """Where the annotation of one image is, and who asks for it."""

    xml: str      # path of the annotation
    image: str    # path of the image, whose header tells the size where the XML does not
    where: str    # `image set, line n`, for messages


@dataclass
class AnnotationTable:
    """The annotations of many images as arrays; image i owns rows offsets[i]:offsets[i + 1] of boxes and classes."""

    sizes: np.ndarray       # int32 [n, 2]: height, width, pixels
    offsets: np.ndarray     # int64 [n + 1]
    boxes: np.ndarray       # float64 [m, 4]: x1 y1 x2 y2 as in the files, neither clipped nor filtered
    classes: np.ndarray     # int32 [m], from 1
    unknown: np.ndarray     # int32 [n]: objects whose class is not in the list
    unknown_names: Dict[str, int]   # those classes and how many objects each has

    def __len__(self):
        return len(self.sizes)

    def of(self, i):
        """(boxes, classes) of image i."""
        rows = slice(self.offsets[i], self.offsets[i + 1])
        return self.boxes[rows], self.classes[rows]


def parse_annotation(source):
    """Read one XML file: ((height, width), [(class id, x1, y1, x2, y2), ...]).

    Only <name> and <bndbox> of each <object> are needed; a missing or empty <size> is taken from the image.
    Raises DataError naming the file and the image-set line.
    """
    try:
        # Not expanding entities keeps a hostile file from filling the memory.
        root = ElementTree.parse(source.xml, forbid_dtd=False).getroot()
    except FileNotFoundError:
        raise DataError('%s: the annotation %s does not exist' % (source.where, source.xml)) from None
    except (ParseError, UnicodeDecodeError, LookupError, ValueError) as error:
        reason = 'entity definitions are not allowed' if isinstance(error, DefusedXmlException) else error
        raise DataError('%s: the annotation %s is not valid XML: %s' % (source.where, source.xml, reason)) from None
    except OSError as error:
        raise DataError('%s: cannot read the annotation %s: %s' % (source.where, source.xml, error.strerror)) from None
    objects = []
    for index, element in enumerate(root.iter('object'), 1):
        name = (element.findtext('name') or '').strip()
        if not name:
            raise DataError('%s: object %d of %s has no <name>' % (source.where, index, source.xml))
        objects.append((name,) + tuple(_number(element, tag, index, source) for tag in ('xmin', 'ymin', 'xmax', 'ymax')))
    return _size(root, source), objects


def _number(element, tag, index, source):
    text = element.findtext('bndbox/' + tag)
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise DataError('%s: object %d of %s: expected a number in <bndbox><%s>, found %r' % (source.where, index, source.xml, tag, text))
    return value


def _size(root, source):
    """(height, width) from <size>, else from the image."""
    try:
        height, width = int(root.findtext('size/height')), int(root.findtext('size/width'))
    except (TypeError, ValueError):
        height = width = 0
    if height > 0 and width > 0:
        return height, width
    try:
        return read_image(source.image).shape[:2]
    except DataError as error:
        raise DataError('%s: %s has no usable <size>, and so the image is needed: %s' % (source.where, source.xml, error)) from None


def read_annotations(sources, class_ids, description, workers=None):
    """Parse the annotations of `sources` ([Source]) into an AnnotationTable, with a progress bar.

    class_ids: the ids by class index, background first. workers: processes, by default one a core for many files.
    Raises DataError for the first file that is missing or malformed.
    """
    indices = {identifier: i for i, identifier in enumerate(class_ids) if i}
    work = functools.partial(_parse_indexed, indices)
    if workers is None:
        workers = 1 if len(sources) < PARALLEL_FROM else min(os.cpu_count() or 1, 8)
    with progress_bar(total=len(sources), desc=description, unit='file', disable=len(sources) < 1000, leave=False) as bar:
        parsed = [_advance(bar, item) for item in process_map(work, sources, workers, chunksize=256)]
    return _table(parsed)


def _advance(bar, item):
    bar.update()
    return item


def _parse_indexed(indices, source):
    """(height, width, boxes of known classes, their class indices, names of the others)."""
    (height, width), objects = parse_annotation(source)
    known = [o for o in objects if o[0] in indices]
    return (height, width, [o[1:] for o in known], [indices[o[0]] for o in known],
            [o[0] for o in objects if o[0] not in indices])


def _table(parsed):
    heights, widths, boxes, classes, unknown = zip(*parsed)
    names = Counter(name for group in unknown for name in group)
    flat: List[Tuple[float, ...]] = [box for group in boxes for box in group]
    return AnnotationTable(
        sizes=np.stack([heights, widths], axis=1).astype(np.int32),
        offsets=np.cumsum([0] + [len(group) for group in classes], dtype=np.int64),
        boxes=np.array(flat, dtype=np.float64).reshape(-1, 4),
        classes=np.array([c for group in classes for c in group], dtype=np.int32),
        unknown=np.array([len(group) for group in unknown], dtype=np.int32),
        unknown_names=dict(names.most_common()))


def clip_to_image(boxes, height, width):
    """Clip inclusive boxes, [n, 4], to the image; returns (float32 boxes [k, 4], kept bool [n], number moved by clipping).

    A box that is empty, or lies wholly outside, is not kept.
    """
    x1, y1, x2, y2 = boxes.T
    kept = (x1 <= x2) & (y1 <= y2) & (x2 >= 0) & (y2 >= 0) & (x1 <= width - 1) & (y1 <= height - 1)
    limits = np.array([width - 1, height - 1, width - 1, height - 1], dtype=np.float64)
    clipped = np.clip(boxes[kept], 0, limits)
    moved = int((clipped != boxes[kept]).any(axis=1).sum())
    return clipped.astype(np.float32), kept, moved
