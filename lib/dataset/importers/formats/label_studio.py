"""Label Studio's JSON export (labelstud.io, "Export results"): a list of tasks with annotations.

Regions are in percent of the image; those of videos have key frames, counted from 1, between which
Label Studio interpolates. A box stays until its object is switched off (`enabled`).
"""
import collections
import os
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Set, Tuple
from urllib.parse import parse_qs, urlsplit

from lib.dataset.importers.readers.json_trees import (Tree, first_json, first_of, json_paths,
                                                      load_json, mapping, objects, turned_edges)
from lib.dataset.importers.readers.label_studio_tracks import opener, tracks_of
from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.library import Library
from lib.dataset.importers.media import (IMAGE_SUFFIXES, VIDEO_SUFFIXES, Images, Media,
                                         without_video_suffix)
from lib.dataset.importers.model import (IMPORTERS, Box, Clip, Item, Options, Report, Source,
                                         fitted, number, recognises, whole)
from lib.dataset.importers.paths import merged, part_of, parts_of, stem
from dff.errors import DataError

_PREFIX = re.compile(r'[0-9a-f]{8}-(?=.)')     # of uploaded files
_REMEDY = 'export the project as JSON, not as JSON-MIN'
_WORDS = ('labels', 'rectanglelabels', 'videorectanglelabels')


class _Task(NamedTuple):
    """A task with an annotation."""

    place: str             # for messages
    names: List[str]       # of its file, the best first
    results: List[Tree]    # of the annotation
    labels: Dict[int, str]     # by index of the result


