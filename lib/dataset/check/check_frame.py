"""One frame of a data set looked through: its image, its annotation, and whether they fit."""
import collections
from typing import Dict, List, NamedTuple, Optional

import numpy as np

from lib.dataset.formats.annotations import Parsed, Source, clip_to_image, parse_indexed
from lib.dataset.formats.problems import Problem, ReportFunction
from dff.errors import DataError
from dff.image import read_image
from lib.utils.image_header import ImageHeader, read_header

UNREAD: Parsed = (0, 0, [], [], [], [])      # parse_indexed's result for a frame without an annotation


class Frame(NamedTuple):
    """What was found in one frame."""

    header: Optional[ImageHeader]    # None where there is no readable image
    parsed: Parsed
    problems: List[Problem]


def check_frame(indices: Dict[str, int], decode: bool, source: Source) -> Frame:
    """Look through one frame.

    Args:
        indices: {class id: class index}.
        decode: decode the whole image, not only its header and end.
        source: where the frame is; without `xml` only the image is looked at.
    """
    problems: List[Problem] = []

    def report(kind: str, where: str, text: str) -> None:
        problems.append(Problem(kind, where, text))
    header = _check_image(source, decode, report)
    if not source.xml:
        return Frame(header, UNREAD, problems)
    parsed = parse_indexed(indices, source, report)
    height, width = parsed[:2]
    if header is not None and height and (header.height, header.width) != (height, width):
        report('wrong size', source.where, '%s says %d x %d pixels, the image has %d x %d'
               % (source.xml, width, height, header.width, header.height))
    names = {index: name for name, index in indices.items()}
    _check_objects(source, parsed, names, report)
    return Frame(header, parsed, problems)


def _check_image(source: Source, decode: bool, report: ReportFunction) -> Optional[ImageHeader]:
    try:
        header = read_header(source.image)
        if decode and header.whole:
            read_image(source.image)
    except DataError as error:
        missing = isinstance(error.__context__, FileNotFoundError)
        text = 'the image %s does not exist' % source.image if missing else str(error)
        report('image missing' if missing else 'image unreadable', source.where, text)
        return None
    if not header.whole:
        report('image truncated', source.where,
               '%s (%d bytes) breaks off before its end' % (source.image, header.fingerprint[0]))
    return header


def _check_objects(source: Source, parsed: Parsed, names: Dict[int, str],
                   report: ReportFunction) -> None:
    height, width, boxes, classes, tracks, unknown = parsed
    for name, count in sorted(collections.Counter(unknown).items()):
        report('unknown class', source.where,
               "%s has %d x '%s', which is not in the class list" % (source.xml, count, name))
    known = [(index, track) for index, track in zip(classes, tracks) if track]
    for (index, track), count in collections.Counter(known).items():
        if count > 1:
            report('track id twice', source.where,
                   '%s has %d x track id %s of %s' % (source.xml, count, track, names[index]))
    if not boxes or not height:
        return
    kept = clip_to_image(np.array(boxes), height, width)[1]
    for box, index, inside in zip(boxes, classes, kept):
        x1, y1, x2, y2 = box
        kind = 'box empty' if x1 > x2 or y1 > y2 else 'box outside' if not inside else 'box over the edge'
        if kind == 'box over the edge' and 0 <= x1 and 0 <= y1 and x2 <= width - 1 and y2 <= height - 1:
            continue
        report(kind, source.where, '%s: %s at %g %g %g %g in a frame of %d x %d'
               % (source.xml, names[index], x1, y1, x2, y2, width, height))
