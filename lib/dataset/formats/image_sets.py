"""Image sets: the text files that list what to train or test on, one entry a line, fields split
by blanks.

    DET_*.txt           path index                        still images
    VID_*.txt           clip_dir 1 frame_id clip_length   single labelled frames of clips (training)
    VID_*.txt           path frame_number                 frames, numbered over the whole set
    VID_*_videos*.txt   clip_dir first_number 0 clip_length   whole clips; frames are numbered first_number, +1, ...

The tree (DET or VID) is what stands before the first `_` of the name; the two VID forms without `videos` in
their name are told apart by their first line. Paths are below Data/<tree>, without extension, and may hold spaces.
Lists of other tools are taken too: several blanks or tabs between fields, backslashes in paths,
.JPEG behind them.
"""
import os
import re
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from lib.dataset.formats.problems import ReportFunction, refuse
from dff.errors import ConfigError, DataError, shown
from dff.files import atomic_path

FORMATS = {
    'stills': 'path index',
    'training': 'clip_dir 1 frame_id clip_length',
    'frames': 'path frame_number',
    'videos': 'clip_dir first_number 0 clip_length',
}
# Frames of a clip and of a list: more is a mistake that would fill the memory (300 bytes a frame).
MAX_CLIP, MAX_FRAMES = 10 ** 6, 2 * 10 ** 6
_TWO_FIELDS = re.compile(r'\s*(\S.*?)\s+(\d{1,9})')
_FOUR_FIELDS = re.compile(r'\s*(\S.*?)\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})')
_NUMBERS = re.compile(r'.*?\s(\d+(?:\s+\d+)+)')      # a path that ends in numbers of its own
_ENDING = re.compile(r'\.jpe?g$', re.IGNORECASE)


class Entry(NamedTuple):
    """One image of an image set."""

    path: str             # below Data/<tree>, without extension
    number: int           # frame number in detection files (frames, videos); the index (stills); 1 (training)
    clip: Optional[str]   # folder of the clip; None for a still image
    frame_id: int         # place in the clip, from 0; 0 for a still image
    clip_length: int      # frames of the clip; 1 for a still image
    line: int             # line of the image set, from 1


@dataclass
class ImageSet:
    """A parsed image set."""

    name: str             # file name without .txt
    file: str             # path of the file
    tree: str             # 'DET' or 'VID'
    kind: str             # key of FORMATS
    entries: List[Entry]

    def where(self, entry: Entry) -> str:
        """Return `file, line n`, for messages about an entry."""
        return '%s, line %d' % (self.file, entry.line)


def read_image_set(folder: str, name: str, report: ReportFunction = refuse) -> ImageSet:
    """Parse <folder>/<name>.txt.

    Args:
        folder: of the image sets.
        name: of the image set; it begins with the tree, DET_ or VID_.
        report: what to do about a malformed line, and about a frame number that stands there
            already; by default the first raises DataError naming the line and what was expected.
            Where it returns, malformed lines are left out.

    Raises:
        ConfigError: the name is of no tree.
        DataError: the file is missing, empty, or holds more than MAX_FRAMES frames.
    """
    tree = name.split('_', 1)[0]
    if tree not in ('DET', 'VID') or '_' not in name:
        raise ConfigError("image set '%s': the name must start with DET_ or VID_, which says where its images are"
                          % name)
    file = os.path.join(folder, name + '.txt')
    lines = _read_lines(file)
    kind = _kind(tree, name, lines[0][1])
    entries: List[Entry] = []
    clips: Dict[Optional[str], Optional[str]] = {}        # one text for all frames of a clip
    _check_total(kind, lines, file)
    data = os.path.join(os.path.dirname(os.path.abspath(folder)), 'Data', tree)
    for number, text in lines:
        where = '%s, line %d' % (file, number)
        if _has_too_much(kind, text, data):
            _malformed(kind, text, where, report, '; there are more numbers than that')
            continue
        for entry in _parse_line(kind, text, where, number, report):
            entries.append(entry._replace(clip=clips.setdefault(entry.clip, entry.clip)))
    if kind == 'frames':
        entries = _with_clip_lengths(entries)
    if kind in ('frames', 'videos'):
        _check_numbers(entries, file, report)
    return ImageSet(name, file, tree, kind, entries)


