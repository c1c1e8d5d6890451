"""ImageNet VID and DET, and every data set laid out like them (ILSVRC2015)."""
import dataclasses
import functools
import hashlib
import logging
import os
from itertools import groupby
from typing import Dict, List, Optional, Sequence, Tuple, Type, TypeVar

import numpy as np
from easydict import EasyDict

from lib.utils.paths import resolve
from lib.dataset.formats import cache
from lib.dataset.formats.annotations import AnnotationTable, Source, clip_to_image, read_annotations
from lib.dataset.formats.classes import ClassList, classes_from_config
from lib.dataset.formats.image_sets import Entry, read_image_set
from lib.evaluation.motion import motion_iou, speeds
from lib.dataset.formats.problems import ReportFunction, RunProblems, refuse
from lib.dataset.formats.records import Clip, Record
from lib.dataset.registry import register
from lib.dataset.rules.boxes import check_boxes
from lib.dataset.rules.names import check_names, without_boxes
from lib.dataset.rules.pictures import OF_PICTURES, check_exist, check_picture, sample
from lib.evaluation.vid_eval import GroundTruth, Result, evaluate
from dff.errors import DataError

EXTENSION = '.JPEG'
DETECT_ONLY_ADVICE = '. To detect without an evaluation: --set TEST.DETECT_ONLY=true'
_Dataset = TypeVar('_Dataset', bound='ImageNetVID')
logger = logging.getLogger('dff')


