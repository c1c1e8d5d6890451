"""Sources that list images: as stills, or as frames of clips, in image files or in videos."""
import os
import re

from lib.dataset.importers.media import VIDEO_SUFFIXES, Images, Video, find_video, images_in
from lib.dataset.importers.model import Clip, Labels, still
from lib.dataset.importers.paths import files_below, stem
from dff.errors import DataError

_NUMBER = re.compile(r'\d{1,18}$')
_WORD = re.compile(r'(?:^|(?<=[/_. -]))(?:frame|image|img)$', re.IGNORECASE)


def split_name(name):
    """(clip, number) of a frame's name: walk/frame_000012, walk_12 and walk/12 are frame 12 of walk; None without a number."""
    match = _NUMBER.search(name)
    if not match:
        return None
    return _WORD.sub('', name[:match.start()].rstrip('_. -')).rstrip('/_. -'), int(match.group())


def clips_of(items, options, root, report):
    """The [Clip] that a list of Items makes: a still each, or with options.clips what split_name groups.

    root: folder whose name a clip gets where the frames' names have only numbers. Items whose image is missing are
    counted in `report`; with options.clips a video named like the clip, in options.frames or `root`, stands in for them.
    Raises DataError where nothing is left.
    """
    clips = _grouped(items, options, root, report) if options.clips else [still(item) for item in _present(items, report)]
    if not clips:
        raise DataError('%s: none of the %d images that it lists is there; --frames FOLDER says where images or videos are, --clips '
                        'that they are frames of clips' % (root, len(items)))
    return clips


def _present(items, report):
    for item in items:
        if item.path is None:
            report.skip('images: the file is missing', item.name)
        else:
            yield item


def _grouped(items, options, root, report):
    groups = {}
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
        media = _video(name, frames, folders, len(groups) == 1) or _images(name, list(_present(frames.values(), report)))
        if media is not None:
            first = options.first_frame if isinstance(media, Video) else 0
            clips.append(Clip(name, media, _labels(frames, first), next(iter(frames.values())).part))
    return clips


def _video(name, frames, folders, alone):
    """The Video of a clip whose images are missing; None where they are there, or where there is no such video."""
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


def _images(name, items):
    """The labelled images of a clip and those beside them that belong to it too: frames nobody labelled."""
    if not items:
        return None
    paths = {split_name(item.name)[1]: item.path for item in items}
    for folder in sorted({os.path.dirname(path) for path in paths.values()}):
        prefix = _clip_of_file(next(path for path in paths.values() if os.path.dirname(path) == folder))
        for path in images_in(folder):
            if _clip_of_file(path) == prefix:
                paths.setdefault(split_name(stem(path))[1], path)
    numbers = sorted(paths)
    return Images([paths[number] for number in numbers], numbers)


def _clip_of_file(path):
    place = split_name(stem(path))
    return None if place is None else place[0]


def _labels(frames, first):
    def open_labels():
        def boxes(number, height, width):
            item = frames.get(number + first)
            return None if item is None else item.boxes(height, width)
        return Labels(boxes, [number - first for number in frames])
    return open_labels
