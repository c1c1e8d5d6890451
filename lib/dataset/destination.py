"""The folder that an import or an export makes: whole under its name, or not there."""
import contextlib
import os
import shutil
import tempfile
from typing import Iterator, NamedTuple, Sequence

from dff.errors import DataError
from dff.files import flush_all


class Destination(NamedTuple):
    """A folder to make, and what shows that one of that name was made the same way."""

    path: str
    stamp: str      # file in it that only `tool` writes
    tool: str       # as users call it
    flag: str       # what names the folder on the command line

    def check(self, sources: Sequence[str], force: bool) -> None:
        """Raise a DataError unless the folder is free, or one to replace, and neither it nor a
        source lies inside the other.

        Args:
            sources: files and folders that are read.
            force: replace what `tool` made before.
        """
        if not self.path:
            raise DataError('%s: expected the name of a folder to make, found none' % self.flag)
        target = os.path.realpath(self.path)
        for source in map(os.path.realpath, sources):
            if os.path.commonpath([source, target]) in (source, target):
                raise DataError('the source %s and the destination %s are one inside the other; choose '
                                'another destination' % (source, self.path))
        if not os.path.lexists(self.path) or (os.path.isdir(self.path) and not os.listdir(self.path)):
            return
        if not os.path.isfile(os.path.join(self.path, self.stamp)):
            raise DataError('%s exists and was not made by %s (no %s): choose another destination, or '
                            'remove it' % (self.path, self.tool, self.stamp))
        if not force:
            raise DataError('%s exists already; --force replaces it, and all that was changed in it'
                            % self.path)

    @contextlib.contextmanager
    def replacing(self) -> Iterator[str]:
        """Yield a new folder beside the one to make, whose place it takes at the end; after an error
        nothing of it stays.

        Raises DataError where it cannot be written.
        """
        target = os.path.realpath(self.path)
        parent = os.path.dirname(target)
        temporary = None
        try:
            os.makedirs(parent, exist_ok=True)
            temporary = tempfile.mkdtemp(prefix='.%s.' % os.path.basename(target), dir=parent)
            os.chmod(temporary, 0o755)
            yield temporary
            flush_all()
            if os.path.isdir(target):
                self._remove(target)
            os.rename(temporary, target)
        except OSError as error:
            raise DataError('cannot write %s: %s' % (self.path, error.strerror or error)) from None
        finally:
            if temporary:
                shutil.rmtree(temporary, ignore_errors=True)

    def _remove(self, target):
        """Remove what the tool made, or an empty folder; OSError for one that holds anything else."""
        if os.path.isfile(os.path.join(target, self.stamp)):
            shutil.rmtree(target)
        else:
            os.rmdir(target)
