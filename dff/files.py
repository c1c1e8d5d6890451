"""Files: writing them so that a reader never sees half of one, JSON, checksums, and listing frames."""
import contextlib
import hashlib
import json
import os
import re
from typing import Any, Dict, Iterator, List, Optional

IMAGE_SUFFIXES = ('.jpeg', '.jpg', '.png')


@contextlib.contextmanager
def atomic_path(path: str) -> Iterator[str]:
    """Yield a temporary path beside `path` (same extension); on success it replaces `path`.

    The folder is made if needed. On an error the temporary file is removed and `path` stays as it was.
    """
    path = str(path)
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    stem, extension = os.path.splitext(os.path.basename(path))
    # The extension is kept because OpenCV, NumPy and MXNet choose the format by it.
    temporary = os.path.join(folder, '.%s.%d.tmp%s' % (stem, os.getpid(), extension))
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def natural_key(name: str) -> List[Any]:
    """Return a sorting key that puts img2 before img10."""
    parts = re.split(r'(\d+)', str(name))
    return [(int(part), part) if index % 2 else (0, part.lower()) for index, part in enumerate(parts)]


def image_files(folder: str) -> List[str]:
    """Return the names of the JPEG and PNG files of a folder, in order of their numbers; hidden ones are left out."""
    names = [name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.')]
    return sorted(names, key=natural_key)


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
    return '%s does not exist, but %s lies there: rename such files to end in %s' % (
        path,
        others[0],
        os.path.splitext(name)[1],
    )


def read_json(path: str) -> Optional[Dict[str, Any]]:
    """Return the dict in a JSON file; None where there is no such file, or no dict in it."""
    try:
        with open(path, encoding='utf-8') as stream:
            content = json.load(stream)
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def write_json(path: str, content: Any) -> None:
    """Write `content` as an indented JSON file, whole or not at all. Raises OSError."""
    with atomic_path(path) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
        json.dump(content, stream, indent=1, sort_keys=True)


def file_sha256(path: str) -> str:
    """Return the SHA-256 of a file, hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        for block in iter(lambda: stream.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()
