"""The training set: image sets joined, mirrored and filtered."""
import logging
from collections import Counter
from typing import List

import numpy as np
from easydict import EasyDict

from lib.dataset.formats.records import Record
from lib.dataset.registry import get_class_list, get_dataset
from lib.dataset.rules.names import without_boxes
from lib.utils.paths import image_set_names
from dff.errors import DataError

logger = logging.getLogger('dff')


def load_roidb(cfg: EasyDict) -> List[Record]:
    """Return the records to train on: the image sets of `dataset.image_set`, split at `+`, in
    order.

    Records without boxes are left out, with their number and the reasons in the log. With
    TRAIN.FLIP the mirrored records follow. Raises ConfigError, DataError; also where no record
    is left.
    """
    records: List[Record] = []
    unknown: Counter = Counter()
    for image_set in image_set_names(cfg.dataset.image_set):
        dataset = get_dataset(cfg, image_set, 'detection')
        dataset.skip_bad_images = cfg.TRAIN.SKIP_BAD_IMAGES
        records.extend(dataset.gt_roidb())
        unknown.update(getattr(dataset, 'unknown_names', {}))
    records = filter_records(records, cfg.dataset.image_set)
    _report_classes(cfg, records, unknown)
    if cfg.TRAIN.FLIP:
        records += [record.flip() for record in records]
        logger.info('%s: %d entries with the mirrored ones', cfg.dataset.image_set, len(records))
    return records


def _report_classes(cfg, records, unknown):
    """Log one line that names the classes without a box; unknown: names that are no class,
    counted."""
    classes = get_class_list(cfg, 'detection')
    counts = np.bincount(
        np.concatenate([record.gt_classes for record in records]), minlength=len(classes)
    )
    missing = without_boxes(counts, unknown, classes)
    if missing:
        logger.warning(
            '%s: %d classes without a box, which will never be learned: %s',
            cfg.dataset.image_set,
            len(missing),
            ', '.join(missing),
        )


def filter_records(records: List[Record], name: str) -> List[Record]:
    """Return those of `records` that have boxes; log how many went and why.

    name: of the image sets, for messages. Raises DataError where none is left.
    """
    kept = [record for record in records if not record.why_empty]
    causes = Counter(record.why_empty for record in records if record.why_empty)
    reasons = ', '.join('%d: %s' % (count, why) for why, count in causes.most_common())
    if not kept:
        raise DataError('%s: none of the %d entries can be trained on (%s); check dataset.CLASSES '
                        'against the <name> elements of the annotations' % (name, len(records), reasons))
    if len(kept) < len(records):
        logger.info('%s: filtered %d entries, %d -> %d (%s)',
                    name, len(records) - len(kept), len(records), len(kept), reasons)
    return kept
