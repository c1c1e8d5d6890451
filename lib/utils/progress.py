"""Progress bars."""
import sys

from tqdm import tqdm


def progress_bar(iterable=None, **settings):
    """A tqdm bar on standard error: lively on a terminal, a line every 20 seconds where the output goes to a file."""
    stream = settings.setdefault('file', sys.stderr)
    return tqdm(iterable, mininterval=0.2 if stream.isatty() else 20, **settings)