@register('ImageNetVID')
class ImageNetVID:
    """One image set of a data set in the ILSVRC2015 layout.

    <dataset_path>/ImageSets/<image set>.txt, Data/{DET,VID}/<path>.JPEG,
    Annotations/{DET,VID}/<path>.xml.
    """

    task = 'detection'
    skip_bad_images = False     # whether the loader passes over pictures that cannot be used

    def __init__(self, image_set: str, dataset_path: str, classes: ClassList,
                 cache_path: Optional[str] = None, report: ReportFunction = refuse) -> None:
        """Read an image set's list.

        Args:
            image_set: its name.
            dataset_path: folder of the data set.
            classes: the classes that are used.
            cache_path: folder of annotation caches; None for no cache.
            report: as of read_image_set.

        Raises:
            ConfigError: the name of the image set is of no tree.
            DataError: the folder or the image set is missing or malformed.
        """
        if not os.path.isdir(dataset_path):
            raise DataError('the data set folder %s (dataset.dataset_path) does not exist; data/README.md says what '
                            'belongs there' % dataset_path)
        self.path = dataset_path
        self.cache_path = cache_path
        self.class_entries = classes
        self.classes, self.class_ids, self.num_classes = classes.names, classes.ids, len(classes)
        self.image_set = read_image_set(os.path.join(dataset_path, 'ImageSets'), image_set, report)
        self.name = image_set

    @classmethod
    def from_config(cls: Type[_Dataset], cfg: EasyDict, image_set: str,
                    report: ReportFunction = refuse) -> _Dataset:
        """Return an image set of the data set that `cfg.dataset` describes.

        image_set: its name; report: as of read_image_set. Raises ConfigError, DataError.
        """
        cache_path = os.path.join(resolve(cfg.dataset.root_path), 'cache')
        return cls(image_set, resolve(cfg.dataset.dataset_path), cls.class_list(cfg), cache_path, report)

    @classmethod
    def class_list(cls, cfg: EasyDict) -> ClassList:
        """Return the ClassList that `cfg.dataset` names. Raises ConfigError, DataError."""
        return classes_from_config(cfg)

    def image_path(self, path: str) -> str:
        """Return the path of an image, from its path in the image set."""
        return os.path.join(self.path, 'Data', self.image_set.tree, path + EXTENSION)

    def pattern(self, clip: str) -> str:
        """Return the path of a clip's frames with one %06d, from the clip's folder below Data/VID."""
        return os.path.join(self.path, 'Data', 'VID', clip, '%06d' + EXTENSION)

    def sources(self) -> List[Source]:
        """Return where the annotation of every entry is, in order."""
        folder = os.path.join(self.path, 'Annotations', self.image_set.tree)
        return [Source(os.path.join(folder, entry.path + '.xml'), self.image_path(entry.path),
                       self.image_set.where(entry)) for entry in self.image_set.entries]

    def source(self, i: int) -> Source:
        """Return where the annotation of entry `i` is."""
        entry = self.image_set.entries[i]
        xml = os.path.join(self.path, 'Annotations', self.image_set.tree, entry.path + '.xml')
        return Source(xml, self.image_path(entry.path), self.image_set.where(entry))

    def annotations(self) -> AnnotationTable:
        """Return the AnnotationTable of the image set, one image an entry, from the cache where
        that is current.

        Raises DataError for the first annotation that is missing or malformed.
        """
        sources = self.sources()
        description = 'annotations of %s' % self.name
        if self.cache_path is None:
            return read_annotations(sources, self.class_entries, description)
        place = hashlib.sha256(os.path.abspath(self.path).encode('utf-8', 'surrogateescape')).hexdigest()[:8]
        file = os.path.join(self.cache_path, '%s_%s.npz' % (self.name, place))
        key = cache.fingerprint(self.image_set, sources, self.class_entries)
        table = cache.load(file, key)
        if table is None:
            table = read_annotations(sources, self.class_entries, description)
            cache.store(file, key, table, logger)
        return table

    def check(self, table: AnnotationTable, report: ReportFunction) -> None:
        """Look through the image set as every run does: pictures, boxes and class names.

        table: its annotations; report: called for each problem, see
        lib/dataset/formats/problems.py.
        """
        images = self.check_images(report)
        check_boxes(table, self.source, self.classes, report)
        check_names(table.unknown_names, table.other_names, self.class_entries,
                    self.image_set.file, report)
        for i in sample(images):
            where = self.image_set.where(self.image_set.entries[i])
            check_picture(images[i], where, tuple(table.sizes[i].tolist()), report)

    def check_images(self, report: ReportFunction) -> List[str]:
        """Report pictures that are missing; returns the paths of all."""
        entries, where = self.image_set.entries, self.image_set.where
        images = [self.image_path(entry.path) for entry in entries]
        check_exist(
            ((path, functools.partial(where, entry)) for path, entry in zip(images, entries)),
            report,
        )
        return images

    def check_test(self) -> AnnotationTable:
        """Look through the image set before a test; returns its annotations.

        Logs what is suspicious in one line. Raises DataError for what would make the figures
        wrong.
        """
        try:
            table = self.annotations()
        except DataError as error:
            raise DataError('%s%s' % (error, DETECT_ONLY_ADVICE)) from None
        problems = RunProblems(self.name)
        self.check(table, problems.report)
        problems.log(logger)
        counts = np.bincount(table.classes, minlength=self.num_classes)
        missing = without_boxes(counts, table.unknown_names, self.class_entries)
        if not counts.any():
            raise DataError(
                '%s: nothing to evaluate: no box of a listed class in the %d frames (%s)%s'
                % (self.image_set.file, len(table), ', '.join(missing[:10]), DETECT_ONLY_ADVICE)
            )
        if missing:
            logger.info('%s: no box of %d classes: %s', self.name, len(missing), ', '.join(missing))
        return table

    def gt_roidb(self) -> List[Record]:
        """Return a Record for every entry, in order, also for those without boxes.

        Logs how many boxes were clipped or dropped, which classes are not in the list, and what is
        suspicious in one line. Raises DataError for missing or malformed annotations, and for what
        training would go wrong with.
        """
        table, entries = self.annotations(), self.image_set.entries
        problems = RunProblems(self.name, OF_PICTURES if self.skip_bad_images else ())
        self.check(table, problems.report)
        self.unknown_names = table.unknown_names
        records, moved, dropped = [], 0, 0
        for i, entry in enumerate(entries):
            image = self.image_path(entry.path)
            height, width = table.sizes[i].tolist()
            boxes, classes = table.of(i)
            boxes, kept, n = clip_to_image(boxes, height, width)
            moved, dropped = moved + n, dropped + len(kept) - len(boxes)
            pattern = None if entry.clip is None else self.pattern(entry.clip)
            why_empty = '' if len(boxes) else _why_empty(len(kept), table.unknown[i])
            records.append(Record(image, height, width, boxes, classes[kept], False, pattern, entry.frame_id,
                                  entry.clip_length, why_empty))
        self._report(table, moved, dropped, sum(len(record.boxes) for record in records))
        problems.log(logger, ('box empty', 'box outside', 'box over the edge'))
        return records

    def _report(self, table: AnnotationTable, moved: int, dropped: int, boxes: int) -> None:
        logger.info('%s: %d images, %d boxes', self.name, len(table), boxes)
        if moved:
            logger.info('%s: %d boxes reached over the edge of their image and were clipped', self.name, moved)
        if dropped:
            logger.info('%s: %d boxes were empty or outside their image and were dropped', self.name, dropped)
        if table.unknown_names:
            names = ', '.join('%s (%d)' % item for item in list(table.unknown_names.items())[:20])
            logger.info('%s: %d objects are of classes that the class list has not: %s%s', self.name,
                        int(table.unknown.sum()), names, ' ...' if len(table.unknown_names) > 20 else '')

    def clips(self) -> List[Clip]:
        """Return the clips of the image set, in order; a list of frames is cut where its frames
        are not consecutive.

        Raises DataError where the image set lists stills or single training frames.
        """
        kind = self.image_set.kind
        if kind not in ('frames', 'videos'):
            raise DataError('image set %s holds %s, not clips; to test, give a list of `clip_dir first_number 0 '
                            'clip_length` lines (its name contains `videos`) or of `path frame_number` lines'
                            % (self.image_set.file, 'still images' if kind == 'stills' else 'single training frames'))
        clips = []
        for (clip, *_), group in groupby(enumerate(self.image_set.entries), key=_run_of):
            run = [entry for _, entry in group]
            if clip is None:
                raise DataError('%s: a frame of a clip is named with six digits, as in clip/000012; found %r'
                                % (self.image_set.where(run[0]), run[0].path))
            clips.append(Clip(clip, self.pattern(clip), run[0].number, len(run), run[0].frame_id))
        return clips

    def keep_clips(self, clips: Sequence[Clip]) -> None:
        """Leave out all of the image set but `clips`, some of its own."""
        kept = {clip.first_number + i for clip in clips for i in range(clip.length)}
        entries = [entry for entry in self.image_set.entries if entry.number in kept]
        self.image_set = dataclasses.replace(self.image_set, entries=entries)
        self.name = '%s_%dclips' % (self.name, len(clips))      # its annotation cache is another

    def evaluate(self, detections_file: str, numbers: Optional[Tuple[int, int]] = None) -> Result:
        """Compare a detections file with the annotations.

        numbers: (first, last) restricts the evaluation to frames with these numbers. Raises
        DataError as vid_eval.evaluate, and for missing or malformed annotations.
        """
        return evaluate(self.ground_truth(), detections_file, self.classes, numbers)

    def ground_truth(self) -> GroundTruth:
        """Return the annotations to compare with, with the objects' speeds where they have track
        ids.
        """
        table = self.annotations()
        frames = np.array([entry.number for entry in self.image_set.entries], dtype=np.int64)
        return GroundTruth(frames, table.offsets, table.boxes, table.classes, speeds(self.motion(table)),
                           self._objects(table))

    def _objects(self, table: AnnotationTable) -> np.ndarray:
        """A number for the object of every box, different in different clips; -1 where it has no track id."""
        clips, _, still = self._places(table)
        pairs = np.stack([clips, table.tracks])
        numbers = np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1)
        return np.where(still | (table.tracks < 0), -1, numbers)

    def motion(self, table: AnnotationTable) -> np.ndarray:
        """Return the motion IoU of every box of an AnnotationTable of this image set, as
        motion_iou.
        """
        clips, places, still = self._places(table)
        return motion_iou(clips, places, np.where(still, -1, table.tracks), table.boxes)

    def tracked_objects(self) -> Dict[str, Tuple[np.ndarray, np.ndarray, Tuple[int, int]]]:
        """Return {path of a frame: (boxes [n, 4], track ids [n], (height, width))}, without what has no id."""
        table, found = self.annotations(), {}
        for i, entry in enumerate(self.image_set.entries):
            tracks = table.tracks[table.offsets[i]:table.offsets[i + 1]]
            height, width = table.sizes[i].tolist()
            found[self.image_path(entry.path)] = table.of(i)[0][tracks >= 0], tracks[tracks >= 0], (height, width)
        return found

    def _places(self, table: AnnotationTable) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(number of the clip, place of the frame in it, whether it is a still image) of every box."""
        entries, owners = self.image_set.entries, np.repeat(np.arange(len(table)), np.diff(table.offsets))
        folders: Dict[Optional[str], int] = {}
        clips = np.array([folders.setdefault(entry.clip, len(folders)) for entry in entries], dtype=np.int64)
        places = np.array([entry.frame_id for entry in entries], dtype=np.int64)
        still = np.array([entry.clip is None for entry in entries])
        return clips[owners], places[owners], still[owners]


def _run_of(item: Tuple[int, Entry]) -> Tuple[Optional[str], int, int]:
    """The same for neighbours in a list, (place, entry), that are consecutive frames of a clip."""
    place, entry = item
    return entry.clip, entry.frame_id - place, entry.number - place


def _why_empty(listed: int, unknown: int) -> str:
    """Why an image has no box left: `listed` boxes of listed classes were all dropped, or there
    was none.
    """
    if listed:
        return 'all boxes empty or outside the image'
    return 'only objects of classes that are not in the class list' if unknown else 'no object annotated'
