"""Networks by name: the `symbol` of a config. A task's package registers its classes when it is imported."""
from dff.errors import ConfigError

_SYMBOLS = {}


def register(cls):
    """Class decorator: makes `cls` known under its own name."""
    _SYMBOLS[cls.__name__] = cls
    return cls


def get_symbol_instance(cfg):
    """A new instance of the network that cfg.symbol names; raises ConfigError, listing what exists, on a miss."""
    if cfg.symbol not in _SYMBOLS:
        raise ConfigError("there is no network called '%s' (setting symbol); this task has: %s"
                          % (cfg.symbol, ', '.join(sorted(_SYMBOLS)) or 'none'))
    return _SYMBOLS[cfg.symbol]()
