"""MOT Challenge ground truth (arXiv 1603.00831).

gt.txt lines `frame,track,left,top,width,height,considered,class,visibility`, frames and pixels
counted from 1.
"""
import os
import re
from typing import Callable, Dict, List, Set

from lib.dataset.importers.media import find_clip
from lib.dataset.importers.model import IMPORTERS, Box, Clip, Labels, Options, Report, Source, number, whole
from lib.dataset.importers.paths import files_below, merged, part_of, read_text
from dff.errors import DataError, shown

# Class numbers 1 to 13 of MOT16, MOT17 and MOT20; other data sets list theirs in labels.txt beside gt.txt.
CLASSES = ('pedestrian', 'person_on_vehicle', 'car', 'bicycle', 'motorbike', 'non_motorized_vehicle', 'static_person',
           'distractor', 'occluder', 'occluder_on_ground', 'occluder_full', 'reflection', 'crowd')
OCCLUDED_BELOW = 0.5      # visibility
_DETECTOR = re.compile(r'-(DPM|FRCNN|SDP)$')


@IMPORTERS.register('mot')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of MOT Challenge.

    Args:
        src: folder of a sequence, of sequences (<name>/gt/gt.txt, <name>/img1), or of <name>.txt
            files each with a video or a folder of frames of its name, here or in options.frames.
            Folders named train and val say the parts.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or no sequence is found.
    """
    files = files_below(src, ('.txt',))
    sequences = {os.path.dirname(os.path.dirname(file)): file for file in files if ('/' + file).endswith('/gt/gt.txt')}
    if not sequences:
        sequences = {os.path.splitext(file)[0]: file for file in files if os.path.basename(file) != 'labels.txt'}
    clips: List[Clip] = []
    classes: List[str] = []
    seen: Set[str] = set()
    for name, file in sorted(sequences.items()):
        plain = _DETECTOR.sub('', name)
        if plain in seen:
            report.skip('sequences: the same frames as another (MOT17 lists each once for every detector)', name)
            continue
        seen.add(plain)
        media = find_clip([name], ([options.frames] if options.frames else []) + [src])
        if media is None:
            report.skip('sequences: no frames (img1) and no video of their name', name or src)
            continue
        path = os.path.join(src, file)
        names = _class_names(path)
        classes = merged(classes, names.values())
        labels = _opener(path, names, media.first, report)
        clips.append(Clip(name or os.path.basename(os.path.abspath(src)), media, labels, part_of(name)))
    if not clips:
        raise DataError('%s: found no sequence; expected <name>/gt/gt.txt with <name>/img1, or <name>.txt with a '
                        'video <name>.mp4; --frames FOLDER says where frames or videos are' % src)
    return Source(clips, classes)


def _class_names(path: str) -> Dict[int, str]:
    """{class number: name} for a gt.txt."""
    labels = os.path.join(os.path.dirname(path), 'labels.txt')
    names = [line.strip() for line in read_text(labels)] if os.path.isfile(labels) else list(CLASSES)
    return {i: name for i, name in enumerate(names, 1) if name}


def _opener(path: str, names: Dict[int, str], first: int, report: Report) -> Callable[[], Labels]:
    def open_labels() -> Labels:
        frames = _read(path, names, report)
        shift = 1 if first == 0 else 0        # a video's first frame is 0 here, img1 begins with 000001
        return Labels(lambda number, height, width: frames.get(number + shift, []), [frame - shift for frame in frames])
    return open_labels


def _read(path: str, names: Dict[int, str], report: Report) -> Dict[int, List[Box]]:
    """{frame: [Box]} of a gt.txt. Raises DataError where a line is none of the format."""
    frames: Dict[int, List[Box]] = {}
    for line, text in enumerate(read_text(path), 1):
        if not text.strip():
            continue
        values, place = text.split(','), '%s, line %d' % (path, line)
        frame, track = (whole(value) for value in (values + ['', ''])[:2])
        if len(values) < 6 or frame is None or track is None:
            raise DataError("%s: expected 'frame,track,left,top,width,height,considered,class,visibility', found %s"
                            % (place, shown(text)))
        values += ('1', '-1', '1')[len(values) - 6:] if len(values) < 9 else ()
        left, top, width, height, considered, class_number, visibility = (number(value) for value in values[2:9])
        # -1: a list of 2015, of pedestrians only.
        index = 1 if class_number == -1 else whole(class_number)
        name = None if index is None else names.get(index)
        if considered == 0:
            report.skip('boxes: marked as not to be considered', place)
        elif name is None:
            report.skip('boxes: the class number is none of the class names', place)
        else:
            box = Box(name, left - 1, top - 1, left + width - 2, top + height - 2, track, visibility < OCCLUDED_BELOW)
            frames.setdefault(frame, []).append(box)
    return frames