@IMPORTERS.register('label-studio')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a JSON export of Label Studio; a task is a video or an image.

    Files are found by their names, with or without the prefix that an upload puts before them. Of
    several annotations of a task one is taken: the ground truth, else the last one made.

    Args:
        src: a JSON file, or a folder of them.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of its videos and images is there.
    """
    root = src if os.path.isdir(src) else os.path.dirname(os.path.abspath(src))
    library = Library(([options.frames] if options.frames else []) + [root])
    videos: List[_Task] = []
    items: List[Item] = []
    classes: List[str] = []
    for file in json_paths(src, 'an export of Label Studio'):
        for task in _tasks(file, report):
            classes = merged(classes, task.labels.values())
            if _is_video(task):
                videos.append(task)
            else:
                items.append(_item(task, library, report))
    clips = _videos(videos, library, options, report)
    items = _apart(items)
    if items or not videos:
        try:
            clips += clips_of(items, options, root, report)
        except DataError:
            if not clips or any(item.path for item in items):
                raise
    if not clips:
        raise DataError('%s: none of the %d videos that it lists is there; --frames FOLDER says '
                        'where they are' % (src, len(videos)))
    return Source(clips, classes)


def _tasks(file: str, report: Report) -> List[_Task]:
    """The tasks of a file that have an annotation and name a file."""
    tree = load_json(file)
    found = []
    for index, task in enumerate(objects([tree] if isinstance(tree, dict) else tree, file,
                                         _REMEDY)):
        name = '%.40s' % (task.get('id', index),)
        place, where = ('%s, task %s' % (path, name) for path in (os.path.basename(file), file))
        made = task.get('annotations', task.get('completions'))
        if not isinstance(task.get('data'), dict) or made is None:
            raise DataError("%s: expected the keys 'data' and 'annotations'; %s"
                            % (where, _REMEDY))
        if task.get('predictions'):
            report.skip('predictions: a model made them, not a person', place)
        annotation = _chosen(objects(made, where + ', annotations', _REMEDY), place, report)
        names = _names(task)
        if annotation is None:
            continue
        if not names:
            report.skip('tasks: their data names no video and no image', place)
            continue
        results = objects(annotation.get('result', []), where + ', annotations, result', _REMEDY)
        found.append(_Task(place, names, results, _labels(results, place, report)))
    return found


def _chosen(annotations: List[Tree], place: str, report: Report) -> Optional[Tree]:
    """The annotation of a task to take, or None; the others are counted."""
    kept = [entry for entry in annotations if not entry.get('was_cancelled')
            and not entry.get('skipped')]
    if len(kept) < len(annotations):
        report.skip('annotations: skipped or cancelled', place, len(annotations) - len(kept))
    if not annotations:
        report.skip('tasks: not annotated', place)
    if not kept:
        return None
    if len(kept) > 1:
        report.skip('annotations: another one of the same task was taken', place, len(kept) - 1)
    newest = max(range(len(kept)), key=lambda index: (
        bool(kept[index].get('ground_truth')),
        str(kept[index].get('updated_at') or kept[index].get('created_at') or ''), index))
    return kept[newest]


def _names(task: Tree) -> List[str]:
    """What the file of a task may be called, as a path, the best first; [] where nothing says."""
    data = task['data']
    values = [data.get(key) for key in ('video', 'image', 'img', 'url')] + list(data.values())
    known = VIDEO_SUFFIXES + IMAGE_SUFFIXES
    texts = [value for value in values if isinstance(value, str) and value]
    named = [path for path in map(_path, texts) if path.lower().endswith(known)]
    named = named[:1] or [path for path in map(_path, texts[:1]) if path]
    upload = task.get('file_upload')
    if isinstance(upload, str) and upload.lower().endswith(known):
        named.append(os.path.basename(upload.replace('\\', '/')))
    plain = [name.rpartition('/')[2] for name in named]
    bare = [_PREFIX.sub('', name, count=1) for name in plain]
    return [name for name in dict.fromkeys(named + plain + bare) if name.strip('./\\')]


def _path(text: str) -> str:
    """The path in an address: of /data/local-files/?d=a/b.mp4 that behind d=."""
    try:
        parts = urlsplit(text.replace('\\', '/'))
        local = parse_qs(parts.query).get('d')
    except ValueError:       # no address at all
        return text
    if local:
        return local[0]
    path = parts.path if parts.scheme or parts.query else text
    return path.rpartition('/')[2] if '/upload/' in path else path


def _is_video(task: _Task) -> bool:
    kinds = [result.get('type') for result in task.results]
    return task.names[0].lower().endswith(VIDEO_SUFFIXES) or 'videorectangle' in kinds


def _labels(results: List[Tree], place: str, report: Report) -> Dict[int, str]:
    """{index: class} of the results that are boxes; what is none is counted.

    The class stands in the result itself, or in another one with the same id.
    """
    keys = [str(index if result.get('id') is None else 'id %s' % result['id'])
            for index, result in enumerate(results)]
    words: Dict[str, List[str]] = {}
    for key, result in zip(keys, results):
        value = mapping(result.get('value'))
        lists = [value[word] for word in _WORDS if isinstance(value.get(word), list)]
        words[key] = merged(words.get(key, []), [name for names in lists[:1] for name in names
                                                 if isinstance(name, str)])
    boxed = {key for key, result in zip(keys, results) if _is_box(result)}
    found = {}
    for index, (key, result) in enumerate(zip(keys, results)):
        if not _is_box(result):
            if key not in boxed:
                report.skip('results: %.40s, not boxes' % result.get('type'), place)
            continue
        if len(words[key]) > 1:
            report.change('boxes with several labels have the first one', place)
        if words[key]:
            found[index] = words[key][0]
        else:
            report.skip('boxes: without label', place)
    return found


def _is_box(result: Tree) -> bool:
    return result.get('type') in ('rectanglelabels', 'rectangle', 'videorectangle')


def _find(task: _Task, find: Callable[[str], Optional[str]]) -> Optional[str]:
    return next(filter(None, map(find, task.names)), None)


def _item(task: _Task, library: Library, report: Report) -> Item:
    """The Item of a task of an image."""
    path = _find(task, lambda name: library.images.find(name, task.place))
    *folders, _ = parts_of(task.names[0], task.place)
    name = os.path.splitext('/'.join(folders + [task.names[-1]]))[0]

    def boxes(height: int, width: int) -> Optional[List[Box]]:
        found: List[Box] = []
        declared: Tuple[Optional[int], Optional[int]] = (None, None)
        for index, label in task.labels.items():
            result = task.results[index]
            size = whole(result.get('original_height')), whole(result.get('original_width'))
            declared = size if all(size) else declared
            box = _box(result, label, (height, width), task.place, report)
            if box is not None:
                found.append(box)
        # In percent, boxes fit an image of any size; this is whether it is another picture.
        whole_image = [Box('', 0, 0, 0, 0)] if found else []
        fits = fitted(whole_image, declared, (height, width), task.place, report)
        return None if fits is None else found
    return Item(name, path, boxes, part_of('/'.join(folders)))


def _apart(items: List[Item]) -> List[Item]:
    """The items; those that have one name without the prefixes of their files have them again."""
    count = collections.Counter(item.name for item in items)
    return [item._replace(name=os.path.join(os.path.dirname(item.name), stem(item.path)))
            if item.path and count[item.name] > 1 else item for item in items]


def _box(result: Tree, label: str, size: Tuple[int, int], place: str, report: Report
         ) -> Optional[Box]:
    """The Box of a rectangle in an image of `size` (height, width)."""
    if result.get('type') == 'videorectangle' or number(result.get('image_rotation', 0)):
        report.skip('boxes: of a video, or of an image that was turned in Label Studio', place)
        return None
    value = mapping(result.get('value'))
    across, down = size[1] / 100, size[0] / 100
    rotation = number(value.get('rotation', 0))
    if rotation % 360:
        report.change('boxes: turned rectangles became the upright boxes around them', place)
    left, top, right, bottom = turned_edges(
        number(value.get('x')) * across, number(value.get('y')) * down,
        number(value.get('width')) * across, number(value.get('height')) * down, rotation)
    return Box(label, left, top, right - 1, bottom - 1)


def _videos(tasks: List[_Task], library: Library, options: Options, report: Report) -> List[Clip]:
    """The clips of the tasks of videos that are there."""
    clips: List[Clip] = []
    taken: Set[str] = set()
    bare = [without_video_suffix(task.names[-1]) for task in tasks]
    tasks_of = collections.Counter(bare)
    for task, short in zip(tasks, bare):
        names = merged(task.names, [without_video_suffix(name) for name in task.names])
        media: Optional[Media] = library.clip(names, library.roots, task.place)
        if media is None and len(tasks) == 1:
            media = library.only_clip(task.place, report)
        if media is None:
            report.skip('clips: neither a video nor a folder of frames of their name',
                        '%s, looked for %s' % (task.place, ' and '.join(task.names)))
            continue
        file = os.path.dirname(media.paths[0]) if isinstance(media, Images) else media.path
        if os.path.realpath(file) in taken:
            report.skip('tasks: another one is of the same video', task.place)
            continue
        taken.add(os.path.realpath(file))
        if isinstance(media, Images):
            media = Images(media.paths, range(len(media.paths)))
        *folders, own = parts_of(task.names[0], task.place)
        name = '/'.join(folders + [without_video_suffix(own) if tasks_of[short] > 1 else short])
        found = [(label, task.results[index]) for index, label in task.labels.items()]
        tracks = tracks_of(found, task.place, report)
        first = 1 if options.first_frame is None else options.first_frame
        labels = opener(tracks, media.length, first, task.place, report)
        clips.append(Clip(name, media, labels, part_of('/'.join(folders)), origin=first))
    return clips


@recognises('label-studio', 'JSON list of tasks with data and annotations')
def _recognise(src: str) -> Optional[str]:
    return first_json(src, lambda tree: {'data', 'annotations'} <= set(first_of(tree)))
