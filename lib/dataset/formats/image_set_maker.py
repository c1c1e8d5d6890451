"""Image sets for a data set in the ILSVRC2015 layout, made from the files that are there.

Clips are the folders below Data/VID/train and Data/VID/val that hold 000000.JPEG, 000001.JPEG,
...; stills are the images below Data/DET/train.
"""
import os
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Counter as CounterOf
from typing import Dict, List, NamedTuple, Sequence, Set, Tuple, TypeVar

from lib.dataset.formats.annotations import Source, parse_annotation
from lib.dataset.formats.image_sets import Entry, write_image_set
from dff.errors import ConfigError, DataError
from lib.utils.progress import progress_bar

EXTENSION = '.JPEG'
_T = TypeVar('_T')
_FRAME = re.compile(r'\d{6}\.JPEG')


@dataclass(frozen=True)
class Options:
    """What goes into the lists."""

    per_clip: int = 15          # labelled frames of a training clip; 0: all
    per_class: int = 0          # stills for each class; 0: all
    with_empty: bool = False    # also frames, clips and stills whose annotation has no object
    seed: int = 0               # of the choice among stills
    force: bool = False         # replace lists that exist


class _Clip(NamedTuple):
    path: str                   # below Data/VID
    length: int                 # frames
    annotated: List[int]        # frames that have an annotation


class _List(NamedTuple):
    name: str
    kind: str                   # as in image_sets.FORMATS
    entries: List[Entry]


def make_image_sets(root: str, options: Options = Options()) -> Tuple[List[str], List[str]]:
    """Write ImageSets/*.txt of the data set at `root`; return (names of the lists, lines that say
    what is in them).

    VID_train_<per_clip>frames, VID_val_frames and VID_val_videos, DET_train_all or
    DET_train_<per_class>perclass: those for which there are images; `options` say how many. Raises
    ConfigError for a bad option; DataError where there is no image, frames of a clip are missing,
    an annotation is malformed, or a list exists and `force` is not set (nothing is written then).
    """
    if options.per_clip < 0 or options.per_class < 0:
        raise ConfigError('frames per clip and images per class must be 0 (all) or more')
    if not os.path.isdir(root):
        raise DataError('the folder %s does not exist' % root)
    lines: List[str] = []
    lists = (_training_lists(root, options, lines) + _validation_lists(root, lines)
             + _still_lists(root, options, lines))
    if not lists:
        raise DataError('%s: found neither clips (Data/VID/train, Data/VID/val: folders of 000000%s, 000001%s, ...) '
                        'nor stills (Data/DET/train) with annotations' % (root, EXTENSION, EXTENSION))
    for entry in (entry for made in lists for entry in made.entries):
        if not entry.path.isprintable():
            raise DataError('%s: a path with line breaks or control characters cannot be in a list: %r'
                            % (root, entry.path))
    folder = os.path.join(root, 'ImageSets')
    existing = [file for file in (os.path.join(folder, made.name + '.txt') for made in lists) if os.path.lexists(file)]
    if existing and not options.force:
        raise DataError('%s exists already; --force replaces it' % ', '.join(existing))
    try:
        for made in lists:
            write_image_set(folder, made.name, made.kind, made.entries)
    except OSError as error:
        raise DataError('cannot write the image sets in %s: %s' % (folder, error.strerror)) from None
    return [made.name for made in lists], lines


