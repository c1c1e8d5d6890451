"""Stand-in data of the size and layout of ImageNet VID and DET, of hard links to a few files.

A full set has 2.7 million names and takes some 200 MB: names cost only their place in a folder.
"""
import errno
import os

import cv2
import numpy as np

# What the original's lists and archives hold (see docs/reproduce-the-paper.md).
CLIPS, CLIP_FRAMES, LABELLED = 3862, 1122397, 57834     # training clips, their frames, listed frames
STILLS, EMPTY = 53639, 1658         # still images; listed entries without a box of the 30 classes
VAL_CLIPS, VAL_FRAMES = 555, 176126
PER_CLIP = 15                       # labelled frames of a clip; all frames of a shorter one
SHORT = 7                           # frames of the short clips, which make LABELLED less than 15 a clip
PHASES = 16                         # pictures of one movement, forth and back
SPEEDS = (1, 5, 14)                 # pixels a frame: slow, medium and fast by their motion IoU
SIZE = {'VID': (720, 1280), 'DET': (375, 500)}      # height, width
XML = ('<annotation><folder>stand-in</folder><filename>stand-in</filename><source><database>ILSVRC_2015'
       '</database></source><size><width>%d</width><height>%d</height></size>%s</annotation>\n')
OBJECT = ('<object><trackid>0</trackid><name>%s</name><bndbox><xmax>%d</xmax><xmin>%d</xmin><ymax>%d</ymax>'
          '<ymin>%d</ymin></bndbox><occluded>0</occluded><generated>0</generated></object>')


class Stock:
    """Files that many names link to.

    Args:
        folder: for the files, on the file system of the names.
    """

    def __init__(self, folder):
        os.makedirs(folder)
        self._folder, self._files, self._made = folder, {}, 0

    def add(self, key, content):
        """Keep bytes under a key."""
        path = os.path.join(self._folder, '%06d' % self._made)
        self._made += 1
        with open(path, 'wb') as stream:
            stream.write(content)
        self._files[key] = path

    def link(self, key, path):
        """Give the content of `key` one more name, in a folder that exists."""
        try:
            os.link(self._files[key], path)
        except OSError as error:
            if error.errno != errno.EMLINK:     # a file has at most 65,000 names on ext4
                raise
            with open(self._files[key], 'rb') as stream:
                self.add(key, stream.read())
            os.link(self._files[key], path)


def box_of(label, phase, tree):
    """Return (x1, y1, x2, y2) of the one object of a picture, pixels, corners inclusive.

    label: of its class, from 1; phase: place in the movement; tree: DET or VID.
    """
    height, width = SIZE[tree]
    w, h = width // 5, height // 4
    x = label * 389 % (width - w - SPEEDS[-1] * PHASES) + SPEEDS[label % 3] * phase
    y = label * 211 % (height - h)
    return x, y, x + w, y + h


def phase_of(frame):
    """Return the place in the movement of frame `frame` of a clip: 0, 1, ... 15, 14, ... 1, 0, ..."""
    return PHASES - 1 - abs(frame % (2 * PHASES - 2) - (PHASES - 1))


def labelled_frames(length):
    """Return the frames of a training clip that are listed, spread evenly."""
    count = min(PER_CLIP, length)
    return [int((i + 0.5) * length / count) for i in range(count)]


