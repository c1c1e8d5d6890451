"""The training set of segmentation: image sets joined and mirrored."""
import logging
from typing import Callable, List, Tuple

import numpy as np
from easydict import EasyDict

from lib.dataset.formats.seg_records import SegRecord
from lib.dataset.registry import get_dataset
from lib.utils.paths import image_set_names

logger = logging.getLogger('dff')


def load_segdb(cfg: EasyDict) -> Tuple[List[SegRecord], Callable[[SegRecord], np.ndarray]]:
    """Return (records, read_label) to train on, of the image sets of `dataset.image_set`, split at
    `+`.

    The records stand in order of the image sets, the mirrored ones last with TRAIN.FLIP;
    read_label(record) returns its label map, see SegDataset. Raises ConfigError, DataError.
    """
    names = image_set_names(cfg.dataset.image_set)
    datasets = [get_dataset(cfg, name, 'segmentation') for name in names]
    records: List[SegRecord] = []
    for dataset in datasets:
        found = dataset.segdb()
        dataset.check(found, 'training', cfg.TRAIN.SKIP_BAD_IMAGES)
        records += found
    if cfg.TRAIN.FLIP:
        records += [record.flip() for record in records]
        logger.info('%s: %d entries with the mirrored ones', cfg.dataset.image_set, len(records))
    return records, datasets[0].read_label
