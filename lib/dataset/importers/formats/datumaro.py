"""Datumaro JSON (open-edge-platform.github.io/datumaro), which CVAT exports too.

annotations/<subset>.json with items, their annotations and categories; images in images/<subset>.
"""
import math
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from lib.dataset.importers.formats import coco
from lib.dataset.importers.readers.json_trees import (Tree, first_json, json_paths, load_json,
                                                      mapping, objects)
from lib.dataset.importers.frame_names import split_name
from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.media import without_video_suffix
from lib.dataset.importers.model import (IMPORTERS, Box, Clip, Item, Options, Report, Source,
                                         fitted, number, recognises, whole)
from lib.dataset.importers.paths import merged, part_of, parts_of
from dff.errors import DataError, shown

_REMEDY = 'a Datumaro file has categories.label.labels and the list items; export it as Datumaro'

_Edges = Tuple[float, float, float, float]     # left, top, right, bottom


class Annotated(NamedTuple):
    """An entry of the list items."""

    annotations: List[Tree]
    labels: List[str]                                # of its file, by label_id
    size: Tuple[Optional[int], Optional[int]]        # height, width that it states
    place: str                                       # for the report


@IMPORTERS.register('datumaro')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of Datumaro JSON; each item is an image, labelled also where it has no box.

    Args:
        src: a JSON file, or a folder with annotations/*.json or *.json; a file named train or val
            is that part.
        options: what the user asked for; with options.clips the frame of an item whose name has no
            number is attr.frame.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of its images is there.
    """
    classes: List[str] = []

    def labels(found: Annotated) -> Callable[[int, int], Any]:
        boxes = _boxes(found.annotations, found.labels, found.place, report)
        return lambda height, width: fitted(boxes, found.size, (height, width), found.place, report)
    return Source(clips_with(labels, classes, src, options, report), classes)


def clips_with(labels_of: Callable[[Annotated], Callable[[int, int], Any]], classes: List[str],
               src: str, options: Options, report: Report) -> List[Clip]:
    """Return the clips of a data set.

    Args:
        labels_of: gives what is labelled in an item, as Item.boxes.
        classes: gets the class names.
        src, options, report: as of read.

    Raises:
        DataError: as read.
    """
    items: List[Item] = []
    for file in json_paths(src, 'Datumaro annotations'):
        tree = load_json(file)
        labels = _labels(tree, file)
        classes[:] = merged(classes, labels)
        folders, part = coco.image_folders(file, src, options), coco.part_of_file(file, src)
        for index, entry in enumerate(objects(tree.get('items'), file + ', items', _REMEDY)):
            if not isinstance(entry.get('id'), (str, int)):
                raise DataError('%s, item %d: expected an id, a text; found %s'
                                % (file, index, shown(entry.get('id'))))
            items.append(_item(entry, labels, file, folders, part, options, labels_of))
    root = src if os.path.isdir(src) else os.path.dirname(os.path.abspath(src))
    return clips_of(items, options, root, report)


def _labels(tree: object, file: str) -> List[str]:
    """The classes of a file, by label_id. Raises DataError."""
    found = mapping(mapping(mapping(tree).get('categories')).get('label')).get('labels')
    entries = objects(found, file + ', categories.label.labels', _REMEDY)
    for index, entry in enumerate(entries):
        if not isinstance(entry.get('name'), str):
            raise DataError('%s, categories.label.labels, entry %d: expected a name; found %s'
                            % (file, index, shown(entry)))
    return [entry['name'] for entry in entries]


def _item(entry: Tree, labels: List[str], file: str, folders: coco.ImageFolders,
          part: Optional[str], options: Options,
          labels_of: Callable[[Annotated], Callable[[int, int], Any]]) -> Item:
    """The Item of an entry of the list items."""
    name = '/'.join(parts_of(entry['id'], file))
    place = '%s, item %s' % (os.path.basename(file), name)
    media = mapping(entry.get('image') or entry.get('media'))
    video = mapping(entry.get('video_frame'))
    frame, path = whole(mapping(entry.get('attr')).get('frame')), None
    if isinstance(video.get('video_path'), str) and video['video_path']:
        index = whole(video.get('frame_index'))
        frame = frame if index is None else index
        name = without_video_suffix('/'.join(parts_of(video['video_path'], file)))
    else:
        given = media.get('path')
        known = [given] if isinstance(given, str) and given.strip('./\\') else []
        path = next(filter(None, (folders.find(each, file) for each in known + [name])), None)
    if frame is not None and (video or options.clips) and frame >= 0:
        name = '%s/%06d' % (name, frame) if video or split_name(name) is None else name
    size = media.get('size') or video.get('size')
    height, width = size if isinstance(size, list) and len(size) == 2 else (None, None)
    annotations = objects(entry.get('annotations') or [], '%s, annotations' % place, _REMEDY)
    found = Annotated(annotations, labels, (whole(height), whole(width)), place)
    return Item(name, path, labels_of(found), part or part_of(os.path.dirname(name)))


def _boxes(annotations: List[Tree], labels: List[str], place: str, report: Report) -> List[Box]:
    """The boxes of an item; what is none is counted."""
    found = []
    for entry in annotations:
        kind, label = entry.get('type'), whole(entry.get('label_id'))
        more = mapping(entry.get('attributes'))
        shape = _SHAPES.get(kind) if isinstance(kind, str) else None
        if shape is None:
            report.skip('annotations: %.40s, no boxes' % (kind,), place)
        elif label is None or not 0 <= label < len(labels):
            report.skip('boxes: label_id is none of categories.label.labels', place)
        elif more.get('is_crowd') is True:
            report.skip('boxes: is_crowd, one box around many objects', place)
        else:
            edges = shape(entry, place, report)
            if edges is None:
                report.skip('boxes: bbox is not [x, y, width, height], or points are not pairs',
                            place)
                continue
            left, top, right, bottom = edges
            found.append(Box(labels[label], left, top, right - 1, bottom - 1,
                             whole(more.get('track_id')), more.get('occluded') is True,
                             more.get('keyframe') is False))
    return found


def _bbox(entry: Tree, place: str, report: Report) -> Optional[_Edges]:
    """The edges of a bbox; CVAT turns it around its centre, by attributes.rotation in degrees."""
    bbox = entry.get('bbox')
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    x, y, width, height = map(number, bbox)
    rotation = number(mapping(entry.get('attributes')).get('rotation') or 0)
    if not math.isfinite(rotation):
        return math.nan, math.nan, math.nan, math.nan
    if not rotation % 360:
        return x, y, x + width, y + height
    report.change('boxes: turned rectangles became the upright boxes around them', place)
    cosine, sine = (abs(turn(math.radians(rotation))) for turn in (math.cos, math.sin))
    across, down = (width * cosine + height * sine) / 2, (width * sine + height * cosine) / 2
    middle, centre = x + width / 2, y + height / 2
    return middle - across, centre - down, middle + across, centre + down


def _polygon(entry: Tree, place: str, report: Report) -> Optional[_Edges]:
    """The edges of the box around a polygon."""
    points = entry.get('points')
    if not isinstance(points, list) or not points or len(points) % 2:
        return None
    values: Sequence[float] = [number(value) for value in points]
    if not all(map(math.isfinite, values)):
        return math.nan, math.nan, math.nan, math.nan
    report.change('boxes: polygons became the boxes around them', place)
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


_SHAPES: Dict[str, Callable[[Tree, str, Report], Optional[_Edges]]] = {
    'bbox': _bbox, 'polygon': _polygon}


@recognises('datumaro', 'JSON with categories by kind and the list items')
def _recognise(src: str) -> Optional[str]:
    return first_json(src, lambda tree: isinstance(mapping(tree).get('items'), list)
                      and isinstance(tree.get('categories'), dict))
