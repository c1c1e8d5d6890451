"""labelme JSON (github.com/wkentaro/labelme), as X-AnyLabeling writes it too: one file an image.

`shapes` with label, shape_type and points [[x, y], ...] between pixels, `imagePath` relative to the
file, `imageHeight` and `imageWidth`. Of an outline the surrounding box is taken.
"""
import json
import math
import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.library import Library
from lib.dataset.importers.model import (IMPORTERS, Box, Clip, Item, Options, Report, Source, fitted,
                                         number, recognises, whole)
from lib.dataset.importers.readers.json_trees import first_json, mapping
from lib.dataset.importers.paths import files_below, part_of
from dff.errors import DataError, shown

# Fewest points by shape_type; other types, as of lines and points, have no box.
AREAS = {'rectangle': 2, 'polygon': 3, 'rotation': 3, 'quadrilateral': 3, 'circle': 2, 'mask': 2}
_ANNOTATIONS = re.compile(r'^(annotations|labels|jsons?)/', re.IGNORECASE)
_DRIVE = re.compile(r'[A-Za-z]:')


class File(NamedTuple):
    """A JSON file, without its image."""

    path: str
    image: str                   # imagePath
    embedded: bool               # the image is in it, as imageData
    size: Tuple[Optional[int], Optional[int]]      # height, width that it states
    shapes: List[Dict[str, Any]]


