"""What the first and last bytes of an image file tell, a hundred times faster than decoding it."""
import os
import zlib
from typing import NamedTuple

from dff.errors import DataError
from dff.files import require_regular
from dff.image import check_shape, read_image

HEAD, TAIL = (
    1 << 12,
    1 << 10,
)  # bytes read first; a long profile or preview before the size needs more
ORIENTATION = 0x112               # number of the EXIF entry
MAX_PIXELS = 1 << 30              # OpenCV refuses more


class ImageHeader(NamedTuple):
    """One image file."""

    height: int         # pixels
    width: int
    whole: bool         # whether the file ends as its format ends
    fingerprint: tuple  # equal for files of equal content, rarely for others
    orientation: int = (
        1  # of EXIF: how viewers turn the picture; 1: not, 5 to 8: width and height change places
    )


def read_header(path):
    """The ImageHeader of a JPEG or PNG file; another file is decoded.

    Raises DataError where it is missing, no image, or of a shape that no network can use.
    """
    try:
        require_regular(path)
        with open(path, 'rb') as stream:
            head = start = stream.read(HEAD)
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - TAIL))
            tail = stream.read()
            found = _size(head)
            while found is None and head[:2] == b'\xff\xd8' and size > len(start):
                stream.seek(0)
                start = stream.read(32 * len(start))
                found = _size(start)
    except OSError as error:
        raise DataError('cannot read image %s: %s' % (path, error.strerror)) from None
    fingerprint = (size, zlib.crc32(head), zlib.crc32(tail))
    if head[:2] == b'\xff\xd8':
        whole = b'\xff\xd9' in tail
    elif head[:8] == b'\x89PNG\r\n\x1a\n':
        whole = b'IEND' in tail
    else:
        found, whole = read_image(path).shape[:2], True
    if found is None or not 0 < found[0] * found[1] <= MAX_PIXELS:
        raise DataError('cannot decode image %s (%d bytes): %s' % (
            path, size, 'no size in its header; replace it' if found is None else '%d x %d pixels' % found[::-1]))
    check_shape(path, *found)
    return ImageHeader(found[0], found[1], whole, fingerprint, _orientation(start))


def _size(data):
    """(height, width) that a JPEG's frame header or a PNG's first chunk gives; None where it is not in `data`."""
    if data[:8] == b'\x89PNG\r\n\x1a\n' and len(data) >= 24:
        return int.from_bytes(data[20:24], 'big'), int.from_bytes(data[16:20], 'big')
    at = 2
    while data[:2] == b'\xff\xd8' and at + 9 <= len(data) and data[at] == 0xff:
        marker = data[at + 1]
        if 0xc0 <= marker <= 0xcf and marker not in (0xc4, 0xc8, 0xcc):
            return int.from_bytes(data[at + 5:at + 7], 'big'), int.from_bytes(data[at + 7:at + 9], 'big')
        if marker == 0xff:                  # padding
            at += 1
        else:
            at += 2 + int.from_bytes(data[at + 2:at + 4], 'big')
    return None


def _orientation(data):
    """The EXIF orientation, 1 to 8, in the first bytes of a JPEG file; 1 where there is none."""
    at = data.find(b'Exif\0\0', 0, HEAD) if data[:2] == b'\xff\xd8' else -1
    if at < 0:
        return 1
    tiff = data[at + 6:]
    order = {b'II': 'little', b'MM': 'big'}.get(tiff[:2])
    if order is None:
        return 1
    first = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[first:first + 2], order)
    for place in range(first + 2, min(first + 2 + 12 * count, len(tiff) - 11), 12):
        if int.from_bytes(tiff[place:place + 2], order) == ORIENTATION:
            value = int.from_bytes(tiff[place + 8:place + 10], order)
            return value if 1 <= value <= 8 else 1
    return 1
