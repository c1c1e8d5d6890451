"""Images: reading, resizing and turning into network input. Training and inference share these."""
import functools
from typing import Sequence, Tuple

import cv2
import numpy as np

from dff.errors import DataError
from dff.files import missing_file, require_regular

LONGEST = (
    100  # times as long as wide: what is longer is no picture, but broken, or cut out by mistake
)


def read_image(path: str, shown: bool = False) -> np.ndarray:
    """Return the image at `path` as BGR uint8 [H, W, 3]; DataError where it is missing, unreadable or
    too narrow.

    shown: turn it as its EXIF orientation says, as viewers do; else it is as stored, which is
    what data sets' boxes count.
    """
    # imdecode instead of imread: paths with any characters, and no warning of OpenCV's on stderr.
    try:
        require_regular(path)
        data = np.fromfile(str(path), dtype=np.uint8)
    except OSError as error:
        hint = (
            missing_file(path).partition(', but ')[2]
            if isinstance(error, FileNotFoundError)
            else ''
        )
        raise DataError(
            'cannot read image %s: %s%s'
            % (path, error.strerror or error, ', but ' + hint if hint else '')
        ) from None
    image, flags = (
        None,
        cv2.IMREAD_COLOR if shown else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    )
    if data.size and _png_is_whole(data):
        try:
            image = cv2.imdecode(data, flags)
        except cv2.error as error:      # larger than OPENCV_IO_MAX_IMAGE_PIXELS, which lib/utils/mxnet_import.py sets
            reason = ' '.join(str(error).split())
            raise DataError('cannot decode image %s (%d bytes): %s' % (path, data.size, reason)) from None
    if image is None:
        raise DataError('cannot decode image %s (%d bytes): not a whole JPEG or PNG file; replace it'
                        % (path, data.size))
    check_shape(path, *image.shape[:2])
    return image


def check_shape(path, height, width):
    """Raise DataError, which names the file `path`, for a picture of height x width pixels that
    no network can use."""
    if max(height, width) > LONGEST * min(height, width):
        raise DataError(
            '%s is %d x %d pixels, too narrow for a picture (more than %d times as long as wide): '
            'replace it, or take it '
            'out of the list' % (path, width, height, LONGEST)
        )


def _png_is_whole(data):
    """Whether the chunks of a PNG file, uint8 [n], fit into it up to the last; True for files of other formats.

    OpenCV would take a minute over a file of 1 KB with a chunk that claims to be longer.
    """
    view, at = memoryview(data), 8
    if bytes(view[:8]) != b'\x89PNG\r\n\x1a\n':
        return True
    while at + 12 <= len(view):
        end = at + 12 + int.from_bytes(view[at:at + 4], 'big')
        if bytes(view[at + 4:at + 8]) == b'IEND':
            return end <= len(view)
        at = end
    return False


def resize_scale(height: int, width: int, size: Sequence[int]) -> float:
    """Return the factor that brings the shorter of `height` and `width` to size[0], the longer to at most size[1]."""
    shorter, longer = min(height, width), max(height, width)
    scale = size[0] / shorter
    if round(scale * longer) > size[1]:
        scale = size[1] / longer
    return scale


def resize(frame: np.ndarray, size: Sequence[int], stride: int = 0, interpolation: int = cv2.INTER_LINEAR,
           border: int = 0) -> Tuple[np.ndarray, float]:
    """Scale a frame; returns (image, scale).

    Args:
        frame: uint8 [H, W, 3] or [H, W].
        size: (shorter side, longest side), pixels; the shorter side becomes the first, the longer at most the second.
        stride: pixels are added to the right and at the bottom until both sides are multiples of it; 0: none.
        interpolation: OpenCV's name for the way; of label maps cv2.INTER_NEAREST.
        border: value of the added pixels; of label maps 255.
    """
    scale = resize_scale(frame.shape[0], frame.shape[1], size)
    if scale != 1:
        if round(min(frame.shape[:2]) * scale) < 1:       # OpenCV takes no size of 0
            size = tuple(max(1, round(side * scale)) for side in frame.shape[1::-1])
            frame = cv2.resize(frame, size, interpolation=interpolation)
        else:
            frame = cv2.resize(frame, None, None, fx=scale, fy=scale, interpolation=interpolation)
    if stride > 0:
        bottom, right = -frame.shape[0] % stride, -frame.shape[1] % stride
        if bottom or right:
            frame = cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(border,) * 3)
    return frame, scale


@functools.lru_cache(maxsize=8)
def _mean_tables(means):
    """float32 [256] for each channel: what every byte becomes."""
    return [(np.arange(256) - mean).astype(np.float32) for mean in means]


def to_tensor(frame: np.ndarray, pixel_means: Sequence[float]) -> np.ndarray:
    """Turn `frame`, BGR uint8 [H, W, 3] to network input: RGB minus means, float32 [1, 3, H, W].

    pixel_means: three numbers, listed blue, green, red (network.PIXEL_MEANS).
    """
    tables = _mean_tables(tuple(float(mean) for mean in np.ravel(pixel_means)))
    tensor = np.empty((1, 3) + frame.shape[:2], np.float32)
    # A look-up per channel: the values of a float64 subtraction, in a seventh of its time.
    for plane in range(3):
        cv2.LUT(cv2.extractChannel(frame, 2 - plane), tables[2 - plane], dst=tensor[0, plane])
    return tensor
