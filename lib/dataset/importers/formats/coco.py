"""COCO detection JSON (cocodataset.org, "data format").

images, annotations with bbox [x, y, width, height], categories.
"""
import json
import os
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.model import (IMPORTERS, Box, Item, Options, Report, Source, number, same_size,
                                         whole)
from lib.dataset.importers.paths import files_below, merged, part_of, relative, stem
from dff.errors import DataError, shown

FOREIGN = 'boxes: their category_id or image_id is none of the file'

Tree = Dict[str, Any]           # a JSON object: a whole file, or an entry of one of its lists
Id = Union[int, str]            # of an image, category or video


@IMPORTERS.register('coco')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of COCO JSON.

    Args:
        src: a JSON file, or a folder with annotations/*.json or *.json; a file named train or val
            is that part.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of its images is there.
    """
    items: List[Item] = []
    classes: List[str] = []
    for file in json_files(src):
        tree = load(file)
        classes = merged(classes, category_names(tree, file).values())
        items += _items(tree, file, options, report)
    root = src if os.path.isdir(src) else os.path.dirname(os.path.abspath(src))
    return Source(clips_of(items, options, root, report), classes)


def json_files(src: str) -> List[str]:
    """Return the annotation files of `src`: itself, or of a folder those named instances_*.json,
    else all.

    Raises DataError where there is none.
    """
    if os.path.isfile(src):
        return [src]
    folder = os.path.join(src, 'annotations')
    folder = folder if os.path.isdir(folder) else src
    files = [os.path.join(folder, name) for name in files_below(folder, ('.json',))]
    # COCO's own folder holds captions and key points of the same images too.
    files = [file for file in files if stem(file).startswith('instances_')] or files
    if not files:
        raise DataError('%s: expected a COCO JSON file, or a folder with annotations/*.json' % src)
    return files


def load(file: str) -> Tree:
    """Return the tree of a COCO JSON file with the lists images, annotations and categories.

    Outlines (`segmentation`) are left out. Raises DataError where it cannot be read or is no such
    file.
    """
    try:
        with open(file, encoding='utf-8-sig') as stream:
            # Outlines are most of a file's numbers; nothing here needs them.
            tree = json.load(stream, object_hook=_without_outline)
    except OSError as error:
        raise DataError('cannot read %s: %s' % (file, error.strerror)) from None
    except (ValueError, RecursionError) as error:
        raise DataError('%s is not valid JSON: %s' % (file, error)) from None
    for key in ('images', 'annotations', 'categories'):
        entries = tree.get(key) if isinstance(tree, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError("%s: expected a COCO file, an object with the lists images, annotations and categories; "
                            "'%s' is not there" % (file, key))
    return tree


def _without_outline(entry):
    entry.pop('segmentation', None)
    return entry


def category_names(tree: Tree, file: str) -> Dict[Id, str]:
    """Return {category id: class name} of the `tree` of `file`.

    Raises DataError for a category without them.
    """
    names = {}
    for entry in tree['categories']:
        if not isinstance(entry.get('name'), str) or not isinstance(entry.get('id'), (int, str)):
            raise DataError('%s: a category needs id and name; found %s' % (file, shown(entry)))
        names[entry['id']] = entry['name']
    return names


def boxes_by_image(tree: Tree, file: str, report: Report) -> Dict[Id, List[Box]]:
    """Return {image id: boxes} of the annotations of a file.

    Args:
        tree: of the file, as load returns it.
        file: its path, for messages.
        report: where to count the annotations that cannot be used.

    Raises:
        DataError: as category_names.
    """
    names = category_names(tree, file)
    found: Dict[Id, List[Box]] = {}
    for index, entry in enumerate(tree['annotations']):
        place = '%s, annotation %s' % (os.path.basename(file), entry.get('id', index))
        bbox = entry.get('bbox')
        category, image = entry.get('category_id'), entry.get('image_id')
        if not isinstance(category, (int, str)) or category not in names or not isinstance(image, (int, str)):
            report.skip(FOREIGN, place)
        elif not isinstance(bbox, list) or len(bbox) != 4:
            report.skip('boxes: bbox is not [x, y, width, height]', place)
        elif entry.get('iscrowd'):
            report.skip('boxes: iscrowd, one box around many objects', place)
        else:
            x, y, width, height = map(number, bbox)
            track = whole(entry.get('instance_id', entry.get('track_id')))
            box = Box(names[category], x, y, x + width - 1, y + height - 1, track, bool(entry.get('occluded')),
                      bool(entry.get('generated')))
            found.setdefault(image, []).append(box)
    return found


def image_folders(file: str, options: Options) -> List[str]:
    """Return the folders that file names in the JSON file `file` may start from: options.frames,
    or those about it.
    """
    if options.frames:
        return [options.frames]
    folder = os.path.dirname(os.path.abspath(file))
    split = stem(file).rpartition('_')[2]         # instances_train2017.json: train2017
    return [os.path.join(base, below) for base in (folder, os.path.dirname(folder))
            for below in ('', 'images', split, 'images/' + split)]


def find_image(entry: Tree, file: str, folders: Sequence[str]) -> Tuple[str, Optional[str]]:
    """Return (relative path without extension, path of the file or None) of an image.

    Args:
        entry: of the list images.
        file: path of the JSON file, for messages.
        folders: where to look for it, in this order.

    Raises:
        DataError: the entry has no id or file name, or the file name leads outside.
    """
    if not isinstance(entry.get('file_name'), str) or not isinstance(entry.get('id'), (int, str)):
        raise DataError('%s: an image needs id and file_name; found %s' % (file, shown(entry)))
    name = relative(entry['file_name'], file)
    path = next((path for path in (os.path.join(folder, name) for folder in folders) if os.path.isfile(path)), None)
    return os.path.splitext(name)[0], path


def labels_of(entry: Tree, boxes: List[Box], file: str, report: Report
              ) -> Callable[[int, int], Optional[List[Box]]]:
    """Return a function boxes(height, width) of an image, as of Item; it gives None where the file
    states another size.

    Args:
        entry: of the list images.
        boxes: of the image.
        file: path of the JSON file, for messages.
        report: where to count an image of another size.
    """
    place = '%s, %s' % (os.path.basename(file), entry['file_name'])
    declared = whole(entry.get('height')), whole(entry.get('width'))
    return lambda height, width: boxes if same_size(declared, (height, width), place, report) else None


def part_of_file(file: str) -> Optional[str]:
    """Return 'train', 'val' or 'test' where a JSON file is named so, as in instances_val2017.json,
    else None.
    """
    return part_of('/'.join(word.rstrip('0123456789') for word in stem(file).split('_')))


def _items(tree: Tree, file: str, options: Options, report: Report) -> List[Item]:
    boxes, folders = boxes_by_image(tree, file, report), image_folders(file, options)
    part, items = part_of_file(file), []
    for entry in tree['images']:
        name, path = find_image(entry, file, folders)
        items.append(Item(name, path, labels_of(entry, boxes.pop(entry['id'], []), file, report), part))
    for image, left in boxes.items():
        report.skip(FOREIGN, '%s, image_id %s' % (os.path.basename(file), image), len(left))
    return items
