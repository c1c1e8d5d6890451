"""The training set of segmentation: image sets joined and mirrored."""
import logging

from lib.dataset.registry import get_dataset

logger = logging.getLogger('dff')


def load_segdb(cfg):
    """(records, read_label) to train on: the image sets of `dataset.image_set`, split at `+`, in order.

    records: [SegRecord], the mirrored ones last with TRAIN.FLIP; read_label(record): its label map, see SegDataset.
    Raises ConfigError, DataError.
    """
    datasets = [get_dataset(cfg, image_set, 'segmentation') for image_set in cfg.dataset.image_set.split('+')]
    records = [record for dataset in datasets for record in dataset.segdb()]
    if cfg.TRAIN.FLIP:
        records += [record.flip() for record in records]
        logger.info('%s: %d entries with the mirrored ones', cfg.dataset.image_set, len(records))
    return records, datasets[0].read_label
