"""What every segmentation data set has; a new one says where its labelled frames are."""
import logging
import os

from lib.config.config import resolve
from lib.dataset.formats.seg_classes import seg_classes_from_config
from lib.dataset.formats.seg_labels import id_table, read_label
from lib.dataset.formats.seg_records import IGNORE_LABEL, SegRecord, group_clips
from dff.errors import DataError

logger = logging.getLogger('dff')


class SegDataset:
    """One image set of labelled frames. A subclass has `default_classes` and `find_records`.

    classes: names by id; palette: their colours, uint8 [n, 3] RGB; num_classes; ignore_label: the id of pixels that do not count.
    """

    task = 'segmentation'
    ignore_label = IGNORE_LABEL
    ignored_ids = ()               # further ids that label files use for it

    def __init__(self, image_set, path, classes):
        """image_set: its name; path: folder of the data set; classes: a SegClassList."""
        self.name, self.path = image_set, path
        self.classes, self.palette, self.num_classes = classes.names, classes.palette, len(classes)

    @classmethod
    def from_config(cls, cfg, image_set):
        """The data set that `cfg.dataset` describes. Raises ConfigError, DataError."""
        path = resolve(cfg.dataset.dataset_path)
        if not os.path.isdir(path):
            raise DataError('the data set folder %s (dataset.dataset_path) does not exist; data/README.md says what belongs there' % path)
        return cls(image_set, path, cls.class_list(cfg))

    @classmethod
    def class_list(cls, cfg):
        """The SegClassList that `cfg.dataset` names. Raises ConfigError, DataError."""
        return seg_classes_from_config(cfg, cls.default_classes(cfg))

    @classmethod
    def default_classes(cls, cfg):
        """What stands for dataset.CLASSES where it is unset: `name [red green blue]` items or the path of a file."""
        raise NotImplementedError

    def find_records(self):
        """The labelled frames, [SegRecord], clip by clip and in order; the body of `segdb`."""
        raise NotImplementedError

    def segdb(self):
        """The labelled frames, [SegRecord], clip by clip and in order. Label files are not read yet.

        Raises DataError for a missing folder, frame or label, and where there is no labelled frame.
        """
        records = self.find_records()
        stills = sum(len(record.frames) == 1 for record in records)
        logger.info('%s: %d labelled frames, %d of them stills', self.name, len(records), stills)
        return records

    def clips(self):
        """The clips of `segdb`, [SegClip]; a still is a clip of one frame."""
        return group_clips(self.segdb())

    def read_label(self, label):
        """The label map of a SegRecord, or at a path, as uint8 [H, W]: ids from 0 to num_classes - 1, or 255; not mirrored.

        Raises DataError, naming the file, where it cannot be read, or holds colours or ids that are no class; for a record also where
        its size is not the frame's.
        """
        path, frame = (label.label, label.image) if isinstance(label, SegRecord) else (label, None)
        return read_label(path, self.table_of(path), frame)

    def table_of(self, path):
        """What each value of a label file means: uint8 [256], see seg_labels.id_table."""
        return id_table(self.num_classes, self.ignored_ids)

    def name_of(self, path):
        """The path of a frame below the data set's folder, without extension and with `/`: a name for results."""
        return os.path.splitext(os.path.relpath(path, self.path))[0].replace(os.sep, '/')
