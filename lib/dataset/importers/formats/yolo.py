"""YOLO text files: one an image, a line an object.

A line is `class x_centre y_centre width height` in parts of the image's sides. Longer lines are
outlines, `class x1 y1 x2 y2 ...`, of which the surrounding box is taken.
"""
import math
import os
from typing import Callable, List, Optional, Sequence, Tuple

import yaml

from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.model import IMPORTERS, Box, Item, Options, Report, Source, number, whole
from lib.dataset.importers.paths import files_below, part_of, read_text, stem
from dff.errors import DataError, shown
from dff.files import IMAGE_SUFFIXES

CLASS_FILES = ('classes.txt', 'obj.names', 'labels/classes.txt', 'data/obj.names')

NO_LABELS = ('classes', 'train', 'val', 'valid', 'test')      # lists that lie beside the labels


@IMPORTERS.register('yolo')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of YOLO.

    Class names: `names` of a data.yaml, or classes.txt or obj.names, a name a line. Folders named
    train and val say the parts. An image without text file has no object; frames of videos
    (options.clips) are known by their text files.

    Args:
        src: a folder with images and *.txt (in labels/ where the images are in images/, else beside
            them).
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of the images is there.
    """
    if not os.path.isdir(src):
        raise DataError('%s: expected a folder with images, *.txt and the class names (data.yaml or classes.txt)' % src)
    classes = class_names(src)
    roots = [src] + ([options.frames] if options.frames else [])
    images = {_key(file): os.path.join(root, file) for root in roots for file in files_below(root, IMAGE_SUFFIXES)}
    labels = {_key(file): os.path.join(src, file) for file in files_below(src, ('.txt',))
              if _key(file) in images or stem(file) not in NO_LABELS}
    items = [Item(name, images.get(name), _labels(labels.get(name), classes, report), part_of(name))
             for name in sorted(set(labels) | set(images))]
    if not items:
        raise DataError('%s: found neither images nor *.txt in it' % src)
    return Source(clips_of(items, options, src, report), classes)


def _key(file: str) -> str:
    """What a label file and its image have in common."""
    parts = os.path.splitext(file)[0].split('/')
    folders = '/'.join(part for part in parts[:-1] if part not in ('images', 'labels', 'obj_train_data'))
    return folders + '/' * (len(parts) > 1) + parts[-1]


def class_names(src: str) -> List[str]:
    """Return the class names of the data set in the folder `src`, in order.

    Raises DataError where a YAML file in it is malformed, and where it holds no class names.
    """
    for file in sorted(name for name in os.listdir(src) if name.endswith(('.yaml', '.yml'))):
        path = os.path.join(src, file)
        try:
            with open(path, encoding='utf-8') as stream:
                tree = yaml.safe_load(stream)
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise DataError('%s is not valid YAML: %s' % (path, ' '.join(str(error).split()))) from None
        names = tree.get('names') if isinstance(tree, dict) else None
        if isinstance(names, dict) and set(names) == set(range(len(names))):
            names = [names[i] for i in range(len(names))]
        if isinstance(names, list) and names:
            # What stands in it may be lists of lists, each many times over.
            if not all(isinstance(name, (str, int, float)) for name in names):
                raise DataError('%s: expected the names of classes in `names`, found %s' % (path, shown(names)))
            return [shown(name) if isinstance(name, int) else str(name) for name in names]
    files = (os.path.join(src, name) for name in CLASS_FILES)
    found = next((file for file in files if os.path.isfile(file)), None)
    if found is None:
        raise DataError('%s: found no class names; expected data.yaml with `names`, or one of %s'
                        % (src, ', '.join(CLASS_FILES)))
    return [line.strip() for line in read_text(found) if line.strip()]


def _labels(path: Optional[str], classes: List[str],
            report: Report) -> Callable[[int, int], List[Box]]:
    def boxes(height: int, width: int) -> List[Box]:
        found = []
        for line, text in enumerate(read_text(path) if path else (), 1):
            values = text.split()
            if not values:
                continue
            index, place = whole(values[0]), '%s, line %d' % (path, line)
            if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
                report.skip('boxes: the line is not `class x_centre y_centre width height`', place)
            elif index is None or not 0 <= index < len(classes):
                report.skip('boxes: the class number is none of the class names', place)
            else:
                x1, y1, x2, y2 = _edges([number(value) for value in values[1:]])
                found.append(Box(classes[index], x1 * width, y1 * height, x2 * width - 1, y2 * height - 1))
        return found
    return boxes


def _edges(values: Sequence[float]) -> Tuple[float, float, float, float]:
    """Left, top, right and bottom of `x_centre y_centre width height` or of an outline."""
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if any(math.isnan(value) for value in values):       # min and max would pass some over
        return math.nan, math.nan, math.nan, math.nan
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