def spread(candidates: Sequence[_T], count: int) -> List[_T]:
    """Return `count` of `candidates`, at (i + 0.5) * length / count; all of them where `count` is
    0 or not less.
    """
    if not count or len(candidates) <= count:
        return list(candidates)
    return [candidates[(2 * i + 1) * len(candidates) // (2 * count)] for i in range(count)]


def _training_lists(root: str, options: Options, lines: List[str]) -> List[_List]:
    clips = _find_clips(root, 'train')
    entries: List[Entry] = []
    empty = 0
    for clip in progress_bar(clips, desc='training clips', unit='clip', disable=len(clips) < 200, leave=False):
        frames = clip.annotated
        if not options.with_empty:
            frames = [i for i in frames if _has_object(root, clip.path, i)]
        empty += not frames
        entries.extend(_entry(clip, i) for i in spread(frames, options.per_clip))
    if not entries:
        if clips:
            lines.append('no list of training clips: no frame of the %d clips in Data/VID/train is annotated '
                         'with an object' % len(clips))
        return []
    name = 'VID_train_%dframes' % options.per_clip if options.per_clip else 'VID_train_allframes'
    lines.append('%s: frames %d, clips %d%s' % (name, len(entries), len(clips) - empty,
                                                ', clips without objects, left out %d' % empty if empty else ''))
    return [_List(name, 'training', entries)]


def _validation_lists(root: str, lines: List[str]) -> List[_List]:
    clips = _find_clips(root, 'val')
    if not clips:
        return []
    videos: List[Entry] = []
    frames: List[Entry] = []
    number = 1
    for clip in clips:
        videos.append(_entry(clip, 0, number))
        frames.extend(_entry(clip, i, number + i) for i in clip.annotated)
        number += clip.length
    lines.append('VID_val_videos: frames %d, clips %d' % (number - 1, len(clips)))
    made = [_List('VID_val_videos', 'videos', videos)]
    if frames:
        made.append(_List('VID_val_frames', 'frames', frames))
        lines.append('VID_val_frames: frames %d' % len(frames))
    missing = number - 1 - len(frames)
    if missing:
        lines.append('warning: %d frames in Data/VID/val have no annotation: they are not in VID_val_frames, '
                     'and VID_val_videos cannot be evaluated until they have one' % missing)
    return made


def _still_lists(root: str, options: Options, lines: List[str]) -> List[_List]:
    """Stills, at most `per_class` of each class.

    Those of rare classes come first, or the common classes beside them would be full before.
    """
    stills = _find_stills(root)
    classes: Dict[str, Set[str]] = {}
    for path in progress_bar(stills, desc='stills', unit='image', disable=len(stills) < 1000, leave=False):
        xml = os.path.join(root, 'Annotations', 'DET', path + '.xml')
        image = os.path.join(root, 'Data', 'DET', path + EXTENSION)
        _, objects = parse_annotation(Source(xml, image, 'Data/DET'))
        if objects or options.with_empty:
            classes[path] = {item[0] for item in objects}
    chosen = list(classes)
    if options.per_class:
        random.Random(options.seed).shuffle(chosen)
        total = Counter(name for names in classes.values() for name in names)
        chosen.sort(key=lambda path: min((total[name] for name in classes[path]), default=0))
        taken: List[str] = []
        count: CounterOf[str] = Counter()
        for path in chosen:
            if all(count[name] < options.per_class for name in classes[path]):
                taken.append(path)
                count.update(classes[path])
        chosen = sorted(taken)
    if not chosen:
        return []
    name = 'DET_train_%dperclass' % options.per_class if options.per_class else 'DET_train_all'
    lines.append('%s: stills %d of %d' % (name, len(chosen), len(stills)))
    return [_List(name, 'stills', [Entry(path, i, None, 0, 1, 0) for i, path in enumerate(chosen, 1)])]


def _entry(clip: _Clip, frame: int, number: int = 1) -> Entry:
    return Entry('%s/%06d' % (clip.path, frame), number, clip.path, frame, clip.length, 0)


def _find_clips(root: str, part: str) -> List[_Clip]:
    """[_Clip] below Data/VID/<part>, in order of their paths.

    Raises DataError where a frame is missing.
    """
    tree = os.path.join(root, 'Data', 'VID')
    clips = []
    for folder, _, names in os.walk(os.path.join(tree, part), followlinks=True):
        length = sum(1 for name in names if _FRAME.fullmatch(name))
        if not length:
            continue
        files = (os.path.join(folder, '%06d%s' % (i, EXTENSION)) for i in range(length))
        missing = next((i for i, file in enumerate(files) if not os.path.lexists(file)), None)
        if missing is not None:
            raise DataError('%s holds %d frames, but %06d%s is missing: frames must be numbered from 000000 '
                            'without a gap' % (folder, length, missing, EXTENSION))
        path = os.path.relpath(folder, tree).replace(os.sep, '/')
        annotations = _names(os.path.join(root, 'Annotations', 'VID', path))
        clips.append(_Clip(path, length, [i for i in range(length) if '%06d.xml' % i in annotations]))
    return sorted(clips)


def _find_stills(root: str) -> List[str]:
    """Paths below Data/DET, without extension, of the images in Data/DET/train that have an
    annotation, in order.
    """
    tree = os.path.join(root, 'Data', 'DET')
    stills: List[str] = []
    for folder, _, names in os.walk(os.path.join(tree, 'train'), followlinks=True):
        below = os.path.relpath(folder, tree).replace(os.sep, '/')
        annotations = _names(os.path.join(root, 'Annotations', 'DET', below))
        stems = (name[:-len(EXTENSION)] for name in names if name.endswith(EXTENSION))
        stills.extend('%s/%s' % (below, stem) for stem in stems if stem + '.xml' in annotations)
    return sorted(stills)


def _names(folder: str) -> Set[str]:
    return set(os.listdir(folder)) if os.path.isdir(folder) else set()


def _has_object(root: str, clip: str, frame: int) -> bool:
    """Whether an annotation has an <object>.

    Not parsed: ImageNet VID has more than a million of them.
    """
    path = os.path.join(root, 'Annotations', 'VID', clip, '%06d.xml' % frame)
    try:
        with open(path, 'rb') as stream:
            return b'<object>' in stream.read()
    except OSError as error:
        raise DataError('cannot read the annotation %s: %s' % (path, error.strerror)) from None
