"""The errors that users can cause. Entry points print them as one line, without a traceback."""
import reprlib
from typing import Any


class _Short(reprlib.Repr):
    """A repr of bounded length, whatever the value holds and however often its parts hold each other."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict, self.maxtuple, self.maxset = 3, 8, 8, 8, 8
        self.maxstring, self.maxlong, self.maxother = 120, 40, 120

    def repr_int(self, x: int, level: int) -> str:
        """See reprlib.Repr; a number of more digits than Python writes is described."""
        try:
            return super().repr_int(x, level)
        except ValueError:
            return '<a number of %d bits>' % x.bit_length()


def shown(value: Any) -> str:
    """Return `value` as Python writes it, cut: for messages about what files and users give."""
    return _Short().repr(value)[:500]


class DFFError(Exception):
    """Base of every error that this project raises on bad input."""


class ConfigError(DFFError):
    """A setting does not exist, has the wrong type, or contradicts another."""


class ClassCountError(ConfigError):
    """dataset.NUM_CLASSES is not what the class list makes, which is `expected`."""

    def __init__(self, message, expected):
        super().__init__(message)
        self.expected = expected


class DataError(DFFError):
    """A data-set file (image set, annotation, image, class list) is missing or malformed."""


class CheckpointError(DFFError):
    """A parameter file is missing, damaged, or does not fit the network."""


class ExportError(DFFError):
    """A network has no form for other runtimes, or computes something else there."""


class DivergenceError(DFFError):
    """Training went astray: a loss or a parameter is no longer a usable number."""


class SetupError(DFFError):
    """The installation lacks something that the command needs."""


class Stopped(Exception):
    """A signal asked the run to stop, and it did so in order; not an error."""

    def __init__(self, message, signal_number):
        super().__init__(message)
        self.signal_number = signal_number
