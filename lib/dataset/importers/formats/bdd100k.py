"""BDD100K and Scalabel JSON (doc.bdd100k.com, "label format"): a list of frames with labels.

Frames with videoName and frameIndex make clips, others are images. Corners of a box2d are pixels
that belong to it. Older files hold one image, with `frames` of `objects`.
"""
import os
from typing import Callable, Dict, List, Optional, Tuple

from lib.dataset.importers.formats import coco
from lib.dataset.importers.readers.json_trees import (Tree, first_json, first_of, json_paths,
                                                      load_json, mapping, objects)
from lib.dataset.importers.readers.listed_frames import Frame, listed_clip
from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.model import (IMPORTERS, Box, Clip, Item, Options, Report, Source,
                                         fitted, number, recognises, whole)
from lib.dataset.importers.paths import merged, parts_of
from dff.errors import DataError, shown

_REMEDY = 'a BDD100K or Scalabel file is a list of frames with name and labels, or has it as frames'
_CORNERS = ('x1', 'y1', 'x2', 'y2')

_Clips = Dict[Tuple[str, Optional[str]], Dict[int, Frame]]     # by name and part


class _Reader:
    """Reads files, and collects what they list."""

    def __init__(self, src: str, options: Options, report: Report) -> None:
        self.src, self.options, self.report = src, options, report
        self.clips: _Clips = {}
        self.items: List[Item] = []
        self.classes: List[str] = []
        self._tracks: Dict[str, Dict[str, int]] = {}     # {clip: {id: number}}
        self._folders: Dict[str, coco.ImageFolders] = {}

    def file(self, file: str) -> None:
        """Read a file."""
        frames, listed = _frames(load_json(file), file)
        self.classes = merged(self.classes, listed)
        part = coco.part_of_file(file, self.src)
        folder = os.path.dirname(file)
        if folder not in self._folders:
            self._folders[folder] = coco.image_folders(file, self.src, self.options)
        folders = self._folders[folder]
        for index, frame in enumerate(frames):
            if not isinstance(frame.get('name'), str):
                raise DataError('%s, frame %d: expected a name, the file of the image; found %s'
                                % (file, index, shown(frame.get('name'))))
            name = '/'.join(parts_of(frame['name'], file))
            place = '%s, %s' % (os.path.basename(file), name)
            video, position = frame.get('videoName'), whole(frame.get('frameIndex'))
            if isinstance(video, str) and video and position is not None:
                video = '/'.join(parts_of(video, file))
                path = _find(video, name, file, folders)
                labels = self._labels(frame, place, file, video)
                known = self.clips.setdefault((video, part), {})
                made = Frame(path, labels)
                if known.setdefault(position, made) is not made:
                    self.report.skip('images: another of the clip has the same frameIndex', place)
                continue
            labels = self._labels(frame, place, file, None)
            stem = os.path.splitext(name)
            known_end = stem[1].lower() in folders.library.images.suffixes
            self.items.append(Item(stem[0] if known_end else name, folders.find(name, file),
                                   labels, part))

    def _labels(self, frame: Tree, place: str, file: str, video: Optional[str]
                ) -> Callable[[int, int], Optional[List[Box]]]:
        """The function boxes(height, width) of a frame; what cannot be used is counted."""
        labels = frame.get('labels')
        labels = [] if labels is None else objects(labels, '%s, %s, labels' % (file, place),
                                                   _REMEDY)
        boxes = []
        for label in labels:
            more, corners = mapping(label.get('attributes')), label.get('box2d')
            name = label.get('category')
            if corners is None:
                self.report.skip('labels: without box2d', place)
            elif not isinstance(corners, dict) or not isinstance(name, str):
                self.report.skip('boxes: without category, or box2d is not x1, y1, x2, y2', place)
            elif more.get('crowd') is True or more.get('Crowd') is True:
                self.report.skip('boxes: crowd, one box around many objects', place)
            else:
                x1, y1, x2, y2 = (number(corners.get(key)) for key in _CORNERS)
                occluded = bool(more.get('occluded', more.get('Occluded', False)))
                boxes.append(Box(name, x1, y1, x2, y2, self._track(label, video), occluded))
        self.classes = merged(self.classes, dict.fromkeys(box.name for box in boxes))
        size = mapping(frame.get('size'))
        declared = whole(size.get('height')), whole(size.get('width'))
        return lambda height, width: fitted(boxes, declared, (height, width), place, self.report)

    def _track(self, label: Tree, video: Optional[str]) -> Optional[int]:
        """The number of a label's object in its clip: ids may be any text."""
        if video is None or not isinstance(label.get('id'), (int, str)):
            return None
        known = self._tracks.setdefault(video, {})
        return known.setdefault(str(label['id']), len(known))


@IMPORTERS.register('bdd100k')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of BDD100K or Scalabel JSON; frames without labels have no objects.

    Args:
        src: a JSON file, or a folder of them, also those deeper; a file named train or val, or in
            a folder named so, is of that part.
        options: what the user asked for; options.clips takes images without videoName as frames of
            clips too.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of the images is there.
    """
    reader = _Reader(src, options, report)
    for file in json_paths(src, 'BDD100K or Scalabel annotations'):
        reader.file(file)
    clips: List[Clip] = []
    for (name, part), frames in reader.clips.items():
        clip = listed_clip(name, frames, part, report)
        clips += [clip] if clip else []
    root = src if os.path.isdir(src) else os.path.dirname(os.path.abspath(src))
    if reader.items:
        clips += clips_of(reader.items, options, root, report)
    if not clips:
        raise DataError('%s: none of the images that it lists is there; --frames FOLDER says where '
                        'they are' % src)
    return Source(clips, reader.classes)


def _frames(tree: object, file: str) -> Tuple[List[Tree], List[str]]:
    """(frames, the classes that the file lists) of a file."""
    if not isinstance(tree, dict):
        return objects(tree, file, _REMEDY), []
    frames = objects(tree.get('frames'), file + ', frames', _REMEDY)
    if isinstance(tree.get('name'), str):        # one image
        if len(frames) != 1:
            raise DataError('%s, frames: expected the one frame of an image, found %d; %s'
                            % (file, len(frames), _REMEDY))
        return [dict(tree, labels=frames[0].get('objects'))], []
    listed = mapping(tree.get('config')).get('categories')
    names = [mapping(entry).get('name') for entry in listed] if isinstance(listed, list) else []
    return frames, [name for name in names if isinstance(name, str)]


def _find(video: str, name: str, file: str, folders: coco.ImageFolders) -> Optional[str]:
    """The path of a frame: in the folder of its video, or anywhere if its name has the video's."""
    below = name if name.startswith(video + '/') else '%s/%s' % (video, name)
    path = folders.find(below, file)
    own = os.path.basename(name).startswith(os.path.basename(video))
    return path or (folders.find(name, file) if own else None)


@recognises('bdd100k', 'JSON list of frames with name and labels')
def _recognise(src: str) -> Optional[str]:
    def fits(tree):
        frame = first_of(mapping(tree).get('frames', tree))
        return isinstance(frame.get('name'), str) and ('labels' in frame or 'videoName' in frame)
    return first_json(src, fits)
