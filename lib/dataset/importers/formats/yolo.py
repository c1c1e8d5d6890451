"""YOLO text files: one an image, a line an object.

A line is `class x_centre y_centre width height` in parts of the image's sides, with a track id, a
confidence or both behind it, or key points; or an outline or an oriented box, `class x1 y1 x2 y2
...`, of which the surrounding box is taken. yolo.lines tells which.
"""
import math
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.media import IMAGE_SUFFIXES
from lib.dataset.importers.model import IMPORTERS, Box, Clip, Item, Options, Report, Source, number
from lib.dataset.importers.model import recognises, whole
from lib.dataset.importers.paths import files_below, part_of, read_text, same_letters, stem
from lib.dataset.importers.yolo.lines import LineReader, Unreadable
from lib.dataset.importers.yolo.description import Description, listed_parts, read_description
from dff.errors import DataError

CLASS_FILES = ('classes.txt', 'obj.names', 'labels/classes.txt', 'data/obj.names')

NO_LABELS = ('classes', 'train', 'val', 'valid', 'test')      # lists that lie beside the labels
FIRST = 200      # label files that are looked at to recognise a data set; many are empty
_DROPPED = ('images', 'labels', 'obj_train_data')


class Texts(NamedTuple):
    """The text files of a data set."""

    files: List[str]
    classes: List[str]
    key_points: int         # numbers of the key points of a line as data.yaml states them, or 0


@IMPORTERS.register('yolo')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of YOLO.

    Class names: `names` of a data.yaml, or classes.txt or obj.names, a name a line. `train`, `val`
    and `test` of data.yaml or obj.data, or else folders named so, say the parts. An image without
    text file has no object; frames of videos (options.clips) are known by their text files.

    Args:
        src: a folder with images and *.txt (in labels/ where the images are in images/, else beside
            them).
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of the images is there.
    """
    def labels(found: Texts) -> Callable[[Optional[str]], Callable[[int, int], Any]]:
        reader = LineReader(found.files, len(found.classes), found.key_points, report)
        return lambda path: _labels(path, found.classes, reader, report)
    classes: List[str] = []
    return Source(clips_with(labels, classes, src, options, report), classes)


def clips_with(labels_of: Callable[[Texts], Callable[[Optional[str]], Callable[[int, int], Any]]],
               classes: List[str], src: str, options: Options, report: Report) -> List[Clip]:
    """Return the clips of a data set.

    Args:
        labels_of: given all text files, returns what gives for one of them, or None, what is
            labelled in its image, as Item.boxes.
        classes: gets the class names.
        src, options, report: as of read.

    Raises:
        DataError: as read.
    """
    if not os.path.isdir(src):
        raise DataError('%s: expected a folder with images, *.txt and the class names (data.yaml or classes.txt)' % src)
    description = read_description(src)
    classes += _class_names(src, description)
    roots = [src] + ([options.frames] if options.frames else [])
    images: Dict[str, str] = {}
    for root in roots:
        for file in files_below(root, IMAGE_SUFFIXES):
            path = os.path.join(root, file)
            other = images.setdefault(_key(file), path)
            if os.path.realpath(other) != os.path.realpath(path):
                raise DataError('%s and %s: one label file would be of both; take one away'
                                % (other, path))
    parts = listed_parts(src, description, list(images.values()), report)
    labels = {_key(file): os.path.join(src, file) for file in files_below(src, ('.txt',))
              if _key(file) in images or _may_be_labels(src, file)}
    # As other machines write names: é in two characters, .JPG, Images/ and Labels/.
    known = {same_letters(name): name for name in images}
    labels = {known.get(same_letters(name), name): path for name, path in labels.items()}
    opener = labels_of(Texts(list(labels.values()), classes, description.key_points))
    items = []
    for name in sorted(set(labels) | set(images)):
        image = images.get(name)
        if parts and image and image not in parts and part_of(name) is None:
            report.skip('images: in none of the parts that %s names' % description.file, name)
            continue
        items.append(Item(name.strip('/'), image, opener(labels.get(name)),
                          parts.get(image or '') or part_of(name)))
    if not items:
        raise DataError('%s: found neither images nor *.txt in it' % src)
    return clips_of(items, options, src, report)


@recognises('yolo', 'class names, and text lines of a class number and 4 or more numbers')
def _recognise(src: str) -> Optional[str]:
    return file_with_line(src, lambda columns: columns >= 5)


def file_with_line(src: str, fits: Callable[[int], bool]) -> Optional[str]:
    """Return the first text file of a data set whose first line has a class number and as many
    columns of numbers as `fits` takes, or None. Raises DataError where there are no class names."""
    files = files_below(src, ('.txt',)) if os.path.isdir(src) else []
    files = [file for file in files if stem(file) not in NO_LABELS and file not in CLASS_FILES]
    for file in files[:FIRST]:
        path = os.path.join(src, file)
        values = next(filter(None, (line.split() for line in read_text(path))), [''])
        if fits(len(values)) and whole(values[0]) is not None and all(
                map(math.isfinite, map(number, values))):
            _class_names(src, read_description(src))
            return path
    return None


def _may_be_labels(src: str, file: str) -> bool:
    """Whether a text file without image may hold the labels of a frame, or is a list or a
    README.
    """
    if stem(file) in NO_LABELS or file in CLASS_FILES:
        return False
    words = (line.split() for line in read_text(os.path.join(src, file)))
    first = next(filter(None, words), None)
    return first is None or number(first[0]) == number(first[0])


def _key(file: str) -> str:
    """What a label file and its image have in common."""
    parts = os.path.splitext(file)[0].split('/')
    folders = '/'.join(part for part in parts[:-1] if part.lower() not in _DROPPED)
    return folders + '/' * (len(parts) > 1) + parts[-1]


def _class_names(src: str, description: Description) -> List[str]:
    """The class names of the data set in the folder `src`, in order. Raises DataError for none."""
    if description.names:
        return description.names
    files = (os.path.join(src, name) for name in CLASS_FILES)
    found = next((file for file in files if os.path.isfile(file)), None)
    if found is None:
        raise DataError('%s: found no class names; expected data.yaml with `names`, or one of %s'
                        % (src, ', '.join(CLASS_FILES)))
    return [line.strip() for line in read_text(found) if line.strip()]


def _labels(path: Optional[str], classes: List[str], reader: LineReader,
            report: Report) -> Callable[[int, int], List[Box]]:
    def boxes(height: int, width: int) -> List[Box]:
        found = []
        for line, text in enumerate(read_text(path) if path else (), 1):
            values = text.split()
            if not values:
                continue
            index, place = whole(values[0]), '%s, line %d' % (path, line)
            if index is None or not 0 <= index < len(classes):
                report.skip('boxes: the class number is none of the class names', place)
                continue
            try:
                (x1, y1, x2, y2), track = reader.read(values, place)
            except Unreadable as error:
                report.skip('boxes: %s' % error, place)
                continue
            found.append(
                Box(classes[index], x1 * width, y1 * height, x2 * width - 1, y2 * height - 1,
                    track))
        return found
    return boxes
