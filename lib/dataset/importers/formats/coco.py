"""COCO detection JSON (cocodataset.org, "data format"): images, annotations with bbox [x, y, width, height], categories."""
import json
import os

from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.model import IMPORTERS, Box, Item, Source, number, same_size, whole
from lib.dataset.importers.paths import files_below, merged, part_of, relative, stem
from dff.errors import DataError, shown

FOREIGN = 'boxes: their category_id or image_id is none of the file'


@IMPORTERS.register('coco')
def read(src, options, report):
    """The Source of a JSON file, or of a folder with annotations/*.json or *.json; a file named train or val is that part."""
    items, classes = [], []
    for file in json_files(src):
        tree = load(file)
        classes = merged(classes, category_names(tree, file).values())
        items += _items(tree, file, options, report)
    return Source(clips_of(items, options, src if os.path.isdir(src) else os.path.dirname(os.path.abspath(src)), report), classes)


def json_files(src):
    """The annotation files of `src`: of a folder those named instances_*.json, else all. Raises DataError."""
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


def load(file):
    """The tree of a COCO JSON file with the lists images, annotations and categories. Raises DataError."""
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
            raise DataError("%s: expected a COCO file, an object with the lists images, annotations and categories; '%s' is not there"
                            % (file, key))
    return tree


def _without_outline(entry):
    entry.pop('segmentation', None)
    return entry


def category_names(tree, file):
    """{category id: class name}. Raises DataError."""
    names = {}
    for entry in tree['categories']:
        if not isinstance(entry.get('name'), str) or not isinstance(entry.get('id'), (int, str)):
            raise DataError('%s: a category needs id and name; found %s' % (file, shown(entry)))
        names[entry['id']] = entry['name']
    return names


def boxes_by_image(tree, file, report):
    """{image id: [Box]} of the annotations; those that cannot be used are counted."""
    names, found = category_names(tree, file), {}
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


def image_folders(file, options):
    """Folders that file names of a JSON file may start from."""
    if options.frames:
        return [options.frames]
    folder = os.path.dirname(os.path.abspath(file))
    split = stem(file).rpartition('_')[2]         # instances_train2017.json: train2017
    return [os.path.join(base, below) for base in (folder, os.path.dirname(folder)) for below in ('', 'images', split, 'images/' + split)]


def find_image(entry, file, folders):
    """(name without extension, path or None) of an entry of images. Raises DataError for a file name that leads outside."""
    if not isinstance(entry.get('file_name'), str) or not isinstance(entry.get('id'), (int, str)):
        raise DataError('%s: an image needs id and file_name; found %s' % (file, shown(entry)))
    name = relative(entry['file_name'], file)
    path = next((path for path in (os.path.join(folder, name) for folder in folders) if os.path.isfile(path)), None)
    return os.path.splitext(name)[0], path


def labels_of(entry, boxes, file, report):
    """boxes(height, width) of an image: None where the file states another size."""
    place = '%s, %s' % (os.path.basename(file), entry['file_name'])
    declared = whole(entry.get('height')), whole(entry.get('width'))
    return lambda height, width: boxes if same_size(declared, (height, width), place, report) else None


def part_of_file(file):
    """'train', 'val' or 'test' where a JSON file is named so, as in instances_val2017.json, else None."""
    return part_of('/'.join(word.rstrip('0123456789') for word in stem(file).split('_')))


def _items(tree, file, options, report):
    boxes, folders = boxes_by_image(tree, file, report), image_folders(file, options)
    part, items = part_of_file(file), []
    for entry in tree['images']:
        name, path = find_image(entry, file, folders)
        items.append(Item(name, path, labels_of(entry, boxes.pop(entry['id'], []), file, report), part))
    for image, left in boxes.items():
        report.skip(FOREIGN, '%s, image_id %s' % (os.path.basename(file), image), len(left))
    return items
