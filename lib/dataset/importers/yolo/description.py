"""What data.yaml or obj.data say of a YOLO data set: class names, key points, parts."""
import os
from typing import Any, Dict, List, NamedTuple, Optional

import yaml

from lib.dataset.importers.library import Files
from lib.dataset.importers.media import IMAGE_SUFFIXES
from lib.dataset.importers.model import Report
from lib.dataset.importers.paths import part_named, parts_of, read_text, same_letters
from dff.errors import DataError, shown

_LISTS = ('train.txt', 'val.txt', 'valid.txt', 'test.txt')


class Description(NamedTuple):
    """What is known of a data set beside its labels."""

    file: str                        # that says it, for messages
    names: List[str]                 # of the classes; []: elsewhere
    key_points: int                  # numbers of the key points of a line
    parts: Dict[str, List[str]]      # by 'train', 'val', 'test': folders, lists of images, images


def read_description(src: str) -> Description:
    """Return what a YAML file in the folder `src`, or else obj.data or lists such as train.txt say.

    Raises DataError where a YAML file is malformed.
    """
    for file in sorted(name for name in os.listdir(src) if name.endswith(('.yaml', '.yml'))):
        tree = _load(os.path.join(src, file))
        names = tree.get('names')
        if isinstance(names, dict) and set(names) == set(range(len(names))):
            names = [names[i] for i in range(len(names))]
        if isinstance(names, list) and names:
            # What stands in it may be lists of lists, each many times over.
            if not all(isinstance(name, (str, int, float)) for name in names):
                raise DataError('%s: expected the names of classes in `names`, found %s'
                                % (os.path.join(src, file), shown(names)))
            names = [shown(name) if isinstance(name, int) else str(name) for name in names]
            return Description(file, [str(name) for name in names],
                               _key_points(tree.get('kpt_shape')), _parts(tree))
    if os.path.isfile(os.path.join(src, 'obj.data')):
        pairs = (line.partition('=') for line in read_text(os.path.join(src, 'obj.data')))
        values = {key.strip(): value.strip() for key, _, value in pairs}
        return Description('obj.data', [], 0, _parts(values))
    lists = [name for name in _LISTS if os.path.isfile(os.path.join(src, name))]
    return Description(' and '.join(lists), [], 0, _parts({name[:-4]: name for name in lists}))


def _load(path: str) -> Dict[Any, Any]:
    """The mapping in a YAML file; {} where it holds something else. Raises DataError."""
    try:
        with open(path, encoding='utf-8') as stream:
            tree = yaml.safe_load(stream)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError('%s is not valid YAML: %s' % (path, ' '.join(str(error).split()))) from None
    return tree if isinstance(tree, dict) else {}


def _key_points(shape: Any) -> int:
    if isinstance(shape, list) and len(shape) == 2 and all(
            isinstance(n, int) and 0 < n < 1000 for n in shape):
        return shape[0] * shape[1]
    return 0


def _parts(tree: Dict[Any, Any]) -> Dict[str, List[str]]:
    """{part: entries} of `train`, `val`, `valid` and `test`, each a path or a list of paths."""
    found: Dict[str, List[str]] = {}
    for key, value in tree.items():
        part = part_named(key) if key in ('train', 'val', 'valid', 'test') else None
        entries = value if isinstance(value, list) else [value]
        if part:
            found.setdefault(part, []).extend(entry for entry in entries
                                              if isinstance(entry, str) and entry)
    return {part: entries for part, entries in found.items() if entries}


def listed_parts(src: str, description: Description, images: List[str],
                 report: Report) -> Dict[str, str]:
    """Return {path of an image: part} as a description has it; {} where it says nothing of use.

    Args:
        src: the data set.
        description: of it.
        images: paths of all images, below src or elsewhere.
        report: where to note entries that lead nowhere, and parts that are none.

    Raises:
        DataError: an image is in two parts.
    """
    by_part: Dict[str, List[str]] = {}
    for part, entries in description.parts.items():
        for entry in entries:
            found = _images_of(entry, src, images, description.file)
            if found is None:
                report.assume('%s of %s names %s, which is not in %s: passed over'
                              % (part, description.file, entry, src))
            by_part.setdefault(part, []).extend(found or [])
    by_part = {part: paths for part, paths in by_part.items() if paths}
    if 'train' in by_part and set(by_part['train']) == set(by_part.get('val', ())):
        report.assume('train and val of %s are the same images: no parts' % description.file)
        return {}
    parts: Dict[str, str] = {}
    for part, paths in by_part.items():
        for path in paths:
            if parts.setdefault(path, part) != part and 'test' not in (part, parts[path]):
                raise DataError(
                    '%s: %s is in two parts, %s and %s: what is trained on must not be validated '
                    'with; take it out of one' % (description.file, path, parts[path], part))
    return parts


def _images_of(entry: str, src: str, images: List[str], file: str) -> Optional[List[str]]:
    """Paths of the images that a folder, a list of images or an image of a description means; None
    where there is none of that name.

    Paths are those of another machine: only their last parts count, inside the data set.
    """
    if entry.lower().endswith('.txt'):
        path = Files([src], ('.txt',)).find(entry, file)
        if path is None:
            return None
        index = Files([src], IMAGE_SUFFIXES)
        listed = (index.find(line.strip(), path) for line in read_text(path) if line.strip())
        return [image for image in listed if image]
    wanted = [
        same_letters(part) for part in entry.replace('\\', '/').split('/')
        if part not in ('', '.', '..')
    ]
    if not wanted:
        return list(images)
    found: Dict[int, List[str]] = {}
    for image in images:
        folders = list(map(same_letters, parts_of(os.path.relpath(image, src), file)[:-1]))
        # The longest beginning of the image's folders that the entry ends with; test/images is not
        # the folder images.
        length = next((n for n in range(len(folders), 0, -1)
                       if folders[:n] == wanted[-n:] and not part_named((['', *wanted])[-n - 1])),
                      0)
        if length:
            found.setdefault(length, []).append(image)
    return found[max(found)] if found else None
