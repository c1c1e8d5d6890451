"""labelme JSON (github.com/wkentaro/labelme), also X-AnyLabeling's, whose outlines are imported."""
import base64
import binascii
import io
import math
import os
import warnings
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
from PIL import Image

from lib.dataset.importers.formats import labelme
from lib.dataset.importers.masks.model import Outline, paint
from lib.dataset.importers.masks.writer import write_masks
from lib.dataset.importers.media import LARGEST_IMAGE
from lib.dataset.importers.model import IMPORTERS, Options, Report, Source, recognises
from lib.dataset.importers.readers.json_trees import first_json, mapping
from dff.errors import shown

_OUTLINES = frozenset(('polygon', 'rotation', 'quadrilateral', 'circle', 'mask'))
_CORNERS = 90             # of what stands for a circle


@IMPORTERS.register('masks-labelme')
def read(src: str, options: Options, report: Report) -> Source:
    """Read the outlines of labelme or X-AnyLabeling. Where classes overlap, the later shape in the
    file is on top, as the tools draw them; classes are in the order of their names.

    Args:
        src: as of labelme.read.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: as labelme.read.
    """
    names: Dict[str, None] = {}
    classes: List[str] = []

    def labels(found: labelme.File) -> Callable[[int, int], Any]:
        names.update(dict.fromkeys(str(shape['label']) for shape in found.shapes))
        place = os.path.basename(found.path)
        return lambda height, width: paint(_outlines(found, classes, report), found.size,
                                           (height, width), place, report, False)
    clips = labelme.clips_with(labels, src, options, report)
    classes += sorted(names)
    return Source(clips, classes, write_masks)


@recognises('masks-labelme', 'shapes that are no rectangles', 'labelme')
def _recognise(src: str) -> Optional[str]:
    return first_json(src, lambda tree: 'imagePath' in mapping(tree) and any(
        mapping(shape).get('shape_type', 'polygon') in _OUTLINES
        for shape in mapping(tree).get('shapes') or ()))


def _outlines(found: labelme.File, classes: List[str], report: Report) -> List[Outline]:
    """The Outline of each shape of a file."""
    outlines = []
    for index, shape in enumerate(found.shapes):
        place = '%s, shape %d' % (found.path, index)
        kind = shape.get('shape_type') or 'polygon'
        label = classes.index(str(shape['label']))
        points = labelme.points_of(shape.get('points'))
        if not isinstance(kind, str) or kind not in labelme.AREAS:
            report.skip('shapes: of a type that has no area: %s' % shown(kind), place)
        elif len(points) < labelme.AREAS[kind]:
            report.skip('shapes: the points are not [[x, y], ...], %d at least of a %s'
                        % (labelme.AREAS[kind], kind), place)
        elif not all(math.isfinite(value) for point in points for value in point):
            report.skip('shapes: a coordinate is no number', place)
        elif kind == 'mask':
            mask = _mask(shape.get('mask'))
            if mask is None:
                report.skip('shapes: their mask is no PNG picture', place)
            else:
                corner = tuple(round(max(-1e6, min(value, 1e6))) for value in points[0])
                outlines.append(Outline(label, mask=mask, corner=(corner[0], corner[1])))
        else:
            outlines.append(Outline(label, [np.array(_corners(kind, points))]))
    return outlines


def _corners(kind: str, points: List[Tuple[float, float]]) -> List[Tuple[float, float]]:
    """The corners of the polygon that a shape is."""
    if kind == 'circle':        # centre, a point of the rim
        (x, y), (rim_x, rim_y) = points[:2]
        radius = math.hypot(rim_x - x, rim_y - y)
        turns = (2 * math.pi * i / _CORNERS for i in range(_CORNERS))
        return [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
    if kind == 'rectangle' and len(points) == 2:
        (x1, y1), (x2, y2) = points
        return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    return points


def _mask(text: Any) -> Optional[np.ndarray]:
    """The mask that a file holds as a PNG in base64, bool [h, w]; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)    # the limit is ours
            with Image.open(io.BytesIO(base64.b64decode(text)), formats=('PNG',)) as image:
                if image.width * image.height > LARGEST_IMAGE:
                    return None
                return np.asarray(image.convert('L')) > 0
    except (OSError, ValueError, SyntaxError, EOFError, binascii.Error,
            Image.DecompressionBombError):
        return None
