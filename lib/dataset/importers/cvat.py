"""CVAT for video 1.1 XML (docs.cvat.ai, "XML annotation format"): a <track> an object, a <box> for each frame it is seen in."""
import bisect
import os
import re
from typing import List, NamedTuple, Optional

from lib.dataset.importers.media import find_clip, without_video_suffix
from lib.dataset.importers.model import Box, Clip, Labels, Source, number, whole
from lib.dataset.importers.paths import files_below, part_of, relative, stem
from lib.dataset.importers.xml_files import children
from lib.utils.errors import DataError


class _Task(NamedTuple):
    """What <meta> says."""

    source: Optional[str]     # the video's file name
    labels: List[str]
    start: int                # first frame that belongs to the task
    stop: Optional[int]       # last one; None: not stated
    step: int                 # 5: every fifth frame was annotated


class _Key(NamedTuple):
    """A <box>."""

    frame: int
    outside: bool
    corners: tuple            # xtl ytl xbr ybr, edges of the pixels
    occluded: bool


class _Track(NamedTuple):
    """A <track> with boxes."""

    identity: int
    name: str
    frames: List[int]         # of the keys, rising
    keys: List[_Key]


def read(src, options, report):
    """The Source of an XML file, or of all *.xml below a folder, each a clip.

    The frames are the video that the XML names or that is named like it, or a folder of images of that name, beside the
    XML or in options.frames; for annotations.xml, the folder images/ beside it.
    """
    files = [src] if os.path.isfile(src) else [os.path.join(src, file) for file in files_below(src, ('.xml',))]
    if not files:
        raise DataError('%s: expected CVAT for video 1.1 annotations (*.xml) in it' % src)
    clips, classes = [], []
    for file in files:
        task = _task(file)
        classes += [name for name in task.labels if name not in classes]
        name, media = _media(file, task, src, options)
        if media is None:
            report.skip('clips: neither a video nor a folder of frames of their name', file)
            continue
        clips.append(Clip(name, media, _opener(file, task, report), part_of(name)))
    if not clips:
        raise DataError('%s: found no frames of any annotated video; --frames FOLDER says where videos or folders of frames are' % src)
    return Source(clips, classes)


def _task(file):
    """Read <meta>. Raises DataError for another format."""
    for element in children(file, ('meta', 'image', 'track', 'annotation')):
        if element.tag == 'image':
            raise DataError('%s is CVAT for images; export the task as CVAT for video 1.1' % file)
        if element.tag != 'meta':
            break
        task = next((task for task in (element.find(kind) for kind in ('task', 'job')) if task is not None), None)
        if task is None:
            raise DataError('%s: <meta> holds no <task> and no <job>; export each task by itself, not the project' % file)
        filtered = re.fullmatch(r'\s*step\s*=\s*(\d{1,6})\s*', task.findtext('frame_filter') or '')
        stop = whole(task.findtext('stop_frame'))
        source = task.findtext('source') or element.findtext('source')
        return _Task(source and relative(source, file), [label.findtext('name') or '' for label in task.iterfind('labels/label')],
                     whole(task.findtext('start_frame')) or 0, stop, max(1, int(filtered.group(1))) if filtered else 1)
    raise DataError('%s: expected CVAT for video 1.1, <annotations> with <meta> and <track>' % file)


def _media(file, task, src, options):
    """(name of the clip, its Images or Video or None)."""
    folder = os.path.dirname(file)
    if stem(file) == 'annotations':
        name = os.path.basename(os.path.abspath(folder))
        names = ['.', name]
    else:
        name = stem(file) if os.path.isfile(src) else os.path.splitext(os.path.relpath(file, src).replace(os.sep, '/'))[0]
        names = [stem(file), name]
    if task.source:
        names += [task.source, os.path.basename(task.source), without_video_suffix(task.source)]
    media = find_clip(names[1:] if names[0] == '.' else names, [options.frames]) if options.frames else None
    return name, media or find_clip(names, [folder])


def _opener(file, task, report):
    def open_labels():
        tracks = list(_tracks(file, report))

        def boxes(frame, height, width):
            if frame < task.start or (task.stop is not None and frame > task.stop) or (frame - task.start) % task.step:
                return None
            found = (_box_at(track, frame, task.step) for track in tracks)
            return [box for box in found if box]
        return Labels(boxes, {key.frame for track in tracks for key in track.keys if not key.outside})
    return open_labels


def _tracks(file, report):
    """The _Track of every track with boxes."""
    for index, element in enumerate(children(file, ('track',))):
        place = '%s, track %s' % (os.path.basename(file), element.get('id', index))
        keys = []
        for shape in element:
            frame = whole(shape.get('frame'))
            if shape.tag != 'box' or number(shape.get('rotation', 0)) != 0:
                report.skip('shapes: not upright boxes', place)
            elif frame is None:
                report.skip('boxes: without frame number', place)
            else:
                keys.append(_Key(frame, shape.get('outside') == '1', tuple(number(shape.get(c)) for c in ('xtl', 'ytl', 'xbr', 'ybr')),
                                 shape.get('occluded') == '1'))
        if keys:
            keys.sort(key=lambda key: key.frame)
            identity = whole(element.get('id'))
            yield _Track(index if identity is None else identity, element.get('label') or '', [key.frame for key in keys], keys)


def _box_at(track, frame, step):
    """The Box of a track in a frame, None where the object is outside; between boxes of a task without step, interpolated."""
    identity, name, frames, keys = track
    after = bisect.bisect_left(frames, frame)
    if after < len(keys) and keys[after].frame == frame:
        key = keys[after]
        return None if key.outside else _box(name, key.corners, identity, key.occluded, False)
    if step > 1 or not 0 < after < len(keys) or keys[after - 1].outside:
        return None
    before, key = keys[after - 1], keys[after]
    share = 0 if key.outside else (frame - before.frame) / (key.frame - before.frame)
    corners = [a + share * (b - a) for a, b in zip(before.corners, key.corners)]
    return _box(name, corners, identity, before.occluded, True)


def _box(name, corners, identity, occluded, generated):
    left, top, right, bottom = corners
    return Box(name, left, top, right - 1, bottom - 1, identity, occluded, generated)
