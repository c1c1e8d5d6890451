"""CVAT for images 1.1 XML (docs.cvat.ai, "XML annotation format") whose polygons and masks are
imported.

<polygon points="x,y;x,y;...">, and <mask rle="..." left top width height> with runs of 0 and 1 in
turn along the rows of its rectangle; z_order says what is on top.
"""
import math
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np

from lib.dataset.importers.formats import cvat_images
from lib.dataset.importers.masks.formats.coco_outlines import decode_runs
from lib.dataset.importers.masks.model import Outline, paint
from lib.dataset.importers.masks.writer import write_masks
from lib.dataset.importers.model import (IMPORTERS, Options, Report, Source, number, recognises,
                                         whole)
from lib.dataset.importers.xml_files import candidates, children

_TAGS = ('polygon', 'mask')


@IMPORTERS.register('masks-cvat')
def read(src: str, options: Options, report: Report) -> Source:
    """Read the polygons and masks of CVAT for images. Where classes overlap, that of the higher
    z_order is on top, of equals the later one in the file.

    Args:
        src: as of cvat_images.read.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: as cvat_images.read.
    """
    classes: List[str] = []

    def labels(found: cvat_images.Annotated) -> Callable[[int, int], Any]:
        shapes = _shapes(found, classes, report)      # the element is gone later
        return lambda height, width: paint(_outlines(shapes, found.place, report), found.size,
                                           (height, width), found.place, report, False)
    clips = cvat_images.clips_with(labels, classes, src, options, report)
    return Source(clips, classes, write_masks)


@recognises('masks-cvat', '<polygon> or <mask> of images', 'cvat-images')
def _recognise(src: str) -> Optional[str]:
    return next((file for file in candidates(src) for image in children(file, ('image',))
                 if any(shape.tag in _TAGS for shape in image)), None)


class _Shape(NamedTuple):
    """A <polygon> or <mask>."""

    label: int                   # place in Source.classes
    tag: str
    values: Dict[str, str]       # its attributes


def _shapes(found: cvat_images.Annotated, classes: List[str], report: Report) -> List[_Shape]:
    """The polygons and masks of an image, the lowest first; their classes are added to `classes`."""
    shapes = []
    for shape in sorted(found.element, key=lambda shape: whole(shape.get('z_order')) or 0):
        if shape.tag in cvat_images.NOT_SHAPES:
            continue
        if shape.tag not in _TAGS:
            report.skip('shapes: no polygons or masks', found.place)
            continue
        name = shape.get('label') or ''
        if name not in classes:
            classes.append(name)
        shapes.append(_Shape(classes.index(name), shape.tag, dict(shape.attrib)))
    return shapes


def _outlines(shapes: List[_Shape], place: str, report: Report) -> List[Outline]:
    outlines = []
    for shape in shapes:
        outline = _outline(shape.tag, shape.values, shape.label)
        if outline is None:
            report.skip('shapes: points are not x,y;x,y;... or rle is not of its size', place)
        else:
            outlines.append(outline)
    return outlines


def _outline(tag: str, shape: Dict[str, str], label: int) -> Optional[Outline]:
    """The Outline of a <polygon> or <mask>; None where it is none."""
    if tag == 'polygon':
        points = [[number(value) for value in pair.split(',')]
                  for pair in (shape.get('points') or '').split(';')]
        fits = len(points) > 2 and all(len(point) == 2 and all(map(math.isfinite, point))
                                       for point in points)
        return Outline(label, [np.array(points)]) if fits else None
    left, top, width, height = (whole(shape.get(side))
                                for side in ('left', 'top', 'width', 'height'))
    runs = [whole(run) for run in (shape.get('rle') or '').split(',')]
    if left is None or top is None or max(abs(left), abs(top)) > 10 ** 6:
        return None
    # Rows here are columns there.
    mask = decode_runs(runs, [width, height])
    return None if mask is None else Outline(label, mask=mask.T, corner=(left, top))
