"""Writes toy_vid: the ILSVRC2015 layout, the same bytes every time for the same sizes and versions.

    python -m lib.dataset.toy.toy_generator FOLDER [--train_clips N ...]
"""
import functools
import os
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple
from xml.sax.saxutils import escape

import cv2
import numpy as np

from lib.dataset.formats.image_sets import Entry, write_image_set
from lib.dataset.toy.toy_scene import HEIGHT, SPEEDS, WIDTH, Scene, Thing
from lib.dataset.toy.toy_shapes import CLASSES
from lib.dataset.toy.toy_store import ToyStore, draw_scenes, make_from_command_line
from lib.utils.cli import run

# Raise it when a frame, or how many there are, would come out differently; older folders are then drawn anew.
VERSION = 10
CLASS_IDS = tuple('toy%02d' % (i + 1) for i in range(len(CLASSES)))
JPEG_QUALITY = 88
LABELLED = 15                  # labelled frames a training clip, as in VID_train_15frames
STILLS_PER_SCENE, STILL_INTERVAL = 2, 60


@dataclass(frozen=True)
class Size:
    """How much to draw; the defaults are the data set that the experiments use."""

    train_clips: int = 170
    train_length: int = 25     # frames a clip
    stills: int = 2400
    val_clips: int = 60
    val_length: int = 20       # two key frames at an interval of 10


def ensure(folder: str, size: Size = Size()) -> None:
    """Make toy_vid at `folder` unless a current one, of any size, is there.

    Raises DataError; see ToyStore.ensure.
    """
    STORE.ensure(folder, size)


def generate(folder: str, size: Size = Size(), workers: Optional[int] = None) -> None:
    """Draw toy_vid at `folder`, where it replaces what is there.

    Raises DataError; see ToyStore.generate.

    size: how much to draw; workers: processes, by default as many as are worth it.
    """
    STORE.generate(folder, size, workers)


def _jobs(size: Size) -> List[Tuple[str, int, int, str]]:
    """(kind, index, frames, speed) of every scene; kind and index also seed it."""
    speeds = list(SPEEDS)
    jobs = [('train', i, size.train_length, speeds[i % 3]) for i in range(size.train_clips)]
    jobs += [('val', i, size.val_length, speeds[i % 3]) for i in range(size.val_clips)]
    scenes = range(0, size.stills, STILLS_PER_SCENE)
    return jobs + [('still', i, min(STILLS_PER_SCENE, size.stills - i), speeds[i // STILLS_PER_SCENE % 3])
                   for i in scenes]


def _write(folder, size, workers):
    jobs = _jobs(size)
    draw_scenes(functools.partial(_draw, folder), jobs, sum(job[2] for job in jobs), 'toy_vid', workers)
    _write_lists(folder, size)


STORE = ToyStore('toy_vid', VERSION, _write)


def _draw(folder, job):
    """Draw one scene's frames and annotations; returns how many."""
    kind, index, frames, speed = job
    number = index // STILLS_PER_SCENE if kind == 'still' else index
    scene = Scene(np.random.RandomState([('train', 'val', 'still').index(kind), index]), speed, number)
    for t in range(frames):
        if kind == 'still':
            tree, path = 'DET', still_path(index + t)
            frame = scene.render(t * STILL_INTERVAL)
        else:
            tree, path = 'VID', '%s/%06d' % (clip_path(kind, index), t)
            frame = scene.render(t)
        image = os.path.join(folder, 'Data', tree, path + '.JPEG')
        xml = os.path.join(folder, 'Annotations', tree, path + '.xml')
        for file in (image, xml):
            os.makedirs(os.path.dirname(file), exist_ok=True)
        _, data = cv2.imencode('.jpg', frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        data.tofile(image)
        with open(xml, 'w', encoding='utf-8') as stream:
            stream.write(annotation_xml(path, frame.things))
    return frames


def clip_path(part: str, index: int) -> str:
    """Return the path of a clip below Data/VID. part: 'train' or 'val'; index: of the clip in it,
    from 0.
    """
    return '%s/toy_%s_%03d' % (part, part, index)


def still_path(index: int) -> str:
    """Return the path of a still image below Data/DET. index: of the image, from 0."""
    return 'train/toy/toy_%06d' % index


def annotation_xml(path: str, things: Sequence[Thing]) -> str:
    """Return the annotation of a frame as ImageNet VID writes them.

    path: of the frame below Data/<tree>, without extension; things: its annotated objects.
    """
    folder, name = path.rsplit('/', 1)
    objects = ''.join(
        '\t<object>\n\t\t<trackid>%d</trackid>\n\t\t<name>%s</name>\n\t\t<bndbox>\n\t\t\t<xmax>%d</xmax>\n\t\t\t<xmin>%d</xmin>\n'
        '\t\t\t<ymax>%d</ymax>\n\t\t\t<ymin>%d</ymin>\n\t\t</bndbox>\n\t\t<occluded>%d</occluded>\n'
        '\t\t<generated>0</generated>\n\t</object>\n'
        % (thing.track, CLASS_IDS[thing.class_index], thing.box[2], thing.box[0], thing.box[3], thing.box[1],
           thing.occluded)
        for thing in things)
    return ('<annotation>\n\t<folder>%s</folder>\n\t<filename>%s</filename>\n\t<source>\n'
            '\t\t<database>toy_vid</database>\n\t</source>\n'
            '\t<size>\n\t\t<width>%d</width>\n\t\t<height>%d</height>\n\t</size>\n%s</annotation>\n'
            % (escape(folder), escape(name), WIDTH, HEIGHT, objects))


def _write_lists(folder: str, size: Size) -> None:
    """classes.txt and the four image sets."""
    with open(os.path.join(folder, 'classes.txt'), 'w', encoding='utf-8') as stream:
        stream.writelines('%s %s\n' % pair for pair in zip(CLASS_IDS, CLASSES))
    sets = os.path.join(folder, 'ImageSets')
    stills = [Entry(still_path(i), i + 1, None, 0, 1, 0) for i in range(size.stills)]
    write_image_set(sets, 'DET_train_toy', 'stills', stills)
    labelled = sorted({int(round(i)) for i in np.linspace(0, size.train_length - 1, LABELLED)})
    train = [_clip_entry('train', clip, frame, size.train_length)
             for clip in range(size.train_clips) for frame in labelled]
    write_image_set(sets, 'VID_train_15frames', 'training', train)
    val = [_clip_entry('val', clip, frame, size.val_length)
           for clip in range(size.val_clips) for frame in range(size.val_length)]
    write_image_set(sets, 'VID_val_frames', 'frames', val)
    write_image_set(sets, 'VID_val_videos', 'videos', val)


def _clip_entry(part: str, clip: int, frame: int, length: int) -> Entry:
    path = clip_path(part, clip)
    return Entry('%s/%06d' % (path, frame), 1 + clip * length + frame, path, frame, length, 0)


if __name__ == '__main__':
    run(lambda: make_from_command_line(STORE, Size()))
