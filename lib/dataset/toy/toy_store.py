"""Embedded data sets on disk: made once, whole or not at all, the same bytes every time.

They are replaced when their version is older.
"""
import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from typing import Any, Callable, List, Optional, Sequence, Tuple

from lib.utils.argument_types import not_negative, positive
from dff.errors import DataError
from dff.files import flush_all
from lib.utils.parallel import process_map
from lib.utils.progress import progress_bar

CHECKSUMS = 'checksums.sha256'
PARALLEL_FROM = 400            # frames; below it other processes cost more than they save


class ToyStore:
    """The folder of one embedded data set.

    A `size` is a dataclass of numbers that says how much to draw.
    """

    def __init__(self, name: str, version: int,
                 write: Callable[[str, Any, Optional[int]], None]) -> None:
        """Describe a data set.

        Args:
            name: of the set, in messages and of its stamp, <name>.json.
            version: raised when a file would come out differently; older folders are then drawn
                anew.
            write: called as write(folder, size, workers) to draw it.
        """
        self.name, self.version, self.write = name, version, write
        self.stamp = name + '.json'

    def ensure(self, folder: str, size: Any) -> None:
        """Make the data set at `folder` unless a current one, of any size, is there; an outdated
        one is replaced.

        Where another process is making it, wait for that. Raises DataError where the folder holds
        something else or cannot be written.
        """
        version = self.version_at(folder)
        if version == self.version:
            return
        if version is None and os.path.isdir(folder) and os.listdir(folder):
            raise DataError('%s is not empty and was not made by the toy generator (no %s): choose another '
                            'dataset.dataset_path, or remove it' % (folder, self.stamp))
        with _alone_in(os.path.dirname(os.path.realpath(folder))):
            version = self.version_at(folder)
            if version != self.version:
                if version is not None:
                    print('%s at %s is of version %s: drawing version %d, in the default size'
                          % (self.name, folder, version, self.version))
                self.generate(folder, size, replace=False)

    def version_at(self, folder: str) -> Any:
        """Return the version of the data set at `folder`, a number; None where there is no
        readable stamp.
        """
        try:
            with open(os.path.join(folder, self.stamp), encoding='utf-8') as stream:
                return json.load(stream)['version']
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def generate(self, folder: str, size: Any, workers: Optional[int] = None,
                 replace: bool = True) -> None:
        """Draw the data set in a temporary folder, then put it at `folder`, where it replaces what
        is there.

        Args:
            folder: where to put it; where that is a link, its target is replaced.
            size: how much to draw.
            workers: processes; by default as many as are worth it, see draw_scenes.
            replace: False keeps a current data set that another process put there meanwhile.

        Raises:
            DataError: the disk refuses.
        """
        folder = os.path.realpath(folder)      # where `folder` is a link, its target is what gets replaced
        try:
            os.makedirs(os.path.dirname(folder), exist_ok=True)
            temporary = tempfile.mkdtemp(prefix='.%s.' % self.name, dir=os.path.dirname(folder))
        except OSError as error:
            raise DataError('cannot make %s at %s: %s' % (self.name, folder, error.strerror)) from None
        try:
            os.chmod(temporary, 0o755)
            self.write(temporary, size, workers)
            self._seal(temporary, size)
            if replace or self.version_at(folder) != self.version:
                flush_all()
                if os.path.isdir(folder):
                    shutil.rmtree(folder)
                os.rename(temporary, folder)
        except OSError as error:
            raise DataError('cannot make %s at %s: %s' % (self.name, folder, error.strerror)) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _seal(self, folder, size):
        with open(os.path.join(folder, CHECKSUMS), 'w', encoding='utf-8') as stream:
            stream.writelines('%s  %s\n' % line for line in self.checksums(folder))
        with open(os.path.join(folder, self.stamp), 'w', encoding='utf-8') as stream:
            json.dump(dict(version=self.version, **asdict(size)), stream, indent=1)

    def checksums(self, folder: str) -> List[Tuple[str, str]]:
        """Return (SHA-256, path below `folder`) of every file of a data set but stamp and
        checksums, by path.
        """
        result = []
        for place, _, names in os.walk(folder):
            for name in names:
                file = os.path.join(place, name)
                path = os.path.relpath(file, folder).replace(os.sep, '/')
                if path not in (self.stamp, CHECKSUMS):
                    with open(file, 'rb') as stream:
                        result.append((hashlib.sha256(stream.read()).hexdigest(), path))
        return sorted(result, key=lambda item: item[1])


@contextlib.contextmanager
def _alone_in(folder):
    """While this lasts, others that ask for `folder`, which is made if needed, wait; not where it
    cannot be locked.
    """
    lock = None
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def draw_scenes(draw: Callable[[Any], int], jobs: Sequence[Any], frames: int, name: str,
                workers: Optional[int]) -> None:
    """Draw scenes in several processes, with a bar for a large data set.

    Args:
        draw: draw(job) draws one and returns how many frames that made.
        jobs: the scenes.
        frames: of all jobs together.
        name: of the data set; stands beside the bar.
        workers: processes; None: one for less than PARALLEL_FROM frames, else one a core, at most
            8.
    """
    if workers is None:
        workers = 1 if frames < PARALLEL_FROM else min(os.cpu_count() or 1, 8)
    with progress_bar(total=frames, desc='drawing %s' % name, unit='frame', disable=frames < PARALLEL_FROM) as bar:
        for done in process_map(draw, jobs, workers):
            bar.update(done)


def make_from_command_line(store: ToyStore, size: Any) -> None:
    """Run a generator of `store`: the folder, and --<field> N for each number of `size`, whose
    values are the defaults.

    Raises DataError where the folder holds something else or cannot be written.
    """
    parser = argparse.ArgumentParser(description='Draw the %s data set (see data/README.md).' % store.name)
    parser.add_argument('folder', help='where to put it; replaced where a %s is there' % store.name)
    for name, value in asdict(size).items():
        parser.add_argument('--' + name, metavar='N', default=value, help='default %(default)s',
                            type=positive if name.endswith('_length') else not_negative)
    args = vars(parser.parse_args())
    folder = args.pop('folder')
    if os.path.isdir(folder) and os.listdir(folder) and store.version_at(folder) is None:
        raise DataError('%s is not empty and holds no %s; give another folder' % (folder, store.name))
    store.generate(folder, type(size)(**args))
    print('%s is at %s' % (store.name, folder))
