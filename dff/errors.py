"""The errors that users can cause. Entry points print them as one line, without a traceback."""


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
