"""Label maps as palette PNG files."""
import numpy as np
from PIL import Image

from dff.errors import DataError
from dff.files import atomic_path
from dff.labels import full_palette


def write_label_png(path: str, label: np.ndarray, palette: np.ndarray) -> None:
    """Write a label map as a palette PNG to `path`: viewers show colours, readers of its numbers
    get the ids.

    label: uint8 [H, W]; palette: uint8 [n, 3] RGB, n <= 256; ids without a colour are black. Raises
    DataError where the disk refuses.
    """
    image = Image.fromarray(np.ascontiguousarray(label, np.uint8))
    image.putpalette(full_palette(palette).ravel().tolist())
    try:
        with atomic_path(path, durable=False) as temporary:     # whoever writes many flushes once
            image.save(temporary, format='PNG')
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror or error)) from None
