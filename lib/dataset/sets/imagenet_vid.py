"""ImageNet VID and DET, and every data set laid out like them (ILSVRC2015)."""
import hashlib
import logging
import os
from itertools import groupby

import numpy as np

from lib.config.config import resolve
from lib.dataset.formats import cache
from lib.dataset.formats.annotations import Source, clip_to_image, read_annotations
from lib.dataset.formats.classes import classes_from_config
from lib.dataset.formats.image_sets import read_image_set
from lib.evaluation.motion import motion_iou, speeds
from lib.dataset.formats.problems import refuse
from lib.dataset.formats.records import Clip, Record
from lib.dataset.registry import register
from lib.evaluation.vid_eval import GroundTruth, evaluate
from dff.errors import DataError

EXTENSION = '.JPEG'
logger = logging.getLogger('dff')


@register('ImageNetVID')
class ImageNetVID:
    """One image set of a data set in the ILSVRC2015 layout.

    <dataset_path>/ImageSets/<image set>.txt, Data/{DET,VID}/<path>.JPEG, Annotations/{DET,VID}/<path>.xml.
    """

    task = 'detection'

    def __init__(self, image_set, dataset_path, classes, cache_path=None, report=refuse):
        """classes: a ClassList. cache_path: folder of annotation caches; None for no cache. report: as of read_image_set.

        Raises DataError where the folder or the image set is missing or malformed.
        """
        if not os.path.isdir(dataset_path):
            raise DataError('the data set folder %s (dataset.dataset_path) does not exist; data/README.md says what belongs there'
                            % dataset_path)
        self.path = dataset_path
        self.cache_path = cache_path
        self.classes, self.class_ids, self.num_classes = classes.names, classes.ids, len(classes)
        self.image_set = read_image_set(os.path.join(dataset_path, 'ImageSets'), image_set, report)
        self.name = image_set

    @classmethod
    def from_config(cls, cfg, image_set, report=refuse):
        """The data set that `cfg.dataset` describes. Raises ConfigError, DataError."""
        return cls(image_set, resolve(cfg.dataset.dataset_path), cls.class_list(cfg), os.path.join(resolve(cfg.dataset.root_path), 'cache'),
                   report)

    @classmethod
    def class_list(cls, cfg):
        """The ClassList that `cfg.dataset` names. Raises ConfigError, DataError."""
        return classes_from_config(cfg)

    def image_path(self, path):
        """Path of an image, from its path in the image set."""
        return os.path.join(self.path, 'Data', self.image_set.tree, path + EXTENSION)

    def pattern(self, clip):
        """Path of a clip's frames with one %06d."""
        return os.path.join(self.path, 'Data', 'VID', clip, '%06d' + EXTENSION)

    def sources(self):
        """The annotations.Source of every entry, in order."""
        folder = os.path.join(self.path, 'Annotations', self.image_set.tree)
        return [Source(os.path.join(folder, entry.path + '.xml'), self.image_path(entry.path), self.image_set.where(entry))
                for entry in self.image_set.entries]

    def annotations(self):
        """The AnnotationTable of the image set, one row an entry, from the cache where that is current."""
        sources = self.sources()
        description = 'annotations of %s' % self.name
        if self.cache_path is None:
            return read_annotations(sources, self.class_ids, description)
        place = hashlib.sha256(os.path.abspath(self.path).encode('utf-8', 'surrogateescape')).hexdigest()[:8]
        file = os.path.join(self.cache_path, '%s_%s.npz' % (self.name, place))
        key = cache.fingerprint(self.image_set, sources, self.class_ids)
        table = cache.load(file, key)
        if table is None:
            table = read_annotations(sources, self.class_ids, description)
            cache.store(file, key, table, logger)
        return table

    def gt_roidb(self):
        """A Record for every entry, in order, also for those without boxes.

        Logs how many boxes were clipped or dropped and which classes are not in the list.
        Raises DataError for a missing image, and for missing or malformed annotations.
        """
        table, entries = self.annotations(), self.image_set.entries
        records, moved, dropped = [], 0, 0
        for i, entry in enumerate(entries):
            image = self.image_path(entry.path)
            if not os.path.isfile(image):
                raise DataError('%s: the image %s does not exist' % (self.image_set.where(entry), image))
            height, width = table.sizes[i].tolist()
            boxes, classes = table.of(i)
            boxes, kept, n = clip_to_image(boxes, height, width)
            moved, dropped = moved + n, dropped + len(kept) - len(boxes)
            records.append(Record(image, height, width, boxes, classes[kept], False,
                                  None if entry.clip is None else self.pattern(entry.clip), entry.frame_id, entry.clip_length,
                                  '' if len(boxes) else _why_empty(len(kept), table.unknown[i])))
        self._report(table, moved, dropped, sum(len(record.boxes) for record in records))
        return records

    def _report(self, table, moved, dropped, boxes):
        logger.info('%s: %d images, %d boxes', self.name, len(table), boxes)
        if moved:
            logger.info('%s: %d boxes reached over the edge of their image and were clipped', self.name, moved)
        if dropped:
            logger.info('%s: %d boxes were empty or outside their image and were dropped', self.name, dropped)
        if table.unknown_names:
            names = ', '.join('%s (%d)' % item for item in list(table.unknown_names.items())[:20])
            logger.info('%s: %d objects are of classes that the class list has not: %s%s', self.name, int(table.unknown.sum()),
                        names, ' ...' if len(table.unknown_names) > 20 else '')

    def clips(self):
        """The clips of the image set, [Clip], in order; a list of frames is cut where its frames are not consecutive.

        Raises DataError where the image set lists stills or single training frames.
        """
        kind, entries = self.image_set.kind, self.image_set.entries
        if kind not in ('frames', 'videos'):
            raise DataError('image set %s holds %s, not clips; to test, give a list of `clip_dir first_number 0 clip_length` lines '
                            '(its name contains `videos`) or of `path frame_number` lines'
                            % (self.image_set.file, 'still images' if kind == 'stills' else 'single training frames'))
        for entry in entries:
            if entry.clip is None:
                raise DataError('%s: a frame of a clip is named with six digits, as in clip/000012; found %r'
                                % (self.image_set.where(entry), entry.path))
        clips = []
        for _, run in groupby(enumerate(entries), key=lambda item: (item[1].clip, item[1].frame_id - item[0], item[1].number - item[0])):
            run = [entry for _, entry in run]
            clips.append(Clip(run[0].clip, self.pattern(run[0].clip), run[0].number, len(run), run[0].frame_id))
        return clips

    def evaluate(self, detections_file, numbers=None):
        """Compare a detections file with the annotations; returns a vid_eval.Result.

        numbers: (first, last) restricts the evaluation to frames with these numbers. Raises DataError.
        """
        return evaluate(self.ground_truth(), detections_file, self.classes, numbers)

    def ground_truth(self):
        """The vid_eval.GroundTruth of the image set, with the objects' speeds where the annotations have track ids."""
        table = self.annotations()
        frames = np.array([entry.number for entry in self.image_set.entries], dtype=np.int64)
        return GroundTruth(frames, table.offsets, table.boxes, table.classes, speeds(self.motion(table)))

    def motion(self, table):
        """The motion IoU of every box of an AnnotationTable of this image set, as of motion_iou."""
        owners, folders = np.repeat(np.arange(len(table)), np.diff(table.offsets)), {}
        clips = np.array([folders.setdefault(entry.clip, len(folders)) for entry in self.image_set.entries], dtype=np.int64)[owners]
        places = np.array([entry.frame_id for entry in self.image_set.entries], dtype=np.int64)[owners]
        still = np.array([entry.clip is None for entry in self.image_set.entries])[owners]
        return motion_iou(clips, places, np.where(still, -1, table.tracks), table.boxes)


def _why_empty(listed, unknown):
    """Why an image has no box left: `listed` boxes of listed classes were all dropped, or there was none."""
    if listed:
        return 'all boxes empty or outside the image'
    return 'only objects of classes that are not in the class list' if unknown else 'no object annotated'
