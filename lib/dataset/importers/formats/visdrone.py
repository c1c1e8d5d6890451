"""VisDrone texts (github.com/VisDrone/VisDrone-Dataset), pixels from 0, frames from 1.

A line is `left,top,width,height,score,category,truncation,occlusion` in DET, one file an image;
VID and MOT have `frame,target` before it, one file a sequence.
"""
import functools
import os
import re
from typing import List, Optional, Sequence

from lib.dataset.importers.formats.mot import HEAVILY, VISDRONE
from lib.dataset.importers.readers.text_lines import (Frames, Line, by_frame, clips,
                                                      image_labels)
from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.library import Library
from lib.dataset.importers.model import (IMPORTERS, Box, Item, Options, Report, Source, number,
                                         recognises, whole)
from lib.dataset.importers.paths import files_below, part_named, part_of, read_text
from dff.errors import DataError, shown

IMAGE = 'left,top,width,height,score,category,truncation,occlusion'
SEQUENCE = 'frame,target,' + IMAGE
_ANNOTATIONS = re.compile(r'(^|/)annotations/', re.IGNORECASE)
_RELEASE = re.compile(r'-(train|val|test)(?:-dev|-challenge)?$', re.IGNORECASE)


@IMPORTERS.register('visdrone')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of VisDrone: DET, VID or MOT, or several of them.

    Folders named as the releases are, such as VisDrone2019-DET-train, or train and val, say the
    parts. What has the score 0 or the category 0 (regions to ignore) is left out.

    Args:
        src: a folder whose annotations/*.txt, or *.txt, are read, also those deeper, each with the
            image (images/) or the folder of frames (sequences/) of its name, in a folder that
            answers to its own, below it or options.frames.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of the images is there.
    """
    files = files_below(src, ('.txt',))
    files = [file for file in files if _ANNOTATIONS.search(file)] or files
    if not files:
        raise DataError('%s: expected annotations/*.txt of VisDrone, with images/ or sequences/ '
                        'next to it' % src)
    library = Library(([options.frames] if options.frames else []) + [src])
    items: List[Item] = []
    boxes = functools.partial(_boxes, report=report)
    sequences: List[Frames] = []
    missing: List[str] = []
    for file in files:
        path, plain = os.path.join(src, file), os.path.splitext(file)[0]
        name, part = _ANNOTATIONS.sub(r'\1', plain), _part(file)
        columns = _columns(path)
        image = library.images.find(plain, path) if columns != 10 else None
        if columns == 8 or image:
            lines = _lines(path, 8)
            items.append(Item(name, image, image_labels(lines, boxes), part))
            continue
        media = library.clip([plain], library.roots, path)
        if media is None:
            missing.append(name)
        else:
            sequences.append(Frames(name, media, by_frame(_lines(path, 10)), part))
    for name in missing:
        report.skip('sequences: no frames (sequences/<name>) and no video of their name', name)
    if not items and not sequences:
        raise DataError('%s: found no sequence; expected sequences/<name>/*.jpg next to annotations/'
                        '<name>.txt; --frames FOLDER says where they are' % src)
    return Source(clips(sequences, boxes, 1, options, report)
                  + (clips_of(items, options, src, report) if items else []), list(VISDRONE))


def _part(file: str) -> Optional[str]:
    """The part that the folders of a file say."""
    matches = filter(None, map(_RELEASE.search, file.split('/')[:-1]))
    return next((part_named(match.group(1)) for match in matches), None) or part_of(file)


def _fields(text: str) -> List[str]:
    """The values of a line; some releases end it with a comma."""
    values = [value.strip() for value in text.split(',')]
    return values[:-1] if len(values) > 1 and not values[-1] else values


def _columns(path: str) -> Optional[int]:
    """How many values the first line of a text has; None where nothing is in it.

    Raises DataError for a text that is none of VisDrone.
    """
    for at, text in enumerate(read_text(path), 1):
        if text.strip():
            columns = len(_fields(text))
            if columns not in (8, 10):
                raise DataError("%s, line %d: expected '%s' (DET) or '%s' (VID, MOT), found %s"
                                % (path, at, IMAGE, SEQUENCE, shown(text)))
            return columns
    return None


def _lines(path: str, columns: int) -> List[Line]:
    """The lines of a text. Raises DataError where one has not so many `columns`."""
    found: List[Line] = []
    for at, text in enumerate(read_text(path), 1):
        if not text.strip():
            continue
        values = _fields(text)
        frame, track = map(whole, values[:2]) if columns == 10 and len(values) > 1 else (0, -1)
        if len(values) != columns or None in (frame, track, whole(values[-3])):
            raise DataError("%s, line %d: expected '%s', found %s; correct the line, or take it out"
                            % (path, at, IMAGE if columns == 8 else SEQUENCE, shown(text)))
        found.append(Line('%s, line %d' % (path, at), frame or 0, None if track == -1 else track,
                           values[-8:]))
    return found


def _boxes(lines: Sequence[Line], report: Report) -> List[Box]:
    """The boxes of an image or a frame."""
    found = []
    for line in lines:
        left, top, width, height, score = map(number, line.values[:5])
        category, occlusion = whole(line.values[5]), whole(line.values[7])
        if category == 0:
            report.skip('boxes: regions to ignore (category 0)', line.place)
        elif score == 0:
            report.skip('boxes: marked as not to be considered (score 0)', line.place)
        elif category is None or not 1 <= category <= len(VISDRONE):
            report.skip('boxes: the category is none of 0 to %d' % len(VISDRONE), line.place)
        else:
            found.append(Box(VISDRONE[category - 1], left, top, left + width - 1, top + height - 1,
                             line.track, occlusion == HEAVILY))
    return found


@recognises('visdrone', 'annotations/*.txt of 8 or 10 numbers a line')
def _recognise(src: str) -> Optional[str]:
    files = files_below(src, ('.txt',)) if os.path.isdir(src) else []
    paths = (os.path.join(src, file) for file in files if _ANNOTATIONS.search(file))
    return next((path for path in paths if _columns(path) is not None), None)
