"""Writes toy_vid: the ILSVRC2015 layout, the same bytes every time for the same sizes and versions.

    python -m lib.dataset.toy_generator FOLDER [--train_clips N ...]
"""
import argparse
import functools
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from xml.sax.saxutils import escape

import cv2
import numpy as np

from lib.dataset.image_sets import Entry, write_image_set
from lib.dataset.toy_scene import HEIGHT, SPEEDS, WIDTH, Scene
from lib.dataset.toy_shapes import CLASSES
from lib.utils.cli import run
from lib.utils.errors import DataError
from lib.utils.parallel import process_map
from lib.utils.progress import progress_bar

VERSION = 7                    # raise it when a frame would come out differently; older folders are then drawn anew
CLASS_IDS = tuple('toy%02d' % (i + 1) for i in range(len(CLASSES)))
STAMP, CHECKSUMS = 'toy_vid.json', 'checksums.sha256'
JPEG_QUALITY = 88
LABELLED = 15                  # labelled frames a training clip, as in VID_train_15frames
STILLS_PER_SCENE, STILL_INTERVAL = 2, 60
PARALLEL_FROM = 400            # frames; below it other processes cost more than they save


@dataclass(frozen=True)
class Size:
    """How much to draw; the defaults are the data set that the experiments use."""

    train_clips: int = 80
    train_length: int = 25     # frames a clip
    stills: int = 800
    val_clips: int = 12
    val_length: int = 36


def ensure(folder, size=Size()):
    """Make toy_vid at `folder` unless a current one, of any size, is there; an outdated one is replaced.

    Raises DataError where the folder holds something else or cannot be written.
    """
    version = _stamped_version(folder)
    if version == VERSION:
        return
    if version is None and os.path.isdir(folder) and os.listdir(folder):
        raise DataError('%s is not empty and was not made by the toy generator (no %s): choose another dataset.dataset_path, or remove it'
                        % (folder, STAMP))
    generate(folder, size, replace=False)


def _stamped_version(folder):
    """Version of the data set at `folder`; None where there is no readable stamp."""
    try:
        with open(os.path.join(folder, STAMP), encoding='utf-8') as stream:
            return json.load(stream)['version']
    except (OSError, ValueError, KeyError, TypeError):
        return None


