"""toy_seg: the embedded segmentation data set, drawn by lib/dataset/toy/toy_seg_generator.py on
first use.
"""
from easydict import EasyDict

from lib.utils.paths import resolve
from lib.dataset.formats.classes import ClassSetting
from lib.dataset.toy import toy_seg_generator
from lib.dataset.formats.problems import ReportFunction, refuse
from lib.dataset.registry import register
from lib.dataset.sets.seg_folder import SegFolder


@register('ToySeg')
class ToySeg(SegFolder):
    """Image sets: train (clips with sparse labels), stills, val (clips with a label for every
    frame).
    """

    @classmethod
    def from_config(
        cls, cfg: EasyDict, image_set: str, report: ReportFunction = refuse
    ) -> 'ToySeg':
        """Return `image_set` of the data set at dataset.dataset_path of `cfg`, made first if need
        be.

        report: as of SegDataset. Raises ConfigError, DataError.
        """
        toy_seg_generator.STORE.ensure(resolve(cfg.dataset.dataset_path), toy_seg_generator.Size())
        return super().from_config(cfg, image_set, report)

    @classmethod
    def default_classes(cls, cfg: EasyDict) -> ClassSetting:
        """Return its own classes, also where it is not drawn yet."""
        return toy_seg_generator.CLASS_LINES