@IMPORTERS.register('labelme')
@IMPORTERS.register('x-anylabeling')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of labelme or X-AnyLabeling.

    Folders named train, val and test say the parts. With options.clips a group_id is the track of
    its object.

    Args:
        src: a JSON file, or a folder whose *.json are read, also those deeper, each with the image
            that its imagePath names, from the file on, or below `src` or options.frames in a
            folder that answers to the file's own.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is malformed, an image is only inside its JSON file, or none is there.
    """
    def labels(found: File) -> Callable[[int, int], Any]:
        return _labels(found, options.clips, report)
    return Source(clips_with(labels, src, options, report), [])


def clips_with(labels: Callable[[File], Callable[[int, int], Any]], src: str, options: Options,
               report: Report) -> List[Clip]:
    """Return the clips of a data set.

    Args:
        labels: gives what is labelled in the image of a file, as Item.boxes.
        src, options, report: as of read.

    Raises:
        DataError: as read.
    """
    alone = os.path.isfile(src)
    root = os.path.dirname(os.path.abspath(src)) if alone else src
    files = [os.path.basename(src)] if alone else files_below(src, ('.json',))
    if not files:
        raise DataError('%s: expected labelme annotations (*.json, one an image) in it' % src)
    library = Library([root] + ([options.frames] if options.frames else []))
    items = []
    for file in files:
        found = load(os.path.join(root, file))
        path = _image(found, file, library)
        if path is None and found.embedded and not options.clips:
            raise DataError(
                '%s: the image %s is only inside the file, as imageData, which is not read; write '
                'it next to the file (labelme_export_json), or give its folder with --frames'
                % (found.path, shown(found.image)))
        items.append(Item(_ANNOTATIONS.sub('', os.path.splitext(file)[0]), path,
                          labels(found), part_of(file)))
    if not options.clips and not alone:
        for image in sorted(set(library.images.paths()) - {item.path for item in items}):
            report.skip('images: no annotation', image)
    return clips_of(items, options, root, report)


def load(path: str) -> File:
    """Return the content of the JSON file `path`. Raises DataError."""
    try:
        with open(path, encoding='utf-8-sig') as stream:
            tree = json.load(stream)
    except OSError as error:
        raise DataError('cannot read %s: %s' % (path, error.strerror)) from None
    except (ValueError, RecursionError) as error:
        raise DataError('%s is not valid JSON: %s; save it again, or take it out'
                        % (path, error)) from None
    shapes = tree.get('shapes') if isinstance(tree, dict) else None
    if not isinstance(shapes, list):
        raise DataError("%s: expected a labelme file, an object with the list 'shapes'; take other "
                        "JSON files out" % path)
    if not isinstance(tree.get('imagePath'), str) or not tree['imagePath'].strip('./\\ '):
        raise DataError("%s: expected the file name of the image as 'imagePath', found %s"
                        % (path, shown(tree.get('imagePath'))))
    for index, shape in enumerate(shapes):
        if not isinstance(shape, dict) or not isinstance(shape.get('label'), (str, int)):
            raise DataError("%s, shape %d: expected an object with 'label' and 'points', found %s"
                            % (path, index, shown(shape)))
    size = whole(tree.get('imageHeight')), whole(tree.get('imageWidth'))
    return File(path, tree['imagePath'], bool(tree.get('imageData')), size, shapes)


def _image(found: File, file: str, library: Library) -> Optional[str]:
    """The path of the image of a JSON file, or None; files outside the roots of `library` are never
    looked at.

    file: its path, relative to the first root.
    """
    name = found.image.replace('\\', '/')
    if not name.startswith('/') and not _DRIVE.match(name) and '\0' not in name:
        path = os.path.normpath(os.path.join(os.path.dirname(found.path), name))
        roots = tuple(os.path.join(os.path.normpath(root), '') for root in library.roots)
        if path.startswith(roots) and os.path.isfile(path):
            return path
    beside = os.path.join(os.path.dirname(file), os.path.basename(name))
    return library.images.find(beside, found.path)


def _labels(found: File, tracks: bool,
            report: Report) -> Callable[[int, int], Optional[List[Box]]]:
    def boxes(height: int, width: int) -> Optional[List[Box]]:
        place = os.path.basename(found.path)
        return fitted(_boxes(found, tracks, report), found.size, (height, width), place, report)
    return boxes


def _boxes(found: File, tracks: bool, report: Report) -> List[Box]:
    """The boxes of a file; shapes of one label and group_id are parts of one object."""
    boxes: List[Box] = []
    groups: Dict[Tuple[str, int], int] = {}
    for index, shape in enumerate(found.shapes):
        place = '%s, shape %d' % (found.path, index)
        # Files of before 2018 have polygons only, and do not say so.
        kind = shape.get('shape_type') or 'polygon'
        points = points_of(shape.get('points'))
        if not isinstance(kind, str) or kind not in AREAS:
            report.skip('shapes: of a type that has no box: %s' % shown(kind), place)
            continue
        if len(points) < AREAS[kind]:
            report.skip('shapes: the points are not [[x, y], ...], %d at least of a %s'
                        % (AREAS[kind], kind), place)
            continue
        group = whole(shape.get('group_id'))
        flags = shape.get('flags')
        occluded = isinstance(flags, dict) and flags.get('occluded') is True
        name = str(shape['label'])
        box = Box(name, *_corners(kind, points), group if tracks else None, occluded)
        if group is None:
            boxes.append(box)
        elif (name, group) in groups:
            report.change('shapes of one label and group_id are parts of one object: joined', place)
            at = groups[name, group]
            boxes[at] = _joined(boxes[at], box)
        else:
            groups[name, group] = len(boxes)
            boxes.append(box)
    return boxes


def points_of(given: Any) -> List[Tuple[float, float]]:
    """Return the points (x, y) of a shape, nan where a coordinate is no number; [] where `given` is
    no list of points."""
    if not isinstance(given, list) or not all(isinstance(point, list) and len(point) == 2
                                              for point in given):
        return []
    return [(number(x), number(y)) for x, y in given]


def _corners(kind: str, points: List[Tuple[float, float]]) -> Tuple[float, float, float, float]:
    """x1, y1, x2, y2 of the box around a shape; nan where a coordinate is no number."""
    if not all(math.isfinite(value) for point in points for value in point):
        return (math.nan,) * 4
    if kind == 'circle':        # centre, a point of the rim
        (x, y), (rim_x, rim_y) = points[:2]
        radius = math.hypot(rim_x - x, rim_y - y)
        points = [(x - radius, y - radius), (x + radius, y + radius)]
    columns, rows = zip(*points)
    edge = 0 if kind == 'mask' else 1       # of a mask the points are its first and last pixel
    return min(columns), min(rows), max(columns) - edge, max(rows) - edge


def _joined(first: Box, second: Box) -> Box:
    """The box around two; nan where one has it."""
    if any(math.isnan(value) for value in second[1:5]):
        return second._replace(track=first.track)
    return first._replace(x1=min(first.x1, second.x1), y1=min(first.y1, second.y1),
                          x2=max(first.x2, second.x2), y2=max(first.y2, second.y2),
                          occluded=first.occluded or second.occluded)


@recognises('labelme', 'JSON with shapes and imagePath, a file an image')
def _recognise(src: str) -> Optional[str]:
    return first_json(src, lambda tree: {'shapes', 'imagePath'} <= set(mapping(tree)))
