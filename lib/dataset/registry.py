"""Data sets by the name that `dataset.dataset` gives."""
from typing import Any, Optional, Type

from easydict import EasyDict

from dff.errors import ConfigError
from lib.utils.registry import Registry

# Classes with the classmethods from_config(cfg, image_set) and class_list(cfg), and `task`, 'detection'
# or 'segmentation': what they have labels for.
DATASETS = Registry('data set', 'dataset.dataset', 'lib.dataset.sets')
register = DATASETS.register


def get_dataset(cfg: EasyDict, image_set: str, task: Optional[str] = None, **options: Any) -> Any:
    """Return the data set `cfg.dataset.dataset` with one image set.

    Args:
        cfg: the settings.
        image_set: name of the image set, without `+`.
        task: 'detection' or 'segmentation'; None accepts a data set of either.
        **options: further arguments of the data set's from_config.

    Raises:
        ConfigError: an unknown name (the message lists those that exist), or no labels for `task`.
        DataError: the files are missing or malformed.
    """
    return _class_of(cfg, task).from_config(cfg, image_set.strip(), **options)


def get_class_list(cfg: EasyDict, task: Optional[str] = None) -> Any:
    """Return the class list of the data set `cfg.dataset.dataset`, whose files need not be there.

    Raises ConfigError as get_dataset, DataError where the file of the classes cannot be read.
    """
    return _class_of(cfg, task).class_list(cfg)


def _class_of(cfg: EasyDict, task: Optional[str]) -> Type[Any]:
    cls = DATASETS.get(cfg.dataset.dataset)
    if task not in (None, cls.task):
        fitting = [name for name, other in DATASETS.items() if other.task == task]
        raise ConfigError("dataset.dataset: '%s' has labels for %s, but %s is to be done; for that there are %s"
                          % (cfg.dataset.dataset, cls.task, task, ', '.join(fitting)))
    return cls
