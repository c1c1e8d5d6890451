"""Files: writing them so that a reader never sees half of one, JSON, checksums, and listing frames."""
import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import uuid
from typing import Any, Dict, Iterator, List, Optional

IMAGE_SUFFIXES = ('.jpeg', '.jpg', '.png')


@contextlib.contextmanager
def atomic_path(path: str, durable: bool = True) -> Iterator[str]:
    """Yield a temporary path beside `path` (same extension); on success it replaces `path`.

    The folder is made if needed. On an error the temporary file is removed and `path` stays as it was.
    A device or a pipe is no file that could be replaced: it is yielded itself.

    Args:
        path: of the file.
        durable: the file is on the disk, and its name in the folder, before this returns: no loss of
            power then leaves an empty or older file. False for what no later run depends on, as a
            picture of many.
    """
    path = str(path)
    if _is_stream(path):
        yield path
        return
    folder = os.path.dirname(os.path.abspath(path))
    make_folder(folder)
    stem, extension = os.path.splitext(os.path.basename(path))
    # The extension is kept because OpenCV, NumPy and MXNet choose the format by it. The middle is
    # drawn, as processes on several machines may have one number.
    temporary = os.path.join(folder, '.%s.%s.tmp%s' % (stem, uuid.uuid4().hex[:12], extension))
    try:
        yield temporary
        if durable:
            _flush(temporary)
        os.replace(temporary, path)
        if durable:
            _flush_folder(folder)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def _is_stream(path):
    """Whether `path` is a device, a pipe, or as /dev/stdout a name of what is open already."""
    opened = os.path.abspath(path).startswith(('/dev/std', '/dev/fd/', '/proc/'))
    return os.path.exists(path) and (opened or not (os.path.isfile(path) or os.path.isdir(path)))


def remove_leftovers(folder: str, stems: str = '.*') -> List[str]:
    """Remove what `atomic_path` left in `folder` where its process was killed; returns the names.

    For the one writer of these files only: those of a process at work would go, too.

    Args:
        folder: which may be absent.
        stems: regular expression for the names, without extension, of the files that were written.
    """
    pattern = re.compile(r'\.(?:%s)\.[0-9a-f]+\.tmp(?:\.\w+)?' % stems, re.DOTALL)
    try:
        names = sorted(name for name in os.listdir(folder) if pattern.fullmatch(name))
    except OSError:
        return []
    for name in names:
        with contextlib.suppress(OSError):
            os.remove(os.path.join(folder, name))
    return names


def make_folder(folder: str) -> None:
    """Make a folder, and those above it, so that no loss of power takes it away again. Raises OSError."""
    if os.path.isdir(folder):
        return
    above = os.path.dirname(folder)
    if above != folder:
        make_folder(above)
    os.makedirs(folder, exist_ok=True)
    _flush_folder(above)


def flush_all() -> None:
    """Have all that was written so far on the disk: for many small files once, where each would cost time."""
    os.sync()


def _flush(path: str) -> None:
    """Wait until the content of a file is on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _flush_folder(folder: str) -> None:
    """Wait until the names in a folder are on the disk, where its file system can be asked for that."""
    try:
        _flush(folder)
    except OSError as error:
        # Some network file systems keep names safe without being asked, and refuse; a folder that
        # may be written to but not listed cannot be opened.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM):
            raise


def natural_key(name: str) -> List[Any]:
    """Return a sorting key that puts img2 before img10."""
    parts = re.split(r'(\d+)', str(name))
    return [(int(part), part) if index % 2 else (0, part.lower()) for index, part in enumerate(parts)]


def image_files(folder: str) -> List[str]:
    """Return the names of the JPEG and PNG files of a folder, in order of their numbers; hidden ones are left out."""
    names = [name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.')]
    return sorted(names, key=natural_key)


def require_regular(path: str) -> None:
    """Raise an OSError where `path` is no file that could be read to its end: a pipe, a device."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, 'it is a device or a pipe, no regular file', path)


def missing_file(path: str) -> str:
    """Return `<path> does not exist`, and what lies beside it under the same name with another
    ending."""
    folder, name = os.path.split(str(path))
    stem = os.path.splitext(name)[0]
    try:
        others = sorted(
            other
            for other in os.listdir(folder or '.')
            if os.path.splitext(other)[0] == stem and other != name
        )
    except OSError:
        others = []
    if not others:
        return '%s does not exist' % path
    return '%s does not exist, but %s is there: rename such files to end in %s' % (
        path,
        others[0],
        os.path.splitext(name)[1],
    )


def read_json(path: str) -> Optional[Dict[str, Any]]:
    """Return the dict in a JSON file; None where there is no such file, or no dict in it."""
    try:
        require_regular(path)
        with open(path, encoding='utf-8') as stream:
            content = json.load(stream)
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def write_json(path: str, content: Any) -> None:
    """Write `content` as an indented JSON file, keys in their order, whole or not at all. Raises OSError."""
    with atomic_path(path) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
        json.dump(content, stream, indent=1)


def file_sha256(path: str) -> str:
    """Return the SHA-256 of a file, hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        for block in iter(lambda: stream.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def file_size(path: str) -> int:
    """Return the bytes of a file; -1 where it cannot be looked at."""
    try:
        return os.path.getsize(path)
    except OSError:
        return -1
