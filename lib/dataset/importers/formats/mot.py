"""MOT Challenge ground truth (arXiv 1504.01942 and 1603.00831), and what others write in its form.

gt.txt lines, frames and pixels counted from 1, told apart by the number of columns and their
values:
`frame,track,left,top,width,height,considered,class,visibility` of MOT16 and later;
`frame,track,left,top,width,height,considered,x,y,z` of 2015, with places in the world or -1;
`frame,track,left,top,width,height,considered,category,truncation,occlusion` of VisDrone, pixels
counted from 0.
"""
import math
import os
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from lib.dataset.importers.library import Library
from lib.dataset.importers.media import Media
from lib.dataset.importers.model import (IMPORTERS, Box, Clip, Labels, Options, Report, Source,
                                         fitted, number, recognises, whole)
from lib.dataset.importers.numbering import Counted, origins
from lib.dataset.importers.paths import files_below, part_of, read_text
from dff.errors import DataError, shown

# Class numbers 1 to 13 of MOT16, MOT17 and MOT20; other data sets list theirs in labels.txt beside gt.txt.
CLASSES = ('pedestrian', 'person_on_vehicle', 'car', 'bicycle', 'motorbike', 'non_motorized_vehicle', 'static_person',
           'distractor', 'occluder', 'occluder_on_ground', 'occluder_full', 'reflection', 'crowd')
# Categories 1 to 11 of VisDrone; 0 are regions to ignore, which are not considered.
VISDRONE = ('pedestrian', 'people', 'bicycle', 'car', 'van', 'truck', 'tricycle', 'awning-tricycle',
            'bus', 'motor', 'others')
OCCLUDED_BELOW = 0.5      # visibility
HEAVILY = 2               # VisDrone's occlusion: more than half
_DETECTOR = re.compile(r'-(DPM|FRCNN|SDP)$')
VISDRONE_COLUMNS = 8, 10     # in a folder annotations/: of images, of sequences
FIRST = 20                # files that are looked at to recognise a data set
_LISTS = ('train', 'val', 'valid', 'test')


class _Sequence(NamedTuple):
    """A gt.txt and its frames."""

    name: str
    path: str
    media: Media
    frames: Set[int]           # that are labelled
    visdrone: bool             # whether it has VisDrone's columns
    names: Dict[int, str]      # classes
    part: Optional[str]
    size: Tuple[Optional[int], Optional[int]]      # height, width of the frames that were labelled


