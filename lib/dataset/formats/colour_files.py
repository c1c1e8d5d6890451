"""Lists of classes as tools write them beside label maps: a colour or a grey value for each name.
"""
import os
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from dff.errors import DataError, shown

Colour = Tuple[int, int, int]

# File names that they have, the most telling first.
NAMES = ('labelmap.txt', 'label_colors.txt', 'class_dict.csv', 'classes.csv', '_classes.csv',
         'classes.txt', 'class_names.txt')
FORMS = ('`name:r,g,b::` (CVAT, VOC), `name,r,g,b`, `r g b name` (CamVid), `name r g b`, or '
         '`value,name` (Roboflow)')
_NUMBER = r'\s*(\d{1,3})\s*'
_LABELMAP = re.compile(r'([^:]*):(?:%s,%s,%s)?(?::[^:]*){0,2}' % ((_NUMBER,) * 3))
_CSV = re.compile('(.+?),%s,%s,%s' % ((_NUMBER,) * 3))
_CAMVID = re.compile(r'(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(\S.*)')
_PLAIN = re.compile(r'(\S.*?)(?:\s+(\d{1,3})\s+(\d{1,3})\s+(\d{1,3}))?')
_VALUE = re.compile(_NUMBER + ',(.+)')


# Names of what is no class: pixels that neither training nor evaluation counts.
_VOID = frozenset(('void', 'unlabelled', 'unlabeled', 'ignore', 'ignored', 'ignore label',
                   'rectification border', 'out of roi'))


def is_void(name: str) -> bool:
    """Return whether `name` is that of pixels to ignore, as void or __ignore__."""
    return name.strip('_- ').lower().replace('_', ' ') in _VOID


class ListedClass(NamedTuple):
    """A line of a list of classes."""

    name: str
    colour: Optional[Colour] = None
    value: Optional[int] = None      # of its pixels, where the list gives values


def read_colour_file(path: str) -> List[ListedClass]:
    """Return the classes that a file lists, in order, told by the form of its lines (FORMS).

    Empty lines, comments (#) and the head of a CSV file do not count.

    Raises:
        DataError: it cannot be read, is empty, or a line is of another form; colours are beyond
            255, or two classes share one.
    """
    lines = _lines(path)
    for parse, title in ((_of_labelmap, None), (_of_values, 'pixel'), (_of_csv, 'name'),
                         (_of_camvid, None), (_of_plain, None)):
        head = lines[0][1]
        is_title = bool(title) and str(title) in head.lower() and parse(head) is None
        rest = lines[1:] if is_title else lines
        found = [(number, parse(text)) for number, text in rest]
        # The first line says the form; what others lack is an error of theirs.
        if found and found[0][1] is not None:
            break
    classes: List[ListedClass] = []
    for number, entry in found:
        if entry is None or not entry.name:
            raise DataError('%s, line %d: expected the form of the lines before, one of %s; found '
                            '%s' % (path, number, FORMS, shown(dict(lines)[number])))
        if max(entry.colour or (entry.value or 0,)) > 255:
            raise DataError('%s, line %d: red, green and blue, or the value, are 0 to 255; found %s'
                            % (path, number, shown(dict(lines)[number])))
        classes.append(entry)
    _check(classes, path)
    return classes


def find_colour_file(folder: str) -> Optional[str]:
    """Return the path of the list of classes in a folder or in those below it, else None.

    Raises DataError where there are several that differ.
    """
    found: Dict[str, List[str]] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in names:
            if name.lower() in NAMES:
                found.setdefault(name.lower(), []).append(os.path.join(place, name))
    files = next((found[name] for name in NAMES if name in found), [])
    if len(files) > 1:
        first = read_colour_file(files[0])
        for other in files[1:]:
            if read_colour_file(other) != first:
                raise DataError('%s and %s list different classes; import them one by one, or take '
                                'one away' % (files[0], other))
    return files[0] if files else None


def _lines(path: str) -> List[Tuple[int, str]]:
    """(number, text) of the lines that count. Raises DataError."""
    try:
        with open(path, encoding='utf-8-sig') as stream:
            lines = [(number, line.strip()) for number, line in enumerate(stream, 1)]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError('cannot read the class file %s as UTF-8 text: %s' % (path, error)) from None
    lines = [(number, line) for number, line in lines if line and not line.startswith('#')]
    if not lines:
        raise DataError('the class file %s is empty; expected lines %s' % (path, FORMS))
    return lines


def _colour(values: Tuple[Optional[str], ...]) -> Optional[Colour]:
    red, green, blue = values
    return None if red is None else (int(red), int(green or 0), int(blue or 0))


def _of(pattern: 're.Pattern[str]', make: Callable[..., ListedClass]
        ) -> Callable[[str], Optional[ListedClass]]:
    def parse(text: str) -> Optional[ListedClass]:
        match = pattern.fullmatch(text)
        return make(*match.groups()) if match else None
    return parse


_of_labelmap = _of(_LABELMAP, lambda name, *c: ListedClass(name.strip(), _colour(c)))
_of_csv = _of(_CSV, lambda name, *c: ListedClass(name.strip(' "'), _colour(c)))
_of_camvid = _of(_CAMVID, lambda r, g, b, name: ListedClass(name.strip(), _colour((r, g, b))))
_of_plain = _of(_PLAIN, lambda name, *c: ListedClass(name.strip(), _colour(c)))
_of_values = _of(_VALUE, lambda value, name: ListedClass(name.strip(' "'), None, int(value)))


def _check(classes: List[ListedClass], path: str) -> None:
    """DataError where two names share a colour or value, or a name has two."""
    names: Dict[str, ListedClass] = {}
    keys: Dict[object, str] = {}
    for entry in classes:
        if names.setdefault(entry.name, entry) != entry:
            raise DataError("%s: the class '%s' is listed twice, with two colours"
                            % (path, entry.name))
        key = entry.colour or entry.value
        other = keys.setdefault(key, entry.name)
        if key is not None and other != entry.name and not is_void(entry.name) & is_void(other):
            raise DataError("%s: '%s' and '%s' have the same colour, %s"
                            % (path, other, entry.name,
                               ' '.join(map(str, entry.colour or (entry.value,)))))
