"""One logger for a run: the terminal and a file in the output folder."""
import contextlib
import logging
import os
import sys
import time

from lib.utils.cli import silence
from lib.utils.paths import image_set_names, resolve
from dff.errors import SetupError


def output_folder(config, cfg_path, image_set):
    """Return <config.output_path>/<name of the config file>/<image sets joined by _>.

    As in the original. cfg_path is that file's path, and image_set names the sets, joined by +.
    """
    name = os.path.splitext(os.path.basename(cfg_path))[0]
    return os.path.join(resolve(config.output_path), name, '_'.join(image_set_names(image_set)))


class _LogFile(logging.FileHandler):
    """A log file whose own failure, as on a full disk, is one line and not a traceback for every message."""

    failed = False

    def _open(self):
        # Names of files may be of any kind, whatever the locale.
        return open(self.baseFilename, self.mode, encoding='utf-8', errors='backslashreplace')

    def handleError(self, record):
        if not self.failed:
            self.failed = True
            print('cannot write the log file %s: %s' % (self.baseFilename, sys.exc_info()[1]), file=sys.stderr)


class _Terminal(logging.StreamHandler):
    """Standard output, whose end, as of `| head`, is one line: a run goes on, and its log file with it."""

    failed = False

    def handleError(self, record):
        if not self.failed:
            self.failed = True
            print('cannot write to the terminal any more: %s; the log file continues' % sys.exc_info()[1],
                  file=sys.stderr)
            with contextlib.suppress(OSError, ValueError):      # a stream that is no file: nothing to lead elsewhere
                silence(self.stream)


def log_file(logger):
    """Return the path of the log file of `create_logger`'s logger; None where that is quiet."""
    files = [handler for handler in logger.handlers if isinstance(handler, _LogFile)]
    return files[0].baseFilename if files else None


def create_logger(config, cfg_path, image_set, quiet=False):
    """Return (logger, output folder); the folder is made, and a dated log file in it.

    Args:
        config, cfg_path, image_set: see output_folder.
        quiet: warnings only, and only to the terminal, as in a worker of a job whose first worker
            logs for all.

    Raises:
        SetupError: the folder cannot be written.
    """
    folder = output_folder(config, cfg_path, image_set)
    logger = logging.getLogger('dff')
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    try:
        os.makedirs(folder, exist_ok=True)
        name = '%s_%s.log' % (os.path.basename(os.path.dirname(folder)), time.strftime('%Y-%m-%d-%H-%M-%S'))
        to_file = _LogFile(os.path.join(folder, name), delay=True)
        to_file.setFormatter(logging.Formatter('%(asctime)s %(message)s'))
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, 'Permission denied')
    except OSError as error:
        raise SetupError('cannot write to the output folder %s (%s); choose another with --set '
                         'output_path=FOLDER'
                         % (folder, error.strerror)) from error
    to_terminal = _Terminal(sys.stdout)
    # Debug lines, such as all settings, go to the file only.
    to_terminal.setLevel(logging.WARNING if quiet else logging.INFO)
    to_terminal.setFormatter(logging.Formatter('%(message)s'))
    for handler in ([to_terminal] if quiet else [to_file, to_terminal]):
        logger.addHandler(handler)
    return logger, folder
