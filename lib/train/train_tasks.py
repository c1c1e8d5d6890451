"""What training needs to know of a task, beside its network and settings."""
from collections import namedtuple

from lib.train.detection_loader import DetectionLoader
from lib.train.lr_scheduler import CITYSCAPES_RATE, PAPER_RATE
from lib.train.metric import detection_metrics, segmentation_metrics
from lib.train.seg_loader import SegLoader
from lib.dataset.roidb import load_roidb
from lib.dataset.segdb import load_segdb

# make_loader(config, number of devices, with_reference) -> TrainLoader; make_metrics() -> mx.metric.EvalMetric;
# lr_rule: what the learning rate is compared with in the log.
TrainTask = namedtuple('TrainTask', 'make_loader make_metrics lr_rule')


def _detection_loader(config, num_devices, with_reference):
    return DetectionLoader(load_roidb(config), config, num_devices, with_reference)


def _segmentation_loader(config, num_devices, with_reference):
    return SegLoader(*load_segdb(config), config, num_devices, with_reference)


DETECTION = TrainTask(_detection_loader, detection_metrics, PAPER_RATE)
SEGMENTATION = TrainTask(_segmentation_loader, segmentation_metrics, CITYSCAPES_RATE)
