"""Names that files of unknown origin give: read nothing outside the source, write nothing outside
the destination.
"""
import os
import re
from typing import Iterable, List, Optional, Sequence, Set, Tuple

from dff.errors import DataError, shown

_DRIVE = re.compile(r'[A-Za-z]:')
_PARTS = {'train': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'}


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


def part_of(path: str) -> Optional[str]:
    """Return 'train', 'val' or 'test' where a folder of the relative path is named so, else None."""
    return next((_PARTS[part.lower()] for part in path.split('/') if part.lower() in _PARTS), None)


def without_part(path: str) -> str:
    """Return a relative path without a first folder that says the part."""
    first, slash, rest = path.partition('/')
    return rest if slash and first.lower() in _PARTS else path


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