def generate(folder, size=Size(), workers=None, replace=True):
    """Draw toy_vid in a temporary folder, then put it at `folder`, where it replaces what is there.

    workers: processes; by default one a core, or one for a small data set. replace=False: keep a current data set that
    another process put there meanwhile. Raises DataError where the disk refuses.
    """
    folder = os.path.realpath(folder)      # where `folder` is a link, its target is what gets replaced
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        temporary = tempfile.mkdtemp(prefix='.toy_vid.', dir=os.path.dirname(folder))
    except OSError as error:
        raise DataError('cannot make toy_vid at %s: %s' % (folder, error.strerror)) from None
    try:
        os.chmod(temporary, 0o755)
        _write(temporary, size, workers)
        if replace or _stamped_version(folder) != VERSION:
            if os.path.isdir(folder):
                shutil.rmtree(folder)
            os.rename(temporary, folder)
    except OSError as error:
        raise DataError('cannot make toy_vid at %s: %s' % (folder, error.strerror)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _jobs(size):
    """(kind, index, frames, speed) of every scene; kind and index also seed it."""
    speeds = list(SPEEDS)
    jobs = [('train', i, size.train_length, speeds[i % 3]) for i in range(size.train_clips)]
    jobs += [('val', i, size.val_length, speeds[i % 3]) for i in range(size.val_clips)]
    scenes = range(0, size.stills, STILLS_PER_SCENE)
    return jobs + [('still', i, min(STILLS_PER_SCENE, size.stills - i), 'fast') for i in scenes]


def _write(folder, size, workers):
    jobs = _jobs(size)
    frames = sum(job[2] for job in jobs)
    if workers is None:
        workers = 1 if frames < PARALLEL_FROM else min(os.cpu_count() or 1, 8)
    draw = functools.partial(_draw, folder)
    with progress_bar(total=frames, desc='drawing toy_vid', unit='frame', disable=frames < PARALLEL_FROM) as bar:
        for done in process_map(draw, jobs, workers):
            bar.update(done)
    _write_lists(folder, size)
    with open(os.path.join(folder, CHECKSUMS), 'w', encoding='utf-8') as stream:
        stream.writelines('%s  %s\n' % line for line in checksums(folder))
    with open(os.path.join(folder, STAMP), 'w', encoding='utf-8') as stream:
        json.dump(dict(version=VERSION, **asdict(size)), stream, indent=1)


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


def clip_path(part, index):
    """Path of a clip below Data/VID; part: 'train' or 'val'."""
    return '%s/toy_%s_%03d' % (part, part, index)


def still_path(index):
    """Path of a still image below Data/DET."""
    return 'train/toy/toy_%06d' % index


def annotation_xml(path, things):
    """The annotation of a frame as ImageNet VID writes them. things: [lib.dataset.toy_scene.Thing]."""
    folder, name = path.rsplit('/', 1)
    objects = ''.join(
        '\t<object>\n\t\t<trackid>%d</trackid>\n\t\t<name>%s</name>\n\t\t<bndbox>\n\t\t\t<xmax>%d</xmax>\n\t\t\t<xmin>%d</xmin>\n'
        '\t\t\t<ymax>%d</ymax>\n\t\t\t<ymin>%d</ymin>\n\t\t</bndbox>\n\t\t<occluded>%d</occluded>\n'
        '\t\t<generated>0</generated>\n\t</object>\n'
        % (thing.track, CLASS_IDS[thing.class_index], thing.box[2], thing.box[0], thing.box[3], thing.box[1], thing.occluded)
        for thing in things)
    return ('<annotation>\n\t<folder>%s</folder>\n\t<filename>%s</filename>\n\t<source>\n\t\t<database>toy_vid</database>\n\t</source>\n'
            '\t<size>\n\t\t<width>%d</width>\n\t\t<height>%d</height>\n\t</size>\n%s</annotation>\n'
            % (escape(folder), escape(name), WIDTH, HEIGHT, objects))


def _write_lists(folder, size):
    """classes.txt and the four image sets."""
    with open(os.path.join(folder, 'classes.txt'), 'w', encoding='utf-8') as stream:
        stream.writelines('%s %s\n' % pair for pair in zip(CLASS_IDS, CLASSES))
    sets = os.path.join(folder, 'ImageSets')
    write_image_set(sets, 'DET_train_toy', 'stills', [Entry(still_path(i), i + 1, None, 0, 1, 0) for i in range(size.stills)])
    labelled = sorted({int(round(i)) for i in np.linspace(0, size.train_length - 1, LABELLED)})
    train = [_clip_entry('train', clip, frame, size.train_length) for clip in range(size.train_clips) for frame in labelled]
    write_image_set(sets, 'VID_train_15frames', 'training', train)
    val = [_clip_entry('val', clip, frame, size.val_length) for clip in range(size.val_clips) for frame in range(size.val_length)]
    write_image_set(sets, 'VID_val_frames', 'frames', val)
    write_image_set(sets, 'VID_val_videos', 'videos', val)


def _clip_entry(part, clip, frame, length):
    path = clip_path(part, clip)
    return Entry('%s/%06d' % (path, frame), 1 + clip * length + frame, path, frame, length, 0)


def checksums(folder):
    """(SHA-256, path below `folder`) of every file of a data set but the stamp and the checksums, by path."""
    result = []
    for place, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(place, name)
            path = os.path.relpath(file, folder).replace(os.sep, '/')
            if path not in (STAMP, CHECKSUMS):
                with open(file, 'rb') as stream:
                    result.append((hashlib.sha256(stream.read()).hexdigest(), path))
    return sorted(result, key=lambda item: item[1])


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description='Draw the toy_vid data set (see data/README.md).')
    parser.add_argument('folder', help='where to put it; replaced where a toy_vid is there')
    for name, value in asdict(Size()).items():
        parser.add_argument('--' + name, type=int, default=value, metavar='N', help='default %(default)s')
    args = vars(parser.parse_args())
    folder = args.pop('folder')
    if os.path.isdir(folder) and os.listdir(folder) and _stamped_version(folder) is None:
        raise DataError('%s is not empty and holds no toy_vid; give another folder' % folder)
    generate(folder, Size(**args))
    print('toy_vid is at %s' % folder)


if __name__ == '__main__':
    run(main)
