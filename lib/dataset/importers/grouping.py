"""Sources that list images: as stills, or as frames of clips, in image files or in videos."""
import os
import re
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from lib.dataset.importers.media import VIDEO_SUFFIXES, Images, Media, Video, find_video, images_in
from lib.dataset.importers.model import Box, Clip, Item, Labels, Options, Report, still
from lib.dataset.importers.paths import files_below, stem
from dff.errors import DataError

_NUMBER = re.compile(r'\d{1,18}$')
_WORD = re.compile(r'(?:^|(?<=[/_. -]))(?:frame|image|img)$', re.IGNORECASE)


def split_name(name: str) -> Optional[Tuple[str, int]]:
    """Return (clip, number) of a frame's name: walk/frame_000012, walk_12 and walk/12 are frame 12
    of walk.

    Return None for a name without a number at its end.
    """
    match = _NUMBER.search(name)
    if not match:
        return None
    return _WORD.sub('', name[:match.start()].rstrip('_. -')).rstrip('/_. -'), int(match.group())


def clips_of(items: Sequence[Item], options: Options, root: str, report: Report) -> List[Clip]:
    """Return the clips that images make: a still each, or with options.clips what split_name
    groups.

    Args:
        items: the images. With options.clips a video named like the clip, in options.frames or
            `root`, stands in for those whose file is missing.
        options: what the user asked for.
        root: folder whose name a clip gets where the frames' names have only numbers.
        report: where to count the images that are left out.

    Raises:
        DataError: nothing is left.
    """
    if options.clips:
        clips = _grouped(items, options, root, report)
    else:
        clips = [still(item, path) for item, path in _present(items, report)]
    if not clips:
        raise DataError('%s: none of the %d images that it lists is there; --frames FOLDER says where images or '
                        'videos are, --clips that they are frames of clips' % (root, len(items)))
    return clips


def _present(items: Iterable[Item], report: Report) -> Iterator[Tuple[Item, str]]:
    """(item, its path) of those whose file is there."""
    for item in items:
        if item.path is None:
            report.skip('images: the file is missing', item.name)
        else:
            yield item, item.path


def _grouped(items: Iterable[Item], options: Options, root: str, report: Report) -> List[Clip]:
    groups: Dict[str, Dict[int, Item]] = {}
    for item in items:
        place = split_name(item.name)
        if place is None:
            report.skip('images: --clips needs names that end in the number of the frame', item.name)
            continue
        frames = groups.setdefault(place[0] or os.path.basename(os.path.abspath(root)), {})
        if frames.setdefault(place[1], item) is not item:
            report.skip('images: another of the clip has the same number', item.name)
    folders = [options.frames, root] if options.frames else [root]
    clips = []
    for name, frames in sorted(groups.items()):
        media: Optional[Media] = _video(name, frames, folders, len(groups) == 1)
        media = media or _images(dict(_numbered(frames, report)))
        if media is not None:
            first = options.first_frame if isinstance(media, Video) else 0
            clips.append(Clip(name, media, _labels(frames, first), next(iter(frames.values())).part))
    return clips


def _numbered(frames: Dict[int, Item], report: Report) -> Iterator[Tuple[int, str]]:
    """(number, path) of the frames of a clip whose file is there."""
    for number, item in frames.items():
        for _, path in _present([item], report):
            yield number, path


def _video(name: str, frames: Dict[int, Item], folders: Sequence[str],
           alone: bool) -> Optional[Video]:
    """The Video of a clip whose images are missing; None where they are there, or where there is
    no such video.
    """
    if any(item.path for item in frames.values()):
        return None
    for folder in folders:
        path = find_video(os.path.join(folder, name)) or find_video(os.path.join(folder, os.path.basename(name)))
        videos = files_below(folder, VIDEO_SUFFIXES) if alone and not path else []
        if len(videos) == 1:            # one clip and one video need no common name
            path = os.path.join(folder, videos[0])
        if path:
            return Video(path)
    return None


def _images(paths: Dict[int, str]) -> Optional[Images]:
    """The labelled images of a clip, by number, and those beside them that belong to it too:
    frames nobody labelled.
    """
    if not paths:
        return None
    for folder in sorted({os.path.dirname(path) for path in paths.values()}):
        first = split_name(stem(next(path for path in paths.values() if os.path.dirname(path) == folder)))
        for path in images_in(folder):
            place = split_name(stem(path))
            if first is not None and place is not None and place[0] == first[0]:
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
