"""COCO-VID JSON, as mmtracking and TAO have it.

COCO with a list of videos, images with video_id and frame_id, annotations with instance_id.
"""
import os
from typing import Callable, Dict, List, Optional, Tuple

from lib.dataset.importers.formats import coco
from lib.dataset.importers.formats.coco import Id, Tree
from lib.dataset.importers.media import Images, Media, find_clip, without_video_suffix
from lib.dataset.importers.model import IMPORTERS, Box, Clip, Labels, Options, Report, Source, whole
from lib.dataset.importers.paths import merged, relative
from dff.errors import DataError, shown


# {frame_id: (path of the image or None, boxes(height, width))} of a video.
_Listed = Dict[int, Tuple[Optional[str], Callable[[int, int], Optional[List[Box]]]]]


@IMPORTERS.register('coco-vid')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of COCO-VID JSON; each video is a clip.

    Where its images are missing, a video file or a folder of its name stands in, whose frame
    numbers are frame_id minus options.first_frame.

    Args:
        src: a JSON file or a folder of them, as of coco.read.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or neither images nor videos are there.
    """
    clips: List[Clip] = []
    classes: List[str] = []
    for file in coco.json_files(src):
        tree = coco.load(file)
        classes = merged(classes, coco.category_names(tree, file).values())
        clips += _clips(tree, file, options, report)
    if not clips:
        raise DataError('%s: none of the images or videos that it lists is there; --frames FOLDER says where they are'
                        % src)
    return Source(clips, classes)


def _clips(tree: Tree, file: str, options: Options, report: Report) -> List[Clip]:
    names, part = _video_names(tree, file), coco.part_of_file(file)
    boxes = coco.boxes_by_image(tree, file, report)
    frames: Dict[Id, _Listed] = {}
    folders = coco.image_folders(file, options)
    for index, entry in enumerate(tree['images']):
        video = entry.get('video_id')
        place = whole(entry.get('frame_id', entry.get('frame_index')))
        if not isinstance(video, (int, str)) or video not in names or place is None:
            report.skip('images: no video_id of the list of videos, or no frame_id',
                        '%s, image %s' % (os.path.basename(file), entry.get('id', index)))
            continue
        _, path = coco.find_image(entry, file, folders)
        labels = coco.labels_of(entry, boxes.get(entry['id'], []), file, report)
        frames.setdefault(video, {})[place] = (path, labels)
    clips = (_clip(names[video], listed, folders, options, part, report) for video, listed in frames.items())
    return [clip for clip in clips if clip]


def _video_names(tree: Tree, file: str) -> Dict[Id, str]:
    """{video id: name, a relative path}. Raises DataError."""
    videos = tree.get('videos')
    if not isinstance(videos, list) or not all(isinstance(entry, dict) for entry in videos):
        raise DataError("%s: expected a COCO-VID file; the list 'videos' is not there (for plain COCO: the format coco)"
                        % file)
    names = {}
    for entry in videos:
        if not isinstance(entry.get('id'), (int, str)):
            raise DataError('%s: a video needs an id; found %s' % (file, shown(entry)))
        names[entry['id']] = relative(entry.get('name') or entry.get('file_name') or 'video_%s' % entry['id'], file)
    return names


def _clip(name: str, listed: _Listed, folders: List[str], options: Options, part: Optional[str],
          report: Report) -> Optional[Clip]:
    """The Clip of a video; None where there is neither an image of it nor a video."""
    paths = {place: listed[place][0] for place in sorted(listed)}
    present = {place: path for place, path in paths.items() if path}
    first = 0
    media: Optional[Media]
    if present:
        media = Images(list(present.values()), list(present))
        for _ in range(len(listed) - len(present)):
            report.skip('images: the file is missing', name)
    else:
        media = find_clip([name, without_video_suffix(name)], folders)
        first = options.first_frame
        if media is None:
            report.skip('images: the file is missing', name, len(listed))
            return None

    def open_labels() -> Labels:
        def boxes(number: int, height: int, width: int) -> Optional[List[Box]]:
            found = listed.get(number + first)
            return found[1](height, width) if found else None
        return Labels(boxes, [place - first for place in listed])
    return Clip(without_video_suffix(name), media, open_labels, part)
