"""What every segmentation data set has; a new one says where its labelled frames are."""
import logging
import os
from typing import List, Tuple, TypeVar, Type, Union

import numpy as np
from easydict import EasyDict

from lib.utils.paths import resolve
from lib.dataset.formats.classes import ClassSetting
from lib.dataset.formats.seg_classes import SegClassList, seg_classes_from_config
from lib.dataset.formats.seg_labels import id_table, read_label
from dff.labels import IGNORE_LABEL
from lib.dataset.formats.problems import ReportFunction, RunProblems, refuse
from lib.dataset.rules.label_maps import OF_LABELS, check_before_run
from lib.dataset.formats.seg_records import SegClip, SegRecord, group_clips
from dff.errors import DataError

logger = logging.getLogger('dff')
_Dataset = TypeVar('_Dataset', bound='SegDataset')


class SegDataset:
    """One image set of labelled frames. A subclass has `default_classes` and `find_records`.

    classes: names by id; palette: their colours, uint8 [n, 3] RGB; num_classes: how many;
    ignore_label: the id of pixels that do not count.
    """

    task = 'segmentation'
    ignore_label = IGNORE_LABEL
    ignored_ids: Tuple[int, ...] = ()  # further ids that label files use for it

    def __init__(
        self, image_set: str, path: str, classes: SegClassList, report: ReportFunction = refuse
    ) -> None:
        """Open an image set.

        Args:
            image_set: its name.
            path: folder of the data set.
            classes: its classes.
            report: what to do about a problem of its files, see lib/dataset/formats/problems.py.
        """
        self.name, self.path, self.report = image_set, path, report
        self.classes, self.palette, self.num_classes = classes.names, classes.palette, len(classes)

    @classmethod
    def from_config(
        cls: Type[_Dataset], cfg: EasyDict, image_set: str, report: ReportFunction = refuse
    ) -> _Dataset:
        """Return the image set `image_set` that `cfg.dataset` describes. report: as of __init__.
        Raises ConfigError, DataError."""
        path = resolve(cfg.dataset.dataset_path)
        if not os.path.isdir(path):
            raise DataError('the data set folder %s (dataset.dataset_path) does not exist; data/README.md says '
                            'what belongs there' % path)
        return cls(image_set, path, cls.class_list(cfg), report)

    @classmethod
    def class_list(cls, cfg: EasyDict) -> SegClassList:
        """Return the SegClassList that `cfg.dataset` names. Raises ConfigError, DataError."""
        return seg_classes_from_config(cfg, cls.default_classes(cfg))

    @classmethod
    def default_classes(cls, cfg: EasyDict) -> ClassSetting:
        """Return what stands for dataset.CLASSES where it is unset.

        These are `name [red green blue]` items, or the path of a file of such lines.
        """
        raise NotImplementedError

    def find_records(self) -> List[SegRecord]:
        """Return the labelled frames, clip by clip and in order; the body of `segdb`."""
        raise NotImplementedError

    def segdb(self) -> List[SegRecord]:
        """Return the labelled frames, clip by clip and in order. Label files are not read yet.

        Raises DataError for a missing folder, frame or label, and where there is no labelled frame.
        """
        records = self.find_records()
        stills = sum(len(record.frames) == 1 for record in records)
        logger.info('%s: %d labelled frames, %d of them stills', self.name, len(records), stills)
        return records

    def check(self, records: List[SegRecord], role: str, skip_bad_images: bool = False) -> None:
        """Look through label maps before a run, see check_before_run; logs what is suspicious in
        one line.

        records: of the image set. role: 'training' or 'test'. skip_bad_images: files that cannot
        be used are no error. Raises
        DataError for what would make the result wrong.
        """
        problems = RunProblems(self.name, OF_LABELS if skip_bad_images else ())
        check_before_run(self.read_label, records, self.classes, role, self.name, problems.report)
        problems.log(logger)

    def clips(self) -> List[SegClip]:
        """Return the clips of `segdb`; a still is a clip of one frame."""
        return group_clips(self.segdb())

    def read_label(self, label: Union[SegRecord, str]) -> np.ndarray:
        """Return the label map of a SegRecord, or at a path, as uint8 [H, W], not mirrored.

        It holds ids from 0 to num_classes - 1, or 255. Raises DataError, naming the file, where it
        cannot be read, or holds colours or ids that are no class; for a record also where its size
        is not the frame's.
        """
        if isinstance(label, SegRecord):
            return read_label(label.label, self.table_of(label.label), label.image)
        return read_label(label, self.table_of(label))

    def table_of(self, path: str) -> np.ndarray:
        """Return what each value of the label file `path` means: uint8 [256], see
        seg_labels.id_table.
        """
        return id_table(self.num_classes, self.ignored_ids)

    def name_of(self, path: str) -> str:
        """Return a frame's name for results: its path below the data set's folder, with `/`,
        without extension.
        """
        return os.path.splitext(os.path.relpath(path, self.path))[0].replace(os.sep, '/')
