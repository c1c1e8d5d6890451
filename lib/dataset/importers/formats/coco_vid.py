"""COCO-VID JSON, as mmtracking and TAO have it.

COCO with a list of videos, images with video_id and frame_id, annotations with instance_id.
"""
import os
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from lib.dataset.importers.formats import coco
from lib.dataset.importers.formats.coco import Id, Tree
from lib.dataset.importers.media import Images, Media, without_video_suffix
from lib.dataset.importers.model import IMPORTERS, Box, Clip, Labels, Options, Report, Source
from lib.dataset.importers.model import recognises, whole
from lib.dataset.importers.numbering import Counted, origins
from lib.dataset.importers.paths import merged, parts_of
from dff.errors import DataError, shown


# {frame_id: (path of the image or None, boxes(height, width))} of a video.
_Listed = Dict[int, Tuple[Optional[str], Callable[[int, int], Optional[List[Box]]]]]


class _Found(NamedTuple):
    """A video whose frames are there."""

    name: str
    media: Media
    listed: _Listed
    part: Optional[str]
    by_image: bool         # the frames are the images that the file names


@IMPORTERS.register('coco-vid')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of COCO-VID JSON; each video is a clip.

    Where its images are missing, a video file or a folder of its name stands in, whose first frame
    has options.first_frame as frame_id, or what numbering.origins finds.

    Args:
        src: a JSON file or a folder of them, as of coco.read.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or neither images nor videos are there.
    """
    found: List[_Found] = []
    classes: List[str] = []
    for file in coco.json_files(src):
        tree = coco.load(file)
        classes = merged(classes, coco.category_names(tree, file).values())
        found += _find(tree, file, src, options, report)
    if not found:
        raise DataError('%s: none of the images or videos that it lists is there; --frames FOLDER says where they are'
                        % src)
    others = [clip for clip in found if not clip.by_image]
    firsts = origins([Counted(clip.name, clip.listed.keys(), clip.media) for clip in others],
                     options.first_frame, 0, report)
    return Source([_clip(clip, 0) for clip in found if clip.by_image]
                  + [_clip(clip, first) for clip, first in zip(others, firsts)], classes)


@recognises('coco-vid', 'JSON with the lists videos, images, annotations and categories')
def _recognise(src: str) -> Optional[str]:
    return coco.file_with_videos(src, True)


def _find(tree: Tree, file: str, src: str, options: Options, report: Report) -> List[_Found]:
    """The videos of a file whose frames are there."""
    names, part = _video_names(tree, file), coco.part_of_file(file, src)
    boxes = coco.boxes_by_image(tree, file, report)
    frames: Dict[Id, _Listed] = {}
    folders = coco.image_folders(file, src, options)
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
    found: List[_Found] = []
    for video, listed in frames.items():
        media = _media(names[video], listed, file, folders, report)
        if media is not None:
            by_image = any(path for path, _ in listed.values())
            found.append(_Found(without_video_suffix(names[video]), media, listed, part, by_image))
    return found


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
        name = entry.get('name') or entry.get('file_name') or 'video_%s' % entry['id']
        names[entry['id']] = '/'.join(parts_of(name, file))
    return names


def _media(name: str, listed: _Listed, file: str, folders: coco.ImageFolders,
           report: Report) -> Optional[Media]:
    """The images of a video, or where all are missing its file; None where neither is there."""
    present = {place: path for place, (path, _) in sorted(listed.items()) if path}
    media: Optional[Media] = Images(list(present.values()), list(present)) if present else None
    if media is None:
        media = folders.library.clip([name, without_video_suffix(name)], folders.places, file)
    if media is None or len(present) not in (0, len(listed)):
        report.skip('images: the file is missing', name, len(listed) - len(present))
    return media


def _clip(found: _Found, first: int) -> Clip:
    """The Clip of a video; `first` is what its labels call its first frame, 0 for images."""
    def open_labels() -> Labels:
        def boxes(number: int, height: int, width: int) -> Optional[List[Box]]:
            entry = found.listed.get(number + first)
            return entry[1](height, width) if entry else None
        return Labels(boxes, [place - first for place in found.listed])
    return Clip(found.name, found.media, open_labels, found.part, origin=first)
