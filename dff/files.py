"""Files: writing them so that a reader never sees half of one, and listing frames."""
import contextlib
import os
import re

IMAGE_SUFFIXES = ('.jpeg', '.jpg', '.png')


@contextlib.contextmanager
def atomic_path(path):
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


def natural_key(name):
    """Sorting key that puts img2 before img10."""
    parts = re.split(r'(\d+)', str(name))
    return [(int(part), part) if index % 2 else (0, part.lower()) for index, part in enumerate(parts)]


def image_files(folder):
    """Names of the JPEG and PNG files of a folder, in order of their numbers; hidden ones are left out."""
    names = [name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.')]
    return sorted(names, key=natural_key)
