"""COCO detection JSON (cocodataset.org, "data format").

images, annotations with bbox [x, y, width, height], categories.
"""
import json
import os
import re
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.library import Library
from lib.dataset.importers.model import (IMPORTERS, Box, Item, Options, Report, Source, fitted,
                                         number, recognises, whole)
from lib.dataset.importers.paths import files_below, merged, owner, part_of, parts_of, stem
from dff.errors import DataError, shown

FOREIGN = 'boxes: their category_id or image_id is none of the file'

Tree = Dict[str, Any]           # a JSON object: a whole file, or an entry of one of its lists
Id = Union[int, str]            # of an image, category or video


@IMPORTERS.register('coco')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of COCO JSON.

    Args:
        src: a JSON file, or a folder with annotations/*.json or *.json; a file named train or val,
            or in a folder named so, is that part, else an image in such a folder.
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
        items += _items(tree, file, src, options, report)
    root = src if os.path.isdir(src) else os.path.dirname(os.path.abspath(src))
    return Source(clips_of(items, options, root, report), classes)


@recognises('coco', 'JSON with the lists images, annotations and categories, without videos')
def _recognise(src: str) -> Optional[str]:
    return file_with_videos(src, False)


def file_with_videos(src: str, videos: bool) -> Optional[str]:
    """Return the first COCO JSON file of a data set if it is of the kind that is asked for.

    Args:
        src: a file or folder, as of read.
        videos: whether the list videos must be in it, or must not.

    Raises:
        DataError: the file cannot be read, or is no COCO JSON.
    """
    if os.path.isfile(src) and not src.lower().endswith('.json'):
        return None
    if os.path.isdir(src) and not files_below(src, ('.json',)):
        return None
    file = json_files(src)[0]
    return file if bool(load(file).get('videos')) == videos else None


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


def _without_outline(entry):
    entry.pop('segmentation', None)
    return entry


def load(file: str, hook: Callable[[Tree], Any] = _without_outline) -> Tree:
    """Return the tree of a COCO JSON file with the lists images, annotations and categories.

    Args:
        file: its path.
        hook: what becomes of each object in it; by default outlines (`segmentation`) are left out.

    Raises:
        DataError: it cannot be read, or is no such file.
    """
    try:
        with open(file, encoding='utf-8-sig') as stream:
            # Outlines are most of a file's numbers; nothing here needs them.
            tree = json.load(stream, object_hook=hook)
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
            # CVAT writes what it has no place for into attributes.
            more = entry.get('attributes') if isinstance(entry.get('attributes'), dict) else {}
            tracks = (whole(of.get(key)) for of in (entry, more)
                      for key in ('instance_id', 'track_id'))
            track = next((found for found in tracks if found is not None), None)
            box = Box(names[category], x, y, x + width - 1, y + height - 1, track,
                      bool(entry.get('occluded', more.get('occluded'))),
                      bool(entry.get('generated')))
            found.setdefault(image, []).append(box)
    return found


class ImageFolders:
    """Where the images of a JSON file may be."""

    def __init__(self, file: str, src: str, frames: Optional[str]) -> None:
        """Look in the folder `frames` or, where that is None, in the data set.

        file: the JSON file; src: the data set, a folder or the file itself, beside which images are
        then, or beside the folder annotations/ that it lies in.
        """
        folder = os.path.dirname(os.path.abspath(file))
        root = os.path.abspath(src) if os.path.isdir(src) else folder
        if root == folder and os.path.basename(folder) in ('annotations', 'labels'):
            root = os.path.dirname(folder)
        around = [folder] if root == folder else [folder, os.path.dirname(folder)]
        split = stem(file).rpartition('_')[2]         # instances_train2017.json: train2017
        self.places = [frames] if frames else [
            os.path.join(base, below) for base in around
            for below in (split, 'images/' + split, '', 'images')
        ]
        self.library = Library([frames or root])

    def find(self, name: object, file: str) -> Optional[str]:
        """Return the path of the image `name` of the JSON file `file`, or None.

        Raises DataError where several images answer to it, or it is no name.
        """
        below = '/'.join(parts_of(name, file))
        direct = (os.path.join(place, below) for place in self.places)
        return next(filter(os.path.isfile, direct), None) or self.library.images.find(name, file)


def image_folders(file: str, src: str, options: Options) -> ImageFolders:
    """Return where the images of the JSON file `file` of the data set `src` may be: in
    options.frames, or in the data set.
    """
    return ImageFolders(file, src, options.frames)


def find_image(entry: Tree, file: str, folders: ImageFolders) -> Tuple[str, Optional[str]]:
    """Return (relative path without extension, path of the file or None) of an image.

    Args:
        entry: of the list images.
        file: path of the JSON file, for messages.
        folders: as of image_folders.

    Raises:
        DataError: the entry has no id or file name, or several files answer to the file name.
    """
    if not isinstance(entry.get('file_name'), str) or not isinstance(entry.get('id'), (int, str)):
        raise DataError('%s: an image needs id and file_name; found %s' % (file, shown(entry)))
    parts = parts_of(entry['file_name'], file)
    path = folders.find(entry['file_name'], file)
    if path and len(parts) > 1 and re.match(r'[A-Za-z]:|[\\/]|\.\.', entry['file_name']):
        # The folders are those of another machine; here, those that say whose the image is.
        here = os.path.relpath(path, folders.library.roots[0]).split(os.sep)[:-1]
        parts = [folder for folder in here if owner([folder])] + parts[-1:]
    return os.path.splitext('/'.join(parts))[0], path


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
    return lambda height, width: fitted(boxes, declared, (height, width), place, report)


def part_of_file(file: str, src: Optional[str] = None) -> Optional[str]:
    """Return the part that a JSON file is of: 'train', 'val' or 'test', or None.

    Args:
        file: its path; instances_val2017.json and valid/_annotations.coco.json are of val.
        src: the data set, a folder or the file itself, below which folders say the part.
    """
    named = part_of(stem(file).replace('_', '/'))
    below = os.path.relpath(os.path.dirname(file), src) if src and os.path.isdir(src) else ''
    return named or part_of(below.replace(os.sep, '/'))


def _items(tree: Tree, file: str, src: str, options: Options, report: Report) -> List[Item]:
    boxes, folders = boxes_by_image(tree, file, report), image_folders(file, src, options)
    part, items = part_of_file(file, src), []
    for entry in tree['images']:
        name, path = find_image(entry, file, folders)
        labels = labels_of(entry, boxes.pop(entry['id'], []), file, report)
        items.append(Item(name, path, labels, part or part_of(os.path.dirname(name))))
    for image, left in boxes.items():
        report.skip(FOREIGN, '%s, image_id %s' % (os.path.basename(file), image), len(left))
    return items
