"""The segmentation data set that a config names, and its training set."""
import logging

from lib.dataset.registry import get_dataset
from lib.dataset.seg_dataset import SegDataset
from lib.utils.errors import ConfigError

logger = logging.getLogger('dff')


def get_seg_dataset(cfg, image_set):
    """The SegDataset `cfg.dataset.dataset` with one image set. Raises ConfigError, also for one of detection, and DataError."""
    dataset = get_dataset(cfg, image_set)
    if not isinstance(dataset, SegDataset):
        raise ConfigError("dataset.dataset: '%s' holds boxes; segmentation needs label maps: CityScape, CamVid, SegFolder or ToySeg"
                          % cfg.dataset.dataset)
    return dataset


def load_segdb(cfg):
    """(records, read_label) to train on: the image sets of `dataset.image_set`, split at `+`, in order.

    records: [SegRecord], the mirrored ones last with TRAIN.FLIP; read_label(record): its label map, see SegDataset.
    Raises ConfigError, DataError.
    """
    datasets = [get_seg_dataset(cfg, image_set) for image_set in cfg.dataset.image_set.split('+')]
    records = [record for dataset in datasets for record in dataset.segdb()]
    if cfg.TRAIN.FLIP:
        records += [record.flip() for record in records]
        logger.info('%s: %d entries with the mirrored ones', cfg.dataset.image_set, len(records))
    return records, datasets[0].read_label
