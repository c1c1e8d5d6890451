"""Datumaro JSON, which CVAT exports too, whose polygons and masks are imported."""
import math
from typing import Any, Callable, List, Optional

import numpy as np

from lib.dataset.importers.formats import datumaro
from lib.dataset.importers.masks.formats.coco_outlines import decode_runs
from lib.dataset.importers.masks.model import Outline, paint
from lib.dataset.importers.masks.writer import write_masks
from lib.dataset.importers.model import (IMPORTERS, Options, Report, Source, number, recognises,
                                         whole)
from lib.dataset.importers.readers.json_trees import Tree, first_json, mapping

_SHAPES = ('polygon', 'mask')


@IMPORTERS.register('masks-datumaro')
def read(src: str, options: Options, report: Report) -> Source:
    """Read the polygons and masks of Datumaro JSON. Where classes overlap, that of the higher
    z_order is on top, of equals the later one in the file.

    Args:
        src: as of datumaro.read.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: as datumaro.read.
    """
    classes: List[str] = []

    def labels(found: datumaro.Annotated) -> Callable[[int, int], Any]:
        return lambda height, width: paint(_outlines(found, classes, report), found.size,
                                           (height, width), found.place, report, False)
    clips = datumaro.clips_with(labels, classes, src, options, report)
    return Source(clips, classes, write_masks)


@recognises('masks-datumaro', 'polygons or masks', 'datumaro')
def _recognise(src: str) -> Optional[str]:
    def fits(tree: Any) -> bool:
        items = mapping(tree).get('items')
        return isinstance(items, list) and any(
            mapping(entry).get('type') in _SHAPES
            for item in items for entry in mapping(item).get('annotations') or ())
    return first_json(src, fits)


def _outlines(found: datumaro.Annotated, classes: List[str], report: Report) -> List[Outline]:
    """The Outline of each polygon and mask of an item, the lowest first."""
    outlines = []
    entries = [entry for entry in found.annotations if entry.get('type') in _SHAPES]
    others = len(found.annotations) - len(entries)
    if others:
        report.skip('annotations: no polygons or masks', found.place, others)
    for entry in sorted(entries, key=lambda entry: whole(entry.get('z_order')) or 0):
        label = whole(entry.get('label_id'))
        if label is None or not 0 <= label < len(found.labels):
            report.skip('outlines: label_id is none of categories.label.labels', found.place)
            continue
        outline = _outline(entry, classes.index(found.labels[label]))
        if outline is None:
            report.skip('outlines: points are not pairs, three at least, or rle is not of its size',
                        found.place)
        else:
            outlines.append(outline)
    return outlines


def _outline(entry: Tree, label: int) -> Optional[Outline]:
    """The Outline of a polygon or mask; None where it is none."""
    if entry['type'] == 'mask':
        rle = mapping(entry.get('rle'))
        mask = decode_runs(rle.get('counts'), rle.get('size'))
        return None if mask is None else Outline(label, mask=mask)
    points = entry.get('points')
    if not isinstance(points, list) or len(points) < 6 or len(points) % 2:
        return None
    values = [number(value) for value in points]
    if not all(map(math.isfinite, values)):
        return None
    return Outline(label, [np.array(values).reshape(-1, 2)])