@IMPORTERS.register('mot')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of MOT Challenge.

    Args:
        src: folder of a sequence, of sequences (<name>/gt/gt.txt, <name>/img1), or of <name>.txt
            files each with a video or a folder of frames of its name, wherever they are below it or
            options.frames. Folders named train and val, or train.txt and val.txt with a name a
            line, say the parts.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or no sequence is found.
    """
    files = files_below(src, ('.txt',))
    sequences = {os.path.dirname(os.path.dirname(file)): file for file in files if ('/' + file).endswith('/gt/gt.txt')}
    parts = _listed_parts(src, files)
    if not sequences:
        sequences = {os.path.splitext(file)[0]: file for file in files
                     if os.path.basename(file) != 'labels.txt' and file not in parts.files}
    found: List[_Sequence] = []
    seen: Set[str] = set()
    library = Library(([options.frames] if options.frames else []) + [src])
    for name, file in sorted(sequences.items()):
        plain = _DETECTOR.sub('', name)
        if plain in seen:
            report.skip('sequences: the same frames as another (MOT17 lists each once for every detector)', name)
            continue
        seen.add(plain)
        path = os.path.join(src, file)
        media = library.clip([name or '.'], library.roots, path)
        if media is None and len(sequences) == 1:
            media = library.only_clip(path, report)
        if media is None:
            report.skip('sequences: no frames (img1) and no video of their name', name or src)
            continue
        own = os.path.basename(os.path.abspath(src)) if not name else _plain_name(name)
        part = parts.of.get(name) or parts.of.get(os.path.basename(name)) or part_of(name)
        lines, info = _lines(path), _info(path)
        visdrone = _is_visdrone(lines)
        media.rate = media.rate or info.get('frameRate')
        names = dict(enumerate(VISDRONE, 1)) if visdrone else _class_names(path)
        size = whole(info.get('imHeight')), whole(info.get('imWidth'))
        found.append(_Sequence(own, path, media, {line.frame for line in lines}, visdrone, names,
                               part, size))
    if not found:
        raise DataError('%s: found no sequence; expected <name>/gt/gt.txt with <name>/img1, or <name>.txt with a '
                        'video <name>.mp4; --frames FOLDER says where frames or videos are' % src)
    if any(each.visdrone for each in found):
        report.assume(
            'the lists with columns as VisDrone has them, such as %s, have its categories too'
            % next(each.path for each in found if each.visdrone))
    counted = [Counted(each.name, each.frames, each.media) for each in found]
    clips = [Clip(each.name, each.media, _opener(each, first, report), each.part, origin=first)
             for each, first in zip(found, origins(counted, options.first_frame, 1, report))]
    classes = dict.fromkeys(name for each in found for name in each.names.values())
    return Source(clips, list(classes))


@recognises('mot', 'text lines frame,track,left,top,width,height,...')
def _recognise(src: str) -> Optional[str]:
    files = files_below(src, ('.txt',)) if os.path.isdir(src) else []
    files.sort(key=lambda file: not file.endswith('gt.txt'))
    for file in files[:FIRST]:
        path = os.path.join(src, file)
        line = next((line for line in read_text(path) if line.strip()), '')
        values = line.split(',')
        if 'annotations' in file.split('/')[:-1] and len(values) in VISDRONE_COLUMNS:
            continue
        if len(values) >= 6 and all(math.isfinite(number(value)) for value in values[:6]):
            return path
    return None


class _Parts(NamedTuple):
    """What train.txt and such say."""

    of: Dict[str, str]        # part by name of a sequence
    files: Set[str]           # the lists


def _listed_parts(src: str, files: List[str]) -> _Parts:
    """The parts of the sequences as train.txt, val.txt and test.txt list them."""
    parts = _Parts({}, set())
    names = {os.path.splitext(os.path.basename(file))[0] for file in files}
    names |= {os.path.basename(os.path.dirname(os.path.dirname(file))) for file in files}
    for part in _LISTS:
        if part + '.txt' not in files:
            continue
        lines = map(str.strip, read_text(os.path.join(src, part + '.txt')))
        listed = [line for line in lines if line]
        if not any(os.path.basename(name) in names for name in listed):
            continue                     # a sequence of this name
        parts.files.add(part + '.txt')
        for name in listed:
            own = {'valid': 'val'}.get(part, part)
            if parts.of.setdefault(name, own) != own:
                raise DataError(
                    '%s is in two parts, %s.txt and %s.txt: what is trained on must not be '
                    'validated with'
                    % (name, parts.of[name], part))
    return parts


def _plain_name(name: str) -> str:
    """The name of a sequence without a first folder such as gt or annotations."""
    folder, slash, rest = name.partition('/')
    return rest if slash and folder.lower() in ('gt', 'annotations', 'labels') else name


def _class_names(path: str) -> Dict[int, str]:
    """{class number: name} for a gt.txt."""
    labels = os.path.join(os.path.dirname(path), 'labels.txt')
    names = [line.strip() for line in read_text(labels)] if os.path.isfile(labels) else list(CLASSES)
    return {i: name for i, name in enumerate(names, 1) if name}


def _info(path: str) -> Dict[str, float]:
    """The numbers in seqinfo.ini about a gt.txt, such as imWidth and frameRate; {} where it is
    not.
    """
    file = os.path.join(os.path.dirname(os.path.dirname(path)), 'seqinfo.ini')
    if os.path.basename(path) != 'gt.txt' or not os.path.isfile(file):
        return {}
    pairs = (line.partition('=') for line in read_text(file))
    values = {key.strip(): number(value) for key, _, value in pairs}
    return {key: value for key, value in values.items() if value > 0}


def _opener(sequence: _Sequence, first: int, report: Report) -> Callable[[], Labels]:
    def open_labels() -> Labels:
        frames = _boxes(sequence, report)

        def boxes(position: int, height: int, width: int) -> Optional[List[Box]]:
            frame = position + first
            return fitted(frames.get(frame, []), sequence.size, (height, width),
                          '%s, frame %d' % (sequence.path, frame), report)
        return Labels(boxes, [frame - first for frame in frames])
    return open_labels


class _Line(NamedTuple):
    """A line of a gt.txt."""

    at: int                    # from 1
    frame: int
    track: int
    values: List[str]          # from the third column on


def _lines(path: str) -> List[_Line]:
    """The lines of a gt.txt. Raises DataError where one is none of the format."""
    found: List[_Line] = []
    for at, text in enumerate(read_text(path), 1):
        if not text.strip():
            continue
        values = [value.strip() for value in text.split(',')]
        frame, track = (whole(value) for value in (values + ['', ''])[:2])
        if len(values) < 6 or frame is None or track is None:
            raise DataError(
                "%s, line %d: expected "
                "'frame,track,left,top,width,height,considered,class,visibility', "
                "found %s" % (path, at, shown(text)))
        found.append(_Line(at, frame, track, values[2:]))
    return found


def _is_visdrone(lines: List[_Line]) -> bool:
    """Whether lines have VisDrone's columns: ten, the last three of its categories and levels."""
    def fits(values: List[str]) -> bool:
        category, truncation, occlusion = (list(map(whole, values)) + [None] * 8)[5:8]
        return (len(values) == 8 and category in range(12) and truncation in (-1, 0, 1)
                and occlusion in (-1, 0, 1, 2))
    return bool(lines) and all(fits(line.values) for line in lines)


def _boxes(sequence: _Sequence, report: Report) -> Dict[int, List[Box]]:
    """{frame: [Box]} of a gt.txt."""
    frames: Dict[int, List[Box]] = {}
    start = 0 if sequence.visdrone else 1
    for line in _lines(sequence.path):
        place = '%s, line %d' % (sequence.path, line.at)
        left, top, width, height = map(number, line.values[:4])
        given = line.values[4:7]
        considered, label, visibility = given + ['1', '-1', '1'][len(given):]
        occluded = 0 <= number(visibility) < OCCLUDED_BELOW
        if len(line.values) > 7:               # no class and no visibility: 2015, or VisDrone
            occluded = sequence.visdrone and whole(line.values[7]) == HEAVILY
            label = label if sequence.visdrone else '-1'
        name = _name(label, sequence.names)
        if number(considered) == 0:
            report.skip('boxes: marked as not to be considered', place)
        elif name is None:
            report.skip('boxes: the class number is none of the class names', place)
        else:
            box = Box(name, left - start, top - start, left + width - 1 - start,
                      top + height - 1 - start, line.track, occluded)
            frames.setdefault(line.frame, []).append(box)
    return frames


def _name(label: str, names: Dict[int, str]) -> Optional[str]:
    """The class of a column: a number, -1 for the first class, or the name itself."""
    index = whole(label)
    if index is not None:
        return names.get(1 if index == -1 else index)
    is_name = re.match(r'[^\W\d]', label) and label.lower() not in ('nan', 'inf', 'infinity')
    return label if is_name else None
