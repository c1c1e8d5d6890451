"""Writing files so that a reader never sees half of one."""
import contextlib
import os


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
