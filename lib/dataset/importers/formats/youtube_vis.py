"""YouTube-VIS JSON (youtube-vos.org, "VIS"), as OVIS and others have it too.

videos with lists of file_names, annotations with a box [x, y, width, height] or null for each of
them, categories. An annotation is a track. Outlines (`segmentations`) are not read.
"""
import os
from typing import Dict, List, NamedTuple, Optional, Tuple

from lib.dataset.importers.formats import coco
from lib.dataset.importers.formats.coco import Id
from lib.dataset.importers.readers.json_trees import (Tree, first_json, first_of, json_paths,
                                                      load_json, mapping, objects)
from lib.dataset.importers.readers.listed_frames import Frame, listed_clip
from lib.dataset.importers.model import (IMPORTERS, Box, Clip, Options, Report, Source, fitted,
                                         number, recognises, whole)
from lib.dataset.importers.paths import merged, parts_of
from dff.errors import DataError, shown

_REMEDY = 'a YouTube-VIS file has the lists videos, annotations and categories'


class _Video(NamedTuple):
    """An entry of the list videos."""

    name: str
    files: List[str]
    size: Tuple[Optional[int], Optional[int]]     # (height, width)


@IMPORTERS.register('youtube-vis')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of YouTube-VIS JSON; a video is a clip of the images that it lists.

    Args:
        src: a JSON file, or a folder of them; train.json, valid.json, or folders named so, say the
            part. Of a folder, JSON files without a list of videos are left out.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of the images is there.
    """
    clips: List[Clip] = []
    classes: List[str] = []
    read_any = False
    for file in json_paths(src, 'YouTube-VIS annotations'):
        tree = load_json(file)
        if not isinstance(tree, dict) or not isinstance(tree.get('videos'), list):
            if os.path.isfile(src):
                raise DataError("%s: the list 'videos' is not there; %s" % (file, _REMEDY))
            report.skip('files: no YouTube-VIS, they lack the list videos', file)
            continue
        read_any = True
        for key in ('videos', 'categories', 'annotations'):
            # The files of parts whose labels are kept back have no annotations, or null.
            absent = key == 'annotations' and tree.get(key) is None
            tree[key] = None if absent else objects(tree.get(key), '%s, %s' % (file, key), _REMEDY)
        if tree['annotations'] is None:
            report.skip('files: without annotations', file)
            continue
        classes = merged(classes, coco.category_names(tree, file).values())
        clips += _clips(tree, file, src, options, report)
    if not read_any:
        raise DataError('%s: none of its JSON files is YouTube-VIS; %s' % (src, _REMEDY))
    if not clips:
        raise DataError('%s: none of the images that it lists is there; --frames FOLDER says where '
                        'they are' % src)
    return Source(clips, classes)


def _clips(tree: Tree, file: str, src: str, options: Options, report: Report) -> List[Clip]:
    """The clips of a file whose images are there."""
    videos = {entry['id']: _video(entry, file) for entry in tree['videos'] if _has_id(entry, file)}
    boxes = _boxes(tree, videos, file, report)
    folders = coco.image_folders(file, src, options)
    part = coco.part_of_file(file, src)
    clips = []
    for identity, video in videos.items():
        frames = {}
        for place, name in enumerate(video.files):
            where = '%s, %s' % (os.path.basename(file), name)
            labels = _labels(boxes.get((identity, place), []), video, where, report)
            frames[place] = Frame(folders.find(name, file), labels)
        clip = listed_clip(video.name, frames, part, report)
        clips += [clip] if clip else []
    return clips


def _labels(boxes, video, where, report):
    return lambda height, width: fitted(boxes, video.size, (height, width), where, report)


def _has_id(entry: Tree, file: str) -> bool:
    """True. Raises DataError for a video without an id."""
    if not isinstance(entry.get('id'), (int, str)):
        raise DataError('%s, videos: a video needs an id, a number or text; found %s'
                        % (file, shown(entry)))
    return True


def _video(entry: Tree, file: str) -> _Video:
    names = entry.get('file_names')
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError('%s, video %s: expected file_names, a list of paths of images; found %s'
                        % (file, entry['id'], shown(names)))
    files = ['/'.join(parts_of(name, file)) for name in names]
    name = os.path.dirname(files[0]) if files else ''
    name = name or 'video_%s' % entry['id']
    return _Video(name, files, (whole(entry.get('height')), whole(entry.get('width'))))


def _boxes(tree: Tree, videos: Dict[Id, _Video], file: str, report: Report
           ) -> Dict[Tuple[Id, int], List[Box]]:
    """{(video id, place in its list): boxes} of the annotations of a file."""
    names = coco.category_names(tree, file)
    found: Dict[Tuple[Id, int], List[Box]] = {}
    for index, entry in enumerate(tree['annotations']):
        place = '%s, annotation %s' % (os.path.basename(file), entry.get('id', index))
        category, identity, listed = (entry.get(key) for key in (
            'category_id', 'video_id', 'bboxes'))
        if not isinstance(category, (int, str)) or category not in names \
                or not isinstance(identity, (int, str)) or identity not in videos:
            report.skip('tracks: their category_id or video_id is none of the file', place)
            continue
        length = len(videos[identity].files)
        if not isinstance(listed, list) or len(listed) != length:
            report.skip('tracks: bboxes is not a list with an entry for each of file_names', place)
            continue
        if entry.get('iscrowd'):
            report.skip('tracks: iscrowd, boxes around many objects', place)
            continue
        track = whole(entry.get('id'))
        for frame, bbox in enumerate(listed):
            if isinstance(bbox, list) and len(bbox) == 4:
                x, y, width, height = map(number, bbox)
                found.setdefault((identity, frame), []).append(Box(
                    names[category], x, y, x + width - 1, y + height - 1,
                    index if track is None else track))
            elif bbox:
                report.skip('boxes: neither [x, y, width, height] nor null',
                            '%s, entry %d' % (place, frame))
    return found


@recognises('youtube-vis', 'JSON whose videos have file_names')
def _recognise(src: str) -> Optional[str]:
    return first_json(src, lambda tree: 'file_names' in first_of(mapping(tree).get('videos')))
