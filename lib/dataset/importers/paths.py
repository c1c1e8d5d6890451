"""Names that files of unknown origin give: read nothing outside the source, write nothing outside
the destination.
"""
import os
import re
import unicodedata
from typing import Iterable, List, Optional, Sequence, Set, Tuple

from dff.errors import DataError, shown

_DRIVE = re.compile(r'[A-Za-z]:')
_PARTS = {'train': 'train', 'training': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val',
          'test': 'test', 'testing': 'test'}
_PART = re.compile(r'(?:obj_)?([a-z]+?)(?:\d{1,4}|_data)?', re.IGNORECASE)
_WORDS = re.compile(r'[-_. ]+')
# Words of folders that say what lies in them, not whose it is: xml_a and jpg_a are both of a.
_KINDS = frozenset('''
    annotation annotations ann anns label labels xml xmls txt json gt obj
    image images img imgs img1 jpegimages jpg jpgs jpeg png photo photos picture pictures
    frame frames video videos sequence sequences media data dataset datasets'''.split())


def relative(name: object, where: str) -> str:
    """Return `name`, a path as some file gives it, as a relative path with forward slashes.

    Raises DataError, beginning with `where`, for a path that is absolute or leads upwards.
    """
    text = str(name).replace('\\', '/')
    parts = [part for part in text.split('/') if part not in ('', '.')]
    if text.startswith('/') or _DRIVE.match(text) or '..' in parts or '\0' in text or not parts:
        raise DataError('%s: the file name %s is refused: it must be a relative path that stays inside the data set'
                        % (where, shown(name)))
    return '/'.join(parts)


def parts_of(name: object, where: str) -> List[str]:
    """Return the folders and the file of `name`, a path as some file gives it, of whatever machine.

    Absolute paths lose their root, `.` and `..` are left out: what remains is for matching with
    files that are known to lie in the data set, never for opening.

    Raises DataError, beginning with `where`, where nothing remains.
    """
    text = _DRIVE.sub('', str(name).replace('\\', '/'), count=1)
    parts = [part for part in text.split('/') if part not in ('', '.', '..')]
    if not parts or '\0' in text:
        raise DataError('%s: the file name %s is refused: it names no file' % (where, shown(name)))
    return parts


def same_letters(text: str) -> str:
    """Return `text` as it is compared: other machines write é in two characters, or change case."""
    return unicodedata.normalize('NFC', text).casefold()


def owner(folders: List[str]) -> Tuple[str, ...]:
    """Return of the names of folders what says whose files they hold, as it is compared.

    Words such as images, labels and frames fall away: labels/walk and images/walk are both of walk.
    """
    kept = ('_'.join(word for word in _WORDS.split(same_letters(folder)) if word not in _KINDS)
            for folder in folders)
    return tuple(word for word in kept if word)


def output_name(text: str) -> str:
    """Return a name to write files under: the path `text`, with what no list or file system takes
    replaced by _.
    """
    text = ''.join(c if c.isprintable() and c not in '<>:"|?*' else '_' for c in str(text).replace('\\', '/'))
    parts = [part for part in map(str.strip, text.split('/')) if part.strip('.')]
    return '/'.join('_' + part[1:] if part.startswith('.') else part for part in parts) or 'clip'


def unique(name: str, taken: Set[str]) -> str:
    """Return `name`, or `name`_2, _3 ... where the set `taken` has it; add what is returned to
    `taken`.
    """
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = '%s_%d' % (name, count)
    taken.add(candidate)
    return candidate


def merged(names: Sequence[str], more: Iterable[str]) -> List[str]:
    """Return the list `names` with what it has not of `more` behind it, in order."""
    return list(dict.fromkeys([*names, *more]))


def stem(path: str) -> str:
    """Return the name of a file without folder and extension."""
    return os.path.splitext(os.path.basename(path))[0]


def part_named(word: Optional[str]) -> Optional[str]:
    """Return the part, 'train', 'val' or 'test', that a word such as Train, valid, val2017 or
    obj_train_data means, else None.
    """
    match = _PART.fullmatch(word or '')
    return _PARTS.get(match.group(1).lower()) if match else None


def part_of(path: str) -> Optional[str]:
    """Return 'train', 'val' or 'test' where a folder of the relative path is named so, as
    part_named has it, else None.
    """
    return next(filter(None, map(part_named, path.split('/'))), None)


def without_part(path: str) -> str:
    """Return a relative path without a first folder that says the part."""
    first, slash, rest = path.partition('/')
    return rest if slash and part_named(first) else path


def files_below(folder: str, suffixes: Tuple[str, ...]) -> List[str]:
    """Return relative paths, with forward slashes, of the files below `folder` that end in one of
    `suffixes`, in order.

    suffixes: lower-case; names may have them in upper case. Hidden files and folders are passed
    over. Raises DataError where `folder` does not exist.
    """
    if not os.path.isdir(folder):
        raise DataError('%s: expected a folder, which is not there' % folder)
    found: List[str] = []
    seen: Set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        # Links may go in circles.
        folders[:] = [name for name in folders if not name.startswith('.') and real not in seen]
        names = names if real not in seen else []
        seen.add(real)
        below = os.path.relpath(place, folder).replace(os.sep, '/')
        found.extend(name if below == '.' else '%s/%s' % (below, name)
                     for name in names if name.lower().endswith(suffixes) and not name.startswith('.'))
    return sorted(found)


def top_folder(folder: str) -> str:
    """Return the folder that a data set begins with: `folder`, or the only one in it, unless its
    name says more than whose it is: the part, the kind of its files, the name of a sequence.
    """
    names = os.listdir(folder)
    inner = os.path.join(folder, names[0]) if len(names) == 1 else ''
    if (not os.path.isdir(inner) or part_named(names[0]) or not owner([names[0]])
            or os.path.isdir(os.path.join(inner, 'gt'))):
        return folder
    return top_folder(inner)


def refuse_links_outside(folder: str) -> None:
    """Raise DataError for a link below `folder` that leads out of it, to other files of this machine."""
    inside = os.path.join(os.path.realpath(folder), '')
    for place, folders, names in os.walk(folder):
        for path in (os.path.join(place, name) for name in folders + names):
            if os.path.islink(path) and not (os.path.realpath(path) + os.sep).startswith(inside):
                raise DataError('%s is refused: it is a link to %s, outside %s. Import the folder that it leads to, '
                                'or put what it leads to into the data set'
                                % (path, shown(os.readlink(path)), folder))


def read_text(path: str) -> List[str]:
    """Return the lines of a UTF-8 text file, without line ends.

    Raises DataError where it cannot be read.
    """
    try:
        with open(path, encoding='utf-8-sig') as stream:
            return stream.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError('cannot read %s as UTF-8 text: %s' % (path, error)) from None
