"""CVAT for video 1.1 XML (docs.cvat.ai, "XML annotation format"): a <track> an object, a <box> for
each of its frames.

CVAT lists every frame of a track. In files of others that list key frames only, boxes between them
are interpolated as CVAT does; a track ends with its last box.
"""
import bisect
import os
import re
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple
from xml.etree.ElementTree import Element

from lib.dataset.importers.library import Library
from lib.dataset.importers.media import Images, Media, without_video_suffix
from lib.dataset.importers.model import (IMPORTERS, Box, Clip, Labels, Options, Report, Source,
                                         fitted, number, recognises, whole)
from lib.dataset.importers.paths import files_below, merged, part_named, part_of, parts_of, stem
from lib.dataset.importers.xml_files import children, file_with
from dff.errors import DataError

OTHER_SHAPES = 'shapes: not upright boxes'


class Task(NamedTuple):
    """What <meta> says."""

    source: Optional[str]     # the video's file name
    labels: List[str]
    size: Optional[int]       # frames that belong to the task
    start: int                # first frame that belongs to the task
    stop: Optional[int]       # last one; None: not stated
    step: int                 # 5: every fifth frame was annotated
    subset: Optional[str]     # Train, Validation and such
    height: Optional[int]     # of the frames that were labelled
    width: Optional[int]
    identity: Optional[str]   # that its tracks and images name, in the export of a project
    name: Optional[str]


class _Key(NamedTuple):
    """A <box>."""

    frame: int
    outside: bool
    corners: Tuple[float, ...]     # xtl ytl xbr ybr, edges of the pixels
    occluded: bool


class _Track(NamedTuple):
    """A <track> with boxes."""

    identity: int
    name: str
    frames: List[int]         # of the keys, rising
    keys: List[_Key]


