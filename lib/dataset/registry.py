"""Data sets by the name that `dataset.dataset` gives."""
from lib.utils.errors import ConfigError

_DATASETS = {}


def register(name):
    """Class decorator: make a data set known as `name`. It needs the classmethods from_config(cfg, image_set)
    and class_list(cfg)."""
    def add(cls):
        _DATASETS[name] = cls
        return cls
    return add


def get_dataset(cfg, image_set):
    """The data set `cfg.dataset.dataset` with one image set (no `+`).

    Raises ConfigError for an unknown name, listing those that exist.
    """
    return _class_of(cfg).from_config(cfg, image_set)


def get_class_list(cfg):
    """The ClassList of the data set `cfg.dataset.dataset`, which need not be there. Raises ConfigError, DataError."""
    return _class_of(cfg).class_list(cfg)


def _class_of(cfg):
    # Imported here, because these modules import this one to register.
    from lib.dataset import camvid, cityscapes, imagenet_vid, seg_folder, toy_seg, toy_vid  # noqa: F401
    if cfg.dataset.dataset not in _DATASETS:
        raise ConfigError("dataset.dataset: there is no data set '%s'; there are %s" % (cfg.dataset.dataset, ', '.join(sorted(_DATASETS))))
    return _DATASETS[cfg.dataset.dataset]