def _read_lines(file: str) -> List[Tuple[int, str]]:
    """(line number, text) of every line that is not blank; DataError where there is none."""
    folder = os.path.dirname(file)
    if os.path.exists(file) and not os.path.isfile(file):
        raise DataError('image set %s is a folder, a pipe or a device: a text file is expected' % file)
    if not os.path.isfile(file):
        found = sorted(f[:-4] for f in os.listdir(folder) if f.endswith('.txt')) if os.path.isdir(folder) else []
        raise DataError('image set %s does not exist; there %s'
                        % (file, 'are %s' % ', '.join(found) if found else 'is none in its folder'))
    try:
        with open(file, encoding='utf-8-sig') as stream:
            lines = [(i, text.rstrip()) for i, text in enumerate(stream, 1) if text.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError('image set %s cannot be read as UTF-8 text: %s' % (file, error)) from None
    if not lines:
        raise DataError('image set %s is empty' % file)
    return lines


def _kind(tree, name, first_line):
    if tree == 'DET':
        return 'stills'
    if 'videos' in name.split('_'):
        return 'videos'
    return 'training' if _FOUR_FIELDS.fullmatch(first_line) else 'frames'


def _check_total(kind, lines, file):
    """DataError where a list holds more than MAX_FRAMES frames, before any is made."""
    total = 0
    for number, text in lines:
        match = _FOUR_FIELDS.fullmatch(text) if kind == 'videos' else None
        total += min(int(match.group(4)), MAX_CLIP) if match else 1
        if total > MAX_FRAMES:
            raise DataError('%s, line %d: the list holds more than %d frames' % (file, number, MAX_FRAMES))


def _has_too_much(kind, text, data):
    """Whether more numbers stand in a line than its form has, and no folder or file of `data` has a
    name that ends in them.
    """
    match = (_FOUR_FIELDS if kind in ('training', 'videos') else _TWO_FIELDS).fullmatch(text)
    if not match or not _NUMBERS.fullmatch(match.group(1)):
        return False
    path = os.path.join(data, _clean_path(match.group(1), kind))
    return not os.path.exists(path if kind in ('training', 'videos') else path + '.JPEG')


def _parse_line(kind, text, where, number, report):
    """The entries of one line: one, or the frames of a clip for `videos`; none where it is
    malformed.
    """
    four = _FOUR_FIELDS.fullmatch(text)
    match = four if kind in ('training', 'videos') else None if four else _TWO_FIELDS.fullmatch(text)
    if not match:
        return _malformed(kind, text, where, report)
    path, values = _clean_path(match.group(1), kind), [int(v) for v in match.groups()[1:]]
    if os.path.isabs(path) or '..' in path.split('/') or '\0' in path:
        return _malformed(kind, text, where, report, '; the path must be inside the folder of the data set')
    if kind == 'stills':
        return [Entry(path, values[0], None, 0, 1, number)]
    if kind == 'frames':
        clip, _, frame = path.rpartition('/')
        if len(frame) == 6 and frame.isdigit():
            return [Entry(path, values[0], clip, int(frame), 1, number)]
        return [Entry(path, values[0], None, 0, 1, number)]
    first, frame_id, length = values
    if length > MAX_CLIP:
        return _malformed(kind, text, where, report, '; a clip has at most %d frames' % MAX_CLIP)
    if kind == 'training':
        if frame_id >= length:
            return _malformed(kind, text, where, report, '; frame_id must be below clip_length')
        return [Entry('%s/%06d' % (path, frame_id), first, path, frame_id, length, number)]
    if frame_id != 0 or length == 0:
        return _malformed(kind, text, where, report, '; the third field must be 0, the fourth at least 1')
    return [Entry('%s/%06d' % (path, i), first + i, path, i, length, number) for i in range(length)]


def _clean_path(path, kind):
    """A path as other tools write it, in the form of the official lists: slashes, and no ending
    behind an image."""
    if '\\' in path:
        path = path.replace('\\', '/')
    return _ENDING.sub('', path) if kind in ('stills', 'frames') else path


def _malformed(kind, text, where, report, remark=''):
    report('list syntax', where, "expected '%s', fields split by blanks, numbers below 1e9%s; found %s"
           % (FORMATS[kind], remark, shown(text)))
    return []


def _with_clip_lengths(entries):
    """Frames of a `frames` list know their clip's length from the last one listed."""
    lengths: Dict[Optional[str], int] = {}
    for entry in entries:
        lengths[entry.clip] = max(lengths.get(entry.clip, 0), entry.frame_id + 1)
    return [entry if entry.clip is None else entry._replace(clip_length=lengths[entry.clip]) for entry in entries]


def _check_numbers(entries, file, report):
    seen: Dict[int, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.number, entry)
        if other is not entry:
            report('frame number twice', '%s, line %d' % (file, entry.line),
                   'frame number %d is already on line %d; every frame needs its own' % (entry.number, other.line))


def write_image_set(folder: str, name: str, kind: str, entries: Sequence[Entry]) -> str:
    """Write an image set and return its path, <folder>/<name>.txt.

    Args:
        folder: of the image sets; made if needed.
        name: of the image set.
        kind: key of FORMATS.
        entries: in order; their `line` is not used. Of a `videos` list the first frame of each clip
            is written.
    """
    lines = []
    for e in entries:
        if kind in ('stills', 'frames'):
            lines.append('%s %d' % (e.path, e.number))
        elif kind == 'training':
            lines.append('%s 1 %d %d' % (e.clip, e.frame_id, e.clip_length))
        elif e.frame_id == 0:
            lines.append('%s %d 0 %d' % (e.clip, e.number, e.clip_length))
    file = os.path.join(folder, name + '.txt')
    with atomic_path(file) as temporary:
        with open(temporary, 'w', encoding='utf-8', newline='\n') as stream:
            stream.write('\n'.join(lines) + '\n')
    return file