@IMPORTERS.register('cvat')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of CVAT for video.

    The frames are the video that the XML names or that is named like it, or a folder of images of
    that name, beside the XML or in options.frames; for annotations.xml, the folder images/ beside
    it.

    Args:
        src: an XML file, or a folder whose *.xml are read, also those deeper; each is a clip.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or no frames are found.
    """
    clips: List[Clip] = []
    classes: List[str] = []
    files = xml_files(src)
    root = src if os.path.isdir(src) else os.path.dirname(os.path.abspath(src))
    library = Library(([options.frames] if options.frames else []) + [root])
    tasks = [(file, task) for file in files for task in read_tasks(file, 'track', 'image')]
    for file, task in tasks:
        classes = merged(classes, task.labels)
        name, media = _media(file, task, src, options, library)
        if media is None and len(tasks) == 1:
            media = library.only_clip(file, report)
        if media is None:
            tried = ' and '.join(dict.fromkeys([name, task.source or name]))
            report.skip('clips: neither a video nor a folder of frames of their name',
                        '%s, looked for %s' % (file, tried))
            continue
        part = part_named(task.subset) or part_of(name)
        clips.append(Clip(name, media, _opener(file, task, report), part))
    if not clips:
        raise DataError('%s: found no frames of any annotated video; --frames FOLDER says where videos or folders of '
                        'frames are' % src)
    return Source(clips, classes)


@recognises('cvat', 'XML <annotations> with <track>')
def _recognise(src: str) -> Optional[str]:
    return file_with(src, 'track', 'interpolation')


def xml_files(src: str) -> List[str]:
    """Return the file `src`, or all *.xml below the folder `src`.

    Raises DataError where there is none.
    """
    files = [src] if os.path.isfile(src) else [os.path.join(src, file) for file in files_below(src, ('.xml',))]
    if not files:
        raise DataError('%s: expected CVAT 1.1 annotations (*.xml) in it' % src)
    return files


# By the elements that hold the boxes.
KINDS = {'track': ('CVAT for video', 'cvat'), 'image': ('CVAT for images', 'cvat-images')}


def read_tasks(file: str, wanted: str, other: str) -> List[Task]:
    """Return the tasks of an XML file: one, or those of a project.

    wanted: key of KINDS, the format that is read; other: the other key. Raises DataError for
    another format, with advice for that of `other`.
    """
    tasks: List[Task] = []
    for element in children(file, ('meta', 'image', 'track')):
        if element.tag == wanted:
            break
        if element.tag == other:
            raise DataError('%s is %s 1.1: import it with the format %s, or export the task as %s 1.1'
                            % (file, KINDS[other][0], KINDS[other][1], KINDS[wanted][0]))
        tasks = _tasks_of(file, element)
    if not tasks:
        raise DataError('%s: expected %s 1.1, <annotations> with <meta> and <%s>' % (file, KINDS[wanted][0], wanted))
    return tasks


def _tasks_of(file: str, meta: Element) -> List[Task]:
    one = next((task for task in (meta.find(kind) for kind in ('task', 'job')) if task is not None),
               None)
    if one is not None:
        return [_task_of(one, meta, one, None)]
    project = meta.find('project')
    found = [] if project is None else project.findall('tasks/task')
    if project is None or not found:
        raise DataError(
            '%s: <meta> holds no <task>, no <job> and no <project> of tasks; export each task by '
            'itself'
            % file)
    return [_task_of(task, task, project, task.findtext('id') or '') for task in found]


def _task_of(task: Element, meta: Element, labels: Element, identity: Optional[str]) -> Task:
    """The Task of an element.

    meta: holds what may stand beside the task; labels: holds the list of labels; identity: of a
    task of a project.
    """
    filtered = re.fullmatch(r'\s*step\s*=\s*(\d{1,6})\s*', task.findtext('frame_filter') or '')
    return Task(
        source=task.findtext('source') or meta.findtext('source') or None,
        labels=[label.findtext('name') or '' for label in labels.iterfind('labels/label')],
        size=whole(task.findtext('size')),
        start=whole(task.findtext('start_frame')) or 0,
        stop=whole(task.findtext('stop_frame')),
        step=max(1, int(filtered.group(1))) if filtered else 1,
        subset=task.findtext('subset'),
        height=_side(task, meta, 'height'),
        width=_side(task, meta, 'width'),
        identity=identity,
        name=task.findtext('name'))


def _side(task: Element, meta: Element, side: str) -> Optional[int]:
    """The height or width of the frames, which stands in <meta> itself in the export of a job."""
    tag = 'original_size/' + side
    return whole(task.findtext(tag) or meta.findtext(tag))


def _media(file: str, task: Task, src: str, options: Options,
           library: Library) -> Tuple[str, Optional[Media]]:
    """(name of the clip, its Images or Video or None)."""
    folder = os.path.dirname(file)
    name = clip_name(file, src)
    alone = stem(file) == 'annotations' and task.identity is None
    if task.identity is not None and task.name:
        name = '/'.join(parts_of(task.name, file))
    names = [name] if task.identity is not None else ['.', name] if alone else [stem(file), name]
    if task.source:
        plain = task.source.replace('\\', '/')
        own = os.path.basename(plain)
        # Of walk.avi and walk.mp4, that which was labelled.
        names += [plain, own, without_video_suffix(plain)]
        names = [own] * (stem(own) == stem(file)) + names
    media: Optional[Media] = None
    if options.frames:
        media = library.clip([each for each in names if each != '.'], [options.frames], file)
    media = media or library.clip(names, [folder], file)
    if isinstance(media, Images) and media.length == task.size:
        # All frames of the task: they may be named anyhow, or be numbered from 1.
        media = Images(media.paths, range(task.start, task.start + task.size * task.step, task.step))
    return name, media


def clip_name(file: str, src: str) -> str:
    """Return the name of the clip of an XML file: that of the file, its path below the folder
    `src`; of annotations.xml that of its folder.
    """
    if stem(file) == 'annotations':
        return os.path.basename(os.path.abspath(os.path.dirname(file)))
    if os.path.isfile(src):
        return stem(file)
    return os.path.splitext(os.path.relpath(file, src).replace(os.sep, '/'))[0]


def _opener(file: str, task: Task, report: Report) -> Callable[[], Labels]:
    def open_labels() -> Labels:
        tracks = list(_tracks(file, task, report))

        def boxes(frame: int, height: int, width: int) -> Optional[List[Box]]:
            beyond = frame < task.start or (task.stop is not None and frame > task.stop)
            if beyond or (frame - task.start) % task.step:
                return None
            found = (_box_at(track, frame) for track in tracks)
            return fitted([box for box in found if box], (task.height, task.width), (height, width),
                          '%s, frame %d' % (os.path.basename(file), frame), report)
        return Labels(boxes, {key.frame for track in tracks for key in track.keys if not key.outside})
    return open_labels


def _tracks(file: str, task: Task, report: Report) -> Iterator[_Track]:
    """The _Track of every track of a task with boxes."""
    for index, element in enumerate(children(file, ('track',))):
        if task.identity not in (None, element.get('task_id')):
            continue
        place = '%s, track %s' % (os.path.basename(file), element.get('id', index))
        keys = []
        for shape in element:
            frame = whole(shape.get('frame'))
            if not is_upright_box(shape):
                report.skip(OTHER_SHAPES, place)
            elif frame is None:
                report.skip('boxes: without frame number', place)
            else:
                keys.append(_Key(frame, shape.get('outside') == '1', corners_of(shape), shape.get('occluded') == '1'))
        if keys:
            keys.sort(key=lambda key: key.frame)
            identity = whole(element.get('id'))
            identity = index if identity is None else identity
            yield _Track(identity, element.get('label') or '', [key.frame for key in keys], keys)


def _box_at(track: _Track, frame: int) -> Optional[Box]:
    """The Box of a track in a frame, None where the object is outside; between two boxes,
    interpolated.
    """
    identity, name, frames, keys = track
    after = bisect.bisect_left(frames, frame)
    if after < len(keys) and keys[after].frame == frame:
        key = keys[after]
        return None if key.outside else box_of(name, key.corners, identity, key.occluded, False)
    if not 0 < after < len(keys) or keys[after - 1].outside:
        return None
    before, key = keys[after - 1], keys[after]
    share = (frame - before.frame) / (key.frame - before.frame)
    corners = [a + share * (b - a) for a, b in zip(before.corners, key.corners)]
    return box_of(name, corners, identity, before.occluded, True)


def is_upright_box(shape: Element) -> bool:
    """Return whether an element is a <box> that is not rotated."""
    return shape.tag == 'box' and number(shape.get('rotation', 0)) == 0


def corners_of(shape: Element) -> Tuple[float, ...]:
    """Return the edges of the pixels of a <box>: left, top, right, bottom; nan where it lacks one."""
    return tuple(number(shape.get(corner)) for corner in ('xtl', 'ytl', 'xbr', 'ybr'))


def box_of(name: str, corners: Sequence[float], identity: Optional[int] = None,
           occluded: bool = False, generated: bool = False) -> Box:
    """Return the Box of a <box>.

    Args:
        name: its class.
        corners: as of corners_of.
        identity: of its track; None where there is none.
        occluded: as of Box.
        generated: as of Box.
    """
    left, top, right, bottom = corners
    return Box(name, left, top, right - 1, bottom - 1, identity, occluded, generated)
