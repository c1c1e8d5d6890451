"""KITTI object detection and tracking texts (cvlibs.net/datasets/kitti), pixels and frames from 0.

A line is `type truncated occluded alpha left top right bottom` and seven values of the object in
space, one file an image; tracking has `frame track` before it, one file a sequence. A score may
follow. Right and bottom are the last pixels of the object.
"""
import functools
import os
import re
from typing import List, Optional, Sequence

from lib.dataset.importers.readers.text_lines import (Frames, Line, by_frame, clips,
                                                      image_labels)
from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.library import Library
from lib.dataset.importers.model import (IMPORTERS, Box, Item, Options, Report, Source, number,
                                         recognises, whole)
from lib.dataset.importers.paths import files_below, part_of, read_text
from dff.errors import DataError, shown

CLASSES = ('Car', 'Van', 'Truck', 'Pedestrian', 'Person', 'Person_sitting', 'Cyclist', 'Tram',
           'Misc')
IMAGE = 'type truncated occluded alpha left top right bottom height width length x y z rotation_y'
SEQUENCE = 'frame track ' + IMAGE
LARGELY = 2               # KITTI's occlusion: 0 visible, 1 partly, 2 largely, 3 unknown
_LABELS = re.compile(r'(^|/)labels?(?:_0?\d)?/', re.IGNORECASE)
_NAME = re.compile(r'[^\W\d]')
_COLUMNS = {15: 15, 16: 15, 17: 17, 18: 17}      # with a score or without


@IMPORTERS.register('kitti')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of KITTI: of object detection, or of tracking.

    DontCare regions are left out. Folders named training, val and such say the parts.

    Args:
        src: a folder whose label_2/*.txt or label_02/*.txt, or *.txt, are read, also those deeper,
            each with the image (image_2/) or the folder of frames (image_02/) of its name, in a
            folder that answers to its own, below it or options.frames.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of the images is there.
    """
    files = files_below(src, ('.txt',))
    files = [file for file in files if _LABELS.search(file)] or files
    if not files:
        raise DataError('%s: expected label_2/*.txt (detection) or label_02/*.txt (tracking) of '
                        'KITTI, with image_2/ or image_02/ next to it' % src)
    library = Library(([options.frames] if options.frames else []) + [src])
    items: List[Item] = []
    boxes = functools.partial(_boxes, report=report)
    sequences: List[Frames] = []
    for file in files:
        path, plain = os.path.join(src, file), os.path.splitext(file)[0]
        name, part = _LABELS.sub(r'\1', plain), part_of(os.path.dirname(file))
        columns = _columns(path)
        image = library.images.find(plain, path) if columns != 17 else None
        if columns == 15 or image:
            items.append(Item(name, image, image_labels(_lines(path, 15), boxes), part))
            continue
        media = library.clip([plain], library.roots, path)
        if media is None:
            report.skip('sequences: no frames (image_02/<name>) and no video of their name', name)
        else:
            sequences.append(Frames(name, media, by_frame(_lines(path, 17)), part))
    if not items and not sequences:
        raise DataError('%s: found no sequence; expected image_02/<name>/*.png next to label_02/'
                        '<name>.txt; --frames FOLDER says where they are' % src)
    if items and not sequences and not options.clips:
        for path in sorted(set(library.images.paths()) - {item.path for item in items}):
            report.skip('images: no annotation', path)
    return Source(clips(sequences, boxes, 0, options, report)
                  + (clips_of(items, options, src, report) if items else []), list(CLASSES))


def _columns(path: str) -> Optional[int]:
    """15 for a text of an image, 17 for one of a sequence, by its first line; None where nothing is
    in it.

    Raises DataError for a text that is none of KITTI.
    """
    for at, text in enumerate(read_text(path), 1):
        if text.strip():
            columns = _COLUMNS.get(len(text.split()))
            if columns is None:
                raise DataError("%s, line %d: expected '%s' (detection) or '%s' (tracking), found "
                                "%s" % (path, at, IMAGE, SEQUENCE, shown(text)))
            return columns
    return None


def _lines(path: str, columns: int) -> List[Line]:
    """The lines of a text. Raises DataError where one has not so many `columns`."""
    found: List[Line] = []
    for at, text in enumerate(read_text(path), 1):
        values = text.split()
        if not values:
            continue
        frame, track = map(whole, values[:2]) if columns == 17 and len(values) > 1 else (0, -1)
        own = values[columns - 15:]
        fits = _COLUMNS.get(len(values)) == columns and _NAME.match(own[0])
        if not fits or frame is None or track is None:
            raise DataError("%s, line %d: expected '%s', found %s; correct the line, or take it out"
                            % (path, at, IMAGE if columns == 15 else SEQUENCE, shown(text)))
        found.append(Line('%s, line %d' % (path, at), frame, None if track == -1 else track, own))
    return found


def _boxes(lines: Sequence[Line], report: Report) -> List[Box]:
    """The boxes of an image or a frame."""
    found = []
    for line in lines:
        if line.values[0].lower() == 'dontcare':
            report.skip('boxes: DontCare, regions without labels', line.place)
            continue
        left, top, right, bottom = map(number, line.values[4:8])
        found.append(Box(line.values[0], left, top, right, bottom, line.track,
                         whole(line.values[2]) == LARGELY))
    return found


@recognises('kitti', 'label_2/*.txt or label_02/*.txt of 15 to 18 fields a line')
def _recognise(src: str) -> Optional[str]:
    files = files_below(src, ('.txt',)) if os.path.isdir(src) else []
    paths = (os.path.join(src, file) for file in files if _LABELS.search(file))
    return next((path for path in paths if _columns(path) is not None), None)
