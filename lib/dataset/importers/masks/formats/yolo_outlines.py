"""YOLO text files (docs.ultralytics.com, "Instance Segmentation Datasets") whose outlines are
imported: `class x1 y1 x2 y2 ...` in parts of the image's sides, three corners at least.
"""
from typing import Any, Callable, List, Optional

import numpy as np

from lib.dataset.importers.formats import yolo
from lib.dataset.importers.masks.model import Outline, paint
from lib.dataset.importers.masks.writer import write_masks
from lib.dataset.importers.model import IMPORTERS, Options, Report, Source, number, recognises, whole
from lib.dataset.importers.paths import read_text
from lib.dataset.importers.yolo.description import read_description

_FEWEST = 7        # columns of a class and three corners
_SURE = 12         # columns that no box has with what else may stand behind it, nor four corners


@IMPORTERS.register('masks-yolo')
def read(src: str, options: Options, report: Report) -> Source:
    """Read the outlines of YOLO. Where classes overlap, the smaller outline is on top.

    Args:
        src: as of yolo.read.
        options: what the user asked for.
        report: where to count what is left out; a line of a box is.

    Raises:
        DataError: as yolo.read.
    """
    def labels(found: yolo.Texts) -> Callable[[Optional[str]], Callable[[int, int], Any]]:
        return lambda path: lambda height, width: paint(
            _outlines(path, len(found.classes), (width, height), report), (None, None),
            (height, width), str(path), report, True)
    classes: List[str] = []
    return Source(yolo.clips_with(labels, classes, src, options, report), classes, write_masks)


@recognises('masks-yolo', 'lines of outlines', 'yolo')
def _recognise(src: str) -> Optional[str]:
    found = yolo.file_with_line(src, lambda columns: columns >= _SURE and columns % 2 == 1)
    return found if found and not read_description(src).key_points else None


def _outlines(path: Optional[str], classes: int, size: Any, report: Report) -> List[Outline]:
    """The Outline of each line of a file, which may be missing.

    size: (width, height) of the image.
    """
    outlines = []
    for line, text in enumerate(read_text(path) if path else (), 1):
        values, place = text.split(), '%s, line %d' % (path, line)
        index = whole(values[0]) if values else None
        points = np.array([number(value) for value in values[1:]])
        if not values:
            continue
        if index is None or not 0 <= index < classes:
            report.skip('outlines: the class number is none of the class names', place)
        elif len(values) < _FEWEST:
            report.skip('lines: a box, no outline', place)
        elif len(points) % 2 or not np.isfinite(points).all() or np.abs(points).max() > 2:
            report.skip('outlines: not x y in parts of the image\'s sides', place)
        else:
            outlines.append(Outline(index, [points.reshape(-1, 2) * size]))
    return outlines
