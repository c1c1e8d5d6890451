"""Sources that list images: as stills, or as frames of clips, in image files or in videos."""
import os
from typing import (Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set,
                    Tuple)

from lib.dataset.importers.frame_names import split_name, without_prefixes
from lib.dataset.importers.library import Library
from lib.dataset.importers.media import Images, Media, Video, images_in
from lib.dataset.importers.model import Box, Clip, Item, Labels, Options, Report, still
from lib.dataset.importers.numbering import Counted, origins
from lib.dataset.importers.paths import stem, without_part
from dff.errors import DataError


class _Group(NamedTuple):
    """Images that are frames of one clip."""

    name: str
    part: Optional[str]
    frames: Dict[int, Item]
    media: Media


def clips_of(items: Sequence[Item], options: Options, root: str, report: Report,
             without: Callable[[str], bool] = lambda file: False) -> List[Clip]:
    """Return the clips that images make: a still each, or with options.clips what split_name
    groups.

    Args:
        items: the images. With options.clips a video named like the clip, in options.frames or
            `root`, stands in for those whose file is missing.
        options: what the user asked for.
        root: folder whose name a clip gets where the frames' names have only numbers.
        report: where to count the images that are left out.
        without: as Files.without, which files in `root` are no frames.

    Raises:
        DataError: nothing is left.
    """
    _check_claims(items)
    if options.clips:
        library = Library(([options.frames] if options.frames else []) + [root])
        library.images.without = without
        clips = _grouped(items, options, library, report)
    else:
        clips = [still(item, path) for item, path in _present(items, report)]
    if not clips:
        advice = '' if options.clips else ', --clips that they are frames of clips'
        raise DataError('%s: none of the %d images that it lists is there; --frames FOLDER says where images or '
                        'videos are%s' % (root, len(items), advice))
    return clips


def _check_claims(items: Iterable[Item]) -> None:
    """DataError where two annotations are of the same file: one of them must be of another."""
    claimed: Dict[str, Item] = {}
    for item in items:
        other = claimed.setdefault(os.path.realpath(item.path), item) if item.path else item
        if other is item:
            continue
        if item.part != other.part and 'test' not in (item.part, other.part):
            raise DataError(
                '%s is in two parts, %s and %s: what is trained on must not be validated with; '
                'take it out of one' % (item.path, other.part or 'none', item.part or 'none'))
        raise DataError(
            '%s is annotated twice, as %s and as %s: the labels of one are of another image; put '
            'each clip\'s images into a folder of its name' % (item.path, other.name, item.name))


def _present(items: Iterable[Item], report: Report) -> Iterator[Tuple[Item, str]]:
    """(item, its path) of those whose file is there."""
    for item in items:
        if item.path is None:
            report.skip('images: the file is missing', item.name)
        else:
            yield item, item.path


def _grouped(items: Sequence[Item], options: Options, library: Library,
             report: Report) -> List[Clip]:
    found: Dict[Tuple[str, Optional[str]], Dict[int, Item]] = {}
    # Who names clips or stretches of them for validation wants the frames of a clip together.
    anew = bool(options.val_clips or options.val_frames)
    for item, name in zip(items, without_prefixes([item.name for item in items])):
        place = split_name(name)
        joined = split_name(without_part(name)) if anew else None
        # Frames of train/ and val/ alone, without a name of their clip, are of several.
        place = joined if joined and joined[0] else place
        if place is None:
            report.skip('images: --clips needs names that end in the number of the frame', item.name)
            continue
        clip = place[0] or os.path.basename(os.path.abspath(library.roots[-1]))
        frames = found.setdefault((clip, None if anew else item.part), {})
        if frames.setdefault(place[1], item) is not item:
            report.skip('images: another of the clip has the same number', item.name)
    own = {item.path for item in items if item.path}
    groups = []
    for (clip, part), frames in sorted(found.items(), key=_order):
        media = _media(clip, frames, library, own, len(found) == 1, report)
        if media is not None:
            groups.append(_Group(clip, part, frames, media))
    return _counted(groups, options, report)


def _order(entry: Tuple[Tuple[str, Optional[str]], Dict[int, Item]]) -> Tuple[str, str]:
    """By the name of the clip, then by its part."""
    (clip, part), _ = entry
    return clip, part or ''


def _counted(groups: Sequence[_Group], options: Options, report: Report) -> List[Clip]:
    """The Clip of each group; frames of videos are found by their numbers, images by their
    names.
    """
    videos = [group for group in groups if isinstance(group.media, Video)]
    counted = [Counted(group.name, group.frames.keys(), group.media) for group in videos]
    found = origins(counted, options.first_frame, 0, report)
    firsts = {id(group): first for group, first in zip(videos, found)}
    clips = []
    for group in groups:
        first = firsts.get(id(group), 0)
        labels = _labels(group.frames, first)
        clips.append(Clip(group.name, group.media, labels, group.part, origin=first))
    return clips


def _media(name: str, frames: Dict[int, Item], library: Library, own: Set[str], alone: bool,
           report: Report) -> Optional[Media]:
    """The images of a clip, or where all are missing its video; None where neither is there.

    own: the images of all clips, which are no unlabelled frames of this one.
    """
    root = library.roots[-1]
    if not any(item.path for item in frames.values()):
        names = [name, os.path.basename(name)]
        video = library.clip(names, library.roots, root)
        if not isinstance(video, Video) and alone:    # one clip and one video need no common name
            video = library.only_clip('the clip %s of %s' % (name, root), report)
        if isinstance(video, Video):
            return video
    return _images(dict(_numbered(frames, report)), own)


def _numbered(frames: Dict[int, Item], report: Report) -> Iterator[Tuple[int, str]]:
    """(number, path) of the frames of a clip whose file is there."""
    for number, item in frames.items():
        for _, path in _present([item], report):
            yield number, path


def _images(paths: Dict[int, str], own: Set[str]) -> Optional[Images]:
    """The labelled images of a clip, by number, and those beside them that belong to it too:
    frames nobody labelled.
    """
    if not paths:
        return None
    for folder in sorted({os.path.dirname(path) for path in paths.values()}):
        first = split_name(stem(next(path for path in paths.values() if os.path.dirname(path) == folder)))
        for path in images_in(folder):
            place = split_name(stem(path))
            if first is not None and place is not None and place[0] == first[0] and path not in own:
                paths.setdefault(place[1], path)
    numbers = sorted(paths)
    return Images([paths[number] for number in numbers], numbers)


def _labels(frames: Dict[int, Item], first: int) -> Callable[[], Labels]:
    def open_labels() -> Labels:
        def boxes(number: int, height: int, width: int) -> Optional[List[Box]]:
            item = frames.get(number + first)
            return None if item is None else item.boxes(height, width)
        return Labels(boxes, [number - first for number in frames])
    return open_labels
