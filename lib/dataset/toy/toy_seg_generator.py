"""Writes toy_seg: scenes as in toy_vid, with larger objects, and label maps.

The layout is that of lib/dataset/sets/seg_folder.py.

    python -m lib.dataset.toy.toy_seg_generator FOLDER [--train_clips N ...]
"""
import functools
import os
from dataclasses import dataclass
from typing import Sequence

import cv2
import numpy as np

from dff.labels import IGNORE_LABEL
from lib.dataset.toy.toy_generator import JPEG_QUALITY
from lib.dataset.toy.toy_scene import SPEEDS, Frame, Scene
from lib.dataset.toy.toy_shapes import CLASSES
from lib.dataset.toy.toy_store import ToyStore, draw_scenes, make_from_command_line
from lib.utils.cli import run

VERSION = 3                    # raise it when a file would come out differently; older folders are then drawn anew
CLASS_LINES = ['background 0 0 0'] + ['%s %d %d %d' % ((name,) + colour) for name, colour in zip(
    CLASSES, ((230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48)))]
# Objects are larger than toy_vid's and differ less in size: labels come in steps of 16 pixels, the network's.
SCALE, SIZES = 1.2, (85, 110)
LABEL_STEP = 5                 # the last of every LABEL_STEP frames of a training clip is labelled
SEEDS = {'train': 3, 'val': 4, 'stills': 5}        # none of toy_vid's, whose scenes pre-training sees


@dataclass(frozen=True)
class Size:
    """How much to draw; the defaults are the data set that the experiments use."""

    train_clips: int = 340     # many short ones: the more objects, the better it generalises
    train_length: int = 5      # frames a clip
    stills: int = 460          # each a scene of its own
    val_clips: int = 30        # each class comes first in six
    val_length: int = 12


def _write(folder, size, workers):
    speeds = list(SPEEDS)
    jobs = [('train', i, size.train_length, speeds[i % 3]) for i in range(size.train_clips)]
    jobs += [('val', i, size.val_length, speeds[i % 3]) for i in range(size.val_clips)]
    jobs += [('stills', i, 1, speeds[i % 3]) for i in range(size.stills)]
    draw_scenes(functools.partial(_draw, folder), jobs, sum(job[2] for job in jobs), 'toy_seg', workers)
    with open(os.path.join(folder, 'classes.txt'), 'w', encoding='utf-8') as stream:
        stream.writelines(line + '\n' for line in CLASS_LINES)


def _draw(folder, job):
    """Draw one scene's frames and label maps; returns how many frames."""
    kind, index, frames, speed = job
    scene = Scene(np.random.RandomState([SEEDS[kind], index]), speed, index, SCALE, SIZES)
    for t in range(frames):
        path, frame = 'still_%06d' % index if kind == 'stills' else 'clip_%03d/%06d' % (index, t), scene.render(t)
        _save(os.path.join(folder, kind, path + '.jpg'), frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if kind != 'train' or t % LABEL_STEP == LABEL_STEP - 1:
            _save(os.path.join(folder, kind + 'annot', path + '.png'), label_map(frame, scene.classes), [])
    return frames


def label_map(frame: Frame, classes: Sequence[int]) -> np.ndarray:
    """Return the ids of a frame, uint8 [HEIGHT, WIDTH].

    0 stands for background and distractors, class + 1 for objects, 255 for the rest of an object
    that is too hidden to be annotated. classes: that of each track, from 0.
    """
    table = np.zeros(256, np.uint8)
    table[1:len(classes) + 1] = IGNORE_LABEL
    for thing in frame.things:
        table[thing.track + 1] = thing.class_index + 1
    return table[frame.ids]


def _save(path, image, settings):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    cv2.imencode(os.path.splitext(path)[1], image, settings)[1].tofile(path)


STORE = ToyStore('toy_seg', VERSION, _write)

if __name__ == '__main__':
    run(lambda: make_from_command_line(STORE, Size()))
