"""toy_vid: the embedded data set, drawn by lib/dataset/toy/toy_generator.py on first use."""
import os

from easydict import EasyDict

from lib.utils.paths import resolve
from lib.dataset.toy import toy_generator
from lib.dataset.formats.classes import ClassList, classes_from_config
from lib.dataset.sets.imagenet_vid import ImageNetVID
from lib.dataset.formats.problems import ReportFunction, refuse
from lib.dataset.registry import register


@register('ToyVID')
class ToyVID(ImageNetVID):
    """The ILSVRC2015 layout, made where it is missing.

    With dataset.CLASSES unset, the classes are its own.
    """

    @classmethod
    def from_config(cls, cfg: EasyDict, image_set: str,
                    report: ReportFunction = refuse) -> 'ToyVID':
        """Return the data set at dataset.dataset_path, made first if need be.

        See ImageNetVID.from_config.

        cfg, image_set, report: as there. Raises ConfigError, DataError.
        """
        path = resolve(cfg.dataset.dataset_path)
        toy_generator.ensure(path)
        return cls(image_set, path, cls.class_list(cfg), os.path.join(resolve(cfg.dataset.root_path), 'cache'), report)

    @classmethod
    def class_list(cls, cfg: EasyDict) -> ClassList:
        """Return its own ClassList, or that of dataset.CLASSES. Raises ConfigError, DataError."""
        own = ['%s %s' % pair for pair in zip(toy_generator.CLASS_IDS, toy_generator.CLASSES)]
        return classes_from_config(cfg, default=own)
