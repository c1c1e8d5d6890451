"""Data sets by the name that `dataset.dataset` gives."""
from dff.errors import ConfigError

_DATASETS = {}


def register(name):
    """Class decorator: make a data set known as `name`. It needs the classmethods from_config(cfg, image_set)
    and class_list(cfg), and `task`, 'detection' or 'segmentation': what it has labels for."""
    def add(cls):
        _DATASETS[name] = cls
        return cls
    return add


def get_dataset(cfg, image_set, task=None, **options):
    """The data set `cfg.dataset.dataset` with one image set (no `+`); options go to its from_config.

    Raises ConfigError for an unknown name, listing those that exist, and for one without labels for `task`, if given.
    """
    return _class_of(cfg, task).from_config(cfg, image_set, **options)


def get_class_list(cfg, task=None):
    """The ClassList of the data set `cfg.dataset.dataset`, which need not be there. Raises ConfigError as get_dataset, DataError."""
    return _class_of(cfg, task).class_list(cfg)


def _class_of(cfg, task):
    # Imported here, because these modules import this one to register.
    from lib.dataset.sets import camvid  # noqa: F401
    from lib.dataset.sets import cityscapes  # noqa: F401
    from lib.dataset.sets import imagenet_vid  # noqa: F401
    from lib.dataset.sets import seg_folder  # noqa: F401
    from lib.dataset.sets import toy_seg  # noqa: F401
    from lib.dataset.sets import toy_vid  # noqa: F401
    name = cfg.dataset.dataset
    if name not in _DATASETS:
        raise ConfigError("dataset.dataset: there is no data set '%s'; there are %s" % (name, ', '.join(sorted(_DATASETS))))
    cls = _DATASETS[name]
    if task not in (None, cls.task):
        fitting = sorted(name for name, other in _DATASETS.items() if other.task == task)
        raise ConfigError("dataset.dataset: '%s' has labels for %s, but %s is to be done; for that there are %s"
                          % (name, cls.task, task, ', '.join(fitting)))
    return cls
