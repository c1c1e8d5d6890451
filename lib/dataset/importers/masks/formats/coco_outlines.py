"""COCO detection JSON whose outlines are imported: polygons and run lengths (cocodataset.org, "data
format").

`segmentation` is a list of polygons [x, y, x, y, ...], or {"size": [h, w], "counts": ...} with run
lengths down the columns, as a list or as the text that COCO's tools compress them to. They are read
here, without pycocotools, which takes any counts for granted; tests compare with it.
"""
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np

from lib.dataset.importers.formats import coco
from lib.dataset.importers.formats.coco import Id, Tree
from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.masks.model import Outline, paint
from lib.dataset.importers.masks.writer import write_masks
from lib.dataset.importers.media import LARGEST_IMAGE
from lib.dataset.importers.model import (IMPORTERS, Item, Options, Report, Source,
                                         recognises, whole)
from lib.dataset.importers.paths import merged, part_of

BAD = 'outlines: neither polygons [x, y, ...] of three points nor run lengths of their size'
BOX_ONLY = 'annotations: a box, no outline'
_MOST_DIGITS = 6           # of 5 bits; 30 bits are more than any image has pixels


class _Entry(NamedTuple):
    """An annotation."""

    label: int         # place in Source.classes
    outline: Any       # segmentation
    place: str         # for the report


@IMPORTERS.register('masks-coco')
def read(src: str, options: Options, report: Report) -> Source:
    """Read the outlines of COCO JSON. Where classes overlap, the smaller outline is on top.

    Args:
        src: as of coco.read.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of its images is there.
    """
    items: List[Item] = []
    classes: List[str] = []
    for file in coco.json_files(src):
        tree = coco.load(file, _compact)
        names = coco.category_names(tree, file)
        classes = merged(classes, names.values())
        items += _items(tree, {identity: classes.index(name) for identity, name in names.items()},
                        file, src, options, report)
    root = src if os.path.isdir(src) else os.path.dirname(os.path.abspath(src))
    return Source(clips_of(items, options, root, report), classes, write_masks)


@recognises('masks-coco', 'annotations with outlines that are no boxes', 'coco')
def _recognise(src: str) -> Optional[str]:
    file = coco.file_with_videos(src, False)
    if file is None:
        return None
    entries = coco.load(file, _compact)['annotations']
    return file if any(_is_shape(entry.get('segmentation')) for entry in entries) else None


def _is_shape(outline: Any) -> bool:
    """Whether an outline is more than an upright rectangle, as tools write of boxes."""
    if not isinstance(outline, list):
        return isinstance(outline, dict) and bool(outline.get('counts'))
    return any(len(part) > 5 or len(set(part[:, 0])) > 2 or len(set(part[:, 1])) > 2
               for part in outline if isinstance(part, np.ndarray))


def _compact(entry: Tree) -> Tree:
    """A JSON object, its polygons as arrays, which take a tenth of the memory."""
    outline = entry.get('segmentation')
    if isinstance(outline, list):
        entry['segmentation'] = [_points(part) for part in outline]
    return entry


def _points(part: Any) -> Optional[np.ndarray]:
    """[x, y, x, y, ...] as float64 [n, 2]; None where it is not that."""
    if not isinstance(part, list) or len(part) < 6 or len(part) % 2:
        return None
    if not all(isinstance(value, (int, float)) and abs(value) < 1e12 for value in part):
        return None         # nan and infinity too
    return np.array(part, float).reshape(-1, 2)


def _items(tree: Tree, labels: Dict[Id, int], file: str, src: str, options: Options,
           report: Report) -> List[Item]:
    """The Item of each image.

    labels: {category id: place in Source.classes}.
    """
    by_image: Dict[Any, List[_Entry]] = {}
    for index, entry in enumerate(tree['annotations']):
        place = '%s, annotation %s' % (os.path.basename(file), entry.get('id', index))
        category, image = entry.get('category_id'), entry.get('image_id')
        known = isinstance(category, (int, str)) and category in labels
        if not known or not isinstance(image, (int, str)):
            report.skip('outlines: their category_id or image_id is none of the file', place)
        elif not entry.get('segmentation'):
            report.skip(BOX_ONLY, place)
        else:
            found = _Entry(labels[category], entry['segmentation'], place)
            by_image.setdefault(image, []).append(found)
    folders, part = coco.image_folders(file, src, options), coco.part_of_file(file, src)
    items = []
    for entry in tree['images']:
        name, path = coco.find_image(entry, file, folders)
        label_map = _opener(by_image.pop(entry['id'], []), entry, file, report)
        items.append(Item(name, path, label_map, part or part_of(os.path.dirname(name))))
    for image, left in by_image.items():
        report.skip('outlines: their category_id or image_id is none of the file',
                    '%s, image_id %s' % (os.path.basename(file), image), len(left))
    return items


def _opener(entries: List[_Entry], image: Tree, file: str, report: Report
            ) -> Callable[[int, int], Optional[np.ndarray]]:
    """What gives the label map of an image; run lengths, which are large as masks, are read then."""
    place = '%s, %s' % (os.path.basename(file), image['file_name'])
    declared = whole(image.get('height')), whole(image.get('width'))

    def label_map(height: int, width: int) -> Optional[np.ndarray]:
        outlines = []
        for entry in entries:
            outline = _outline(entry.outline, entry.label)
            if outline is None:
                report.skip(BAD, entry.place)
            else:
                outlines.append(outline)
        return paint(outlines, declared, (height, width), place, report, True)
    return label_map


def _outline(given: Any, label: int) -> Optional[Outline]:
    """The Outline that a `segmentation` is; None where it is none."""
    if isinstance(given, dict):
        mask = decode_runs(given.get('counts'), given.get('size'))
        return None if mask is None else Outline(label, mask=mask)
    if not isinstance(given, list) or any(part is None for part in given):
        return None
    return Outline(label, given)


def decode_runs(counts: Any, size: Any) -> Optional[np.ndarray]:
    """Return the mask of run lengths, bool [h, w]; None where they are not of that size.

    Args:
        counts: lengths of runs of 0 and 1 in turn, down the columns: a list, or the text of
            characters from '0' on, 5 bits each and a sixth for more, of the differences to the run
            before the last.
        size: [h, w].
    """
    if not isinstance(size, list) or len(size) != 2:
        return None
    height, width = (whole(side) or 0 for side in size)
    if height < 1 or width < 1 or height * width > LARGEST_IMAGE:
        return None
    runs = _run_lengths(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(isinstance(run, int) and run >= 0 for run in runs):
        return None
    if sum(runs) != height * width:
        return None
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _run_lengths(text: str) -> Optional[List[int]]:
    """The run lengths of COCO's compressed text; None where it is none."""
    runs: List[int] = []
    value, digits = 0, 0
    for code in (ord(character) - 48 for character in text):
        if not 0 <= code < 64 or digits == _MOST_DIGITS:
            return None
        value |= (code & 31) << 5 * digits
        digits += 1
        if code & 32:
            continue
        if code & 16:                                   # negative
            value -= 1 << 5 * digits
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, digits = 0, 0
    return runs if not digits else None
