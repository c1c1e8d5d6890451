"""Archives of unknown origin: unpacked into a temporary folder, whatever they hold."""
import contextlib
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from typing import IO, Callable, Generator, Iterator, NamedTuple, Optional, Set

from dff.errors import DataError, shown

SUFFIXES = ('.zip', '.tar', '.tar.gz', '.tgz')
LARGEST = 500 * 10 ** 9        # bytes of all files together; what holds more is refused
MOST = 5 * 10 ** 6             # files
KEPT_FREE = 10 ** 8            # bytes of the disk that stay free
_BLOCK = 1 << 20
_RESOURCES = '__MACOSX/'       # what macOS puts beside the files of an archive
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError,
           NotImplementedError, RuntimeError, ValueError, IndexError)


class _Entry(NamedTuple):
    """A file in an archive."""

    name: str
    size: int                                # that it declares
    refused: Optional[str]                   # what it is, where it is no plain file
    open: Callable[[], Optional[IO[bytes]]]


_Entries = Generator[_Entry, None, None]


def is_archive(path: str) -> bool:
    """Return whether `path` is a file with the name of an archive."""
    return os.path.isfile(path) and path.lower().endswith(SUFFIXES)


@contextlib.contextmanager
def unpacked(path: str, relative: Callable[[str, str], str]) -> Iterator[str]:
    """Yield a folder with the content of an archive, which is gone afterwards.

    It has the name of the archive, without suffix.

    Args:
        path: of the archive, one of SUFFIXES.
        relative: gives the relative path that the name of a file means, the second argument being
            the archive; raises DataError where it leads outside.

    Raises:
        DataError: it is damaged, has a link or a name that leads outside, or is too large.
    """
    temporary = tempfile.mkdtemp(prefix='import_')
    try:
        name = os.path.basename(path)
        suffix = next(suffix for suffix in reversed(SUFFIXES) if name.lower().endswith(suffix))
        folder = os.path.join(temporary, name[:-len(suffix)].strip('. ') or 'archive')
        os.mkdir(folder)
        _unpack(path, folder, relative)
        yield folder
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(path: str, folder: str, relative: Callable[[str, str], str]) -> None:
    """Write the files of an archive into a folder. Raises DataError."""
    free = shutil.disk_usage(folder).free - KEPT_FREE
    left = min(LARGEST, free)
    seen: Set[str] = set()
    try:
        with contextlib.closing(_entries(path)) as entries:
            for entry in entries:
                where = '%s, entry %s' % (path, shown(entry.name))
                file = relative(entry.name, path)
                if entry.refused:
                    raise DataError('%s is %s: refused; make a new archive of plain files only'
                                    % (where, entry.refused))
                if file in seen:
                    raise DataError('%s is there twice; make a new archive' % where)
                seen.add(file)
                if len(seen) > MOST:
                    raise DataError('%s has more than %d files: refused' % (path, MOST))
                left -= _write(entry, os.path.join(folder, file), left, where, free < LARGEST)
    except _DAMAGE as error:
        raise DataError('cannot read the archive %s: %s; it is damaged or of another kind: fetch '
                        'it again, or unpack it and give the folder' % (path, error)) from None
    except OSError as error:
        raise DataError('cannot unpack %s: %s; unpack it and give the folder'
                        % (path, error.strerror or error)) from None


def _write(entry: _Entry, target: str, left: int, where: str, full: bool) -> int:
    """Write a file of an archive; return its size. Raises DataError where it has more than `left`
    bytes, whatever it declares.

    full: whether it is the disk that has no more.
    """
    written = 0
    advice = ('more than the disk of %s has free; set TMPDIR to a folder of another'
              % tempfile.gettempdir() if full else 'more than %d GB together: refused'
              % (LARGEST // 10 ** 9))
    if entry.size > left:
        raise DataError('%s and those before it have %s' % (where, advice))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    source = entry.open()
    if source is None:
        raise DataError('%s cannot be read: refused' % where)
    with source, open(target, 'xb') as stream:
        while True:
            block = source.read(_BLOCK)
            written += len(block)
            if written > left:
                raise DataError('%s and those before it have %s' % (where, advice))
            if not block:
                break
            stream.write(block)
    if written != entry.size:
        raise DataError('%s is damaged: it has %d bytes instead of %d; fetch the archive again'
                        % (where, written, entry.size))
    return written


def _entries(path: str) -> _Entries:
    """The files of an archive; its folders are left out, as they come with the files."""
    return _zip_entries(path) if path.lower().endswith('.zip') else _tar_entries(path)


def _zip_entries(path: str) -> _Entries:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir() or info.filename.startswith(_RESOURCES):
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            refused = ('encrypted' if info.flag_bits & 1 else 'a link' if kind == stat.S_IFLNK
                       else 'no plain file' if kind not in (0, stat.S_IFREG) else None)
            yield _Entry(info.filename, info.file_size, refused,
                         lambda info=info: archive.open(info))    # type: ignore[misc]


def _tar_entries(path: str) -> _Entries:
    with tarfile.open(path, 'r:*') as archive:
        for info in archive:
            if info.isdir() or info.name.startswith(_RESOURCES):
                continue
            refused = ('a link' if info.issym() or info.islnk()
                       else None if info.isreg() else 'no plain file')
            yield _Entry(info.name, info.size, refused,
                         lambda info=info: archive.extractfile(info))    # type: ignore[misc]