def lengths(clips, frames):
    """Return the lengths of `clips` clips that have `frames` together, as equal as can be."""
    return [frames // clips + (i < frames % clips) for i in range(clips)]


def training_lengths(scale):
    """Return the lengths of the training clips: some short ones, so that LABELLED frames are listed."""
    clips, frames = scaled(CLIPS, scale), scaled(CLIP_FRAMES, scale)
    short = (PER_CLIP * clips - scaled(LABELLED, scale)) // (PER_CLIP - SHORT)
    short = max(0, min(short, clips - 1))
    return [SHORT] * short + lengths(clips - short, frames - SHORT * short)


def scaled(count, scale):
    """Return that share of a count, at least 1."""
    return max(1, int(count * scale + 0.5))


class StandIn:
    """Writes the set below a new folder, which is then a dataset.dataset_path.

    Args:
        folder: new, or empty.
        class_ids: of all classes, background first.
        scale: share of the full size.
    """

    def __init__(self, folder, class_ids, scale=1.0):
        self.folder, self.class_ids, self.scale = folder, class_ids, scale
        self.names = 0          # files
        os.makedirs(os.path.join(folder, 'ImageSets'))
        self._stocks = {}

    def write(self):
        """Write everything."""
        stills = self._stills()
        training, empty = self._training()
        self._list('DET_train_30classes', stills)
        self._list('VID_train_15frames', training)
        self._list('VID_val_videos', self._validation())
        return dict(stills=len(stills), labelled=len(training), empty=empty, names=self.names)

    def _stock(self, tree, part):
        """The Stock of one part of a tree; parts share no picture."""
        key = tree, part
        if key not in self._stocks:
            stock = self._stocks[key] = Stock(os.path.join(self.folder, 'stock', tree, part))
            height, width = SIZE[tree]
            for phase in range(PHASES):
                picture = np.full((height, width, 3), 60 + 40 * len(self._stocks), np.uint8)
                x1, y1, x2, y2 = box_of(1, phase, tree)
                cv2.rectangle(picture, (x1, y1), (x2, y2), (40, 200, 220), -1)
                stock.add(('.JPEG', phase), cv2.imencode('.jpg', picture)[1].tobytes())
                for label, class_id in enumerate(self.class_ids[1:], 1):
                    x1, y1, x2, y2 = box_of(label, phase, tree)
                    text = XML % (width, height, OBJECT % (class_id, x2, x1, y2, y1))
                    stock.add(('.xml', label, phase), text.encode('ascii'))
            stock.add(('.xml', 0, 0), (XML % (width, height, '')).encode('ascii'))
        return self._stocks[key]

    def _frame(self, tree, part, stem, label, phase):
        """One picture and its annotation; label 0: without an object."""
        stock = self._stock(tree, part)
        stock.link(('.JPEG', phase), os.path.join(self.folder, 'Data', tree, stem + '.JPEG'))
        stock.link(('.xml', label, phase if label else 0),
                   os.path.join(self.folder, 'Annotations', tree, stem + '.xml'))
        self.names += 2

    def _folders(self, tree, name):
        for part in ('Data', 'Annotations'):
            os.makedirs(os.path.join(self.folder, part, tree, name))

    def _stills(self):
        lines = []
        for i in range(scaled(STILLS, self.scale)):
            group = 'train/ILSVRC2014_train_%04d' % (i // 10000)
            if i % 10000 == 0:
                self._folders('DET', group)
            stem = '%s/ILSVRC2014_train_%08d' % (group, i)
            self._frame('DET', 'train', stem, i % (len(self.class_ids) - 1) + 1, i % PHASES)
            lines.append('%s %d' % (stem, i + 1))
        return lines

    def _training(self):
        """(lines of the list, how many listed frames have no object)"""
        lines, left = [], scaled(EMPTY, self.scale)
        wanted = left
        for number, length in enumerate(training_lengths(self.scale)):
            clip = 'train/ILSVRC2015_VID_train_%04d/ILSVRC2015_train_%08d' % (number // 1000, number)
            listed = labelled_frames(length)
            # Every eighth clip loses its object for some of the frames, as clips do.
            without = set(listed[-min(left, PER_CLIP // 3):] if left and number % 8 == 0 else ())
            left -= len(without)
            self._clip('train', clip, number, length, without)
            lines += ['%s 1 %d %d' % (clip, frame, length) for frame in listed]
        return lines, wanted - left

    def _validation(self):
        lines, first = [], 1
        clips = lengths(scaled(VAL_CLIPS, self.scale), scaled(VAL_FRAMES, self.scale))
        for number, length in enumerate(clips):
            clip = 'val/ILSVRC2015_val_%08d' % number
            self._clip('val', clip, number, length)
            lines.append('%s %d 0 %d' % (clip, first, length))
            first += length
        return lines

    def _clip(self, part, clip, number, length, without=()):
        self._folders('VID', clip)
        label = number % (len(self.class_ids) - 1) + 1
        for frame in range(length):
            self._frame('VID', part, '%s/%06d' % (clip, frame), 0 if frame in without else label, phase_of(frame))

    def _list(self, name, lines):
        with open(os.path.join(self.folder, 'ImageSets', name + '.txt'), 'w', encoding='ascii') as stream:
            stream.write('\n'.join(lines) + '\n')


def write_detections(folder, path, per_frame, classes, seed=0):
    """Write detections for the validation clips of a set: one near the object, the others anywhere.

    Args:
        folder: that of a StandIn.
        path: of the file, lines of `frame_number class_index score x1 y1 x2 y2`.
        per_frame: detections of each frame, at least 1.
        classes: how many, without the background.
        seed: of what is drawn.
    """
    random = np.random.RandomState(seed)
    with open(os.path.join(folder, 'ImageSets', 'VID_val_videos.txt'), encoding='ascii') as stream:
        clips = [line.split() for line in stream]
    with open(path, 'w', encoding='ascii') as stream:
        for number, (_, first, _, length) in enumerate(clips):
            label = number % classes + 1
            texts = [_detections(random, label, phase, per_frame, classes) for phase in range(PHASES)]
            for frame in range(int(length)):
                start = '%d ' % (int(first) + frame)
                stream.write(''.join(start + text for text in texts[phase_of(frame)]))


def _detections(random, label, phase, count, classes):
    """Lines, without the frame number, of what is found at one place of the movement."""
    corner = random.uniform(0, (1000, 500), (count, 2))
    boxes = np.hstack([corner, corner + random.uniform(20, 200, (count, 2))])
    labels, scores = random.randint(1, classes + 1, count), random.uniform(0.001, 0.3, count)
    boxes[0] = np.array(box_of(label, phase, 'VID')) + random.normal(0, 8, 4)
    labels[0], scores[0] = label, random.uniform(0.3, 1)
    return ['%d %.4f %.2f %.2f %.2f %.2f\n' % (one, score, *box) for one, score, box in zip(labels, scores, boxes)]
