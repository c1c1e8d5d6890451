"""CVAT for video 1.1 XML: a <track> an object, a <box> for each of its frames.

Boxes that lie on the line between others are no key frames: who corrects one in CVAT corrects
those between, too.
"""
import os
from typing import List, Set
from xml.etree.ElementTree import Element, ElementTree, SubElement

from dff.errors import DataError
from lib.dataset.exporters.model import EXPORTERS, Detection, ExportedClip, Track

TOLERANCE = 1.0      # pixels that a box without key frame may be off the line


@EXPORTERS.register('cvat')
def write(clip: ExportedClip, folder: str) -> None:
    """Write <clip>.xml, to be uploaded to a task of the same frames.

    Args:
        clip: the detections.
        folder: an empty folder.

    Raises:
        DataError: the frames differ in size, which a task's annotations cannot say.
    """
    sizes = sorted({(frame.width, frame.height) for frame in clip.frames})
    if len(sizes) > 1:
        raise DataError('--frames: expected images of one size for cvat, found %dx%d and %dx%d; '
                        'choose --format coco' % (sizes[0] + sizes[1]))
    root = Element('annotations')
    SubElement(root, 'version').text = '1.1'
    root.append(_meta(clip))
    for track in clip.tracks():
        _add_track(root, track, clip.length)
    path = os.path.join(folder, clip.name + '.xml')
    ElementTree(root).write(path, encoding='utf-8', xml_declaration=True)


def _meta(clip: ExportedClip) -> Element:
    meta = Element('meta')
    task = SubElement(meta, 'task')
    for tag, value in (('name', clip.name), ('size', clip.length), ('mode', 'interpolation'),
                       ('start_frame', 0), ('stop_frame', clip.length - 1)):
        SubElement(task, tag).text = str(value)
    labels = SubElement(task, 'labels')
    for name in clip.classes:
        SubElement(SubElement(labels, 'label'), 'name').text = name
    size = SubElement(task, 'original_size')
    SubElement(size, 'width').text = str(clip.frames[0].width)
    SubElement(size, 'height').text = str(clip.frames[0].height)
    if clip.source:
        SubElement(meta, 'source').text = _printable(clip.source)
    return meta


def _printable(text: str) -> str:
    """A file's name without letters that XML cannot hold."""
    return ''.join(letter if letter.isprintable() else '_' for letter in text)


def _add_track(root: Element, track: Track, length: int) -> None:
    """Add a <track>; behind each frame that no other follows, the object is outside."""
    element = SubElement(root, 'track', id=str(track.number), label=track.name, source='auto')
    frames = [frame.position for frame, _ in track.boxes]
    boxes = [box for _, box in track.boxes]
    keys = _key_frames(frames, boxes)
    for place, (frame, box) in enumerate(zip(frames, boxes)):
        _add_box(element, frame, box, place in keys, False)
        following = frames[place + 1] if place + 1 < len(frames) else length
        if frame + 1 < following:
            _add_box(element, frame + 1, box, True, True)


def _add_box(element: Element, frame: int, box: Detection, key: bool, outside: bool) -> None:
    left, top, right, bottom = ('%.2f' % edge for edge in box.edges)
    SubElement(element, 'box', frame=str(frame), outside='%d' % outside, occluded='0',
               keyframe='%d' % key, xtl=left, ytl=top, xbr=right, ybr=bottom, z_order='0')


def _key_frames(frames: List[int], boxes: List[Detection]) -> Set[int]:
    """The places of those boxes between which all others are where interpolation puts them."""
    starts = [place for place in range(len(frames))
              if place == 0 or frames[place] > frames[place - 1] + 1]
    runs = list(zip(starts, [start - 1 for start in starts[1:]] + [len(frames) - 1]))
    keys = {place for run in runs for place in run}
    while runs:
        first, last = runs.pop()
        worst, place = max(((_off_line(boxes, first, place, last), place)
                            for place in range(first + 1, last)), default=(0.0, first))
        if worst > TOLERANCE:
            keys.add(place)
            runs += [(first, place), (place, last)]
    return keys


def _off_line(boxes: List[Detection], first: int, place: int, last: int) -> float:
    """How many pixels an edge is off the line between two other boxes."""
    share = (place - first) / (last - first)
    return max(abs(a + share * (b - a) - edge) for a, edge, b in
               zip(boxes[first].edges, boxes[place].edges, boxes[last].edges))
