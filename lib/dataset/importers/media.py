"""Where frames come from: image files, which are linked, and video files, which are decoded."""
import os
import re
import struct
import warnings
from typing import Iterator, List, Optional, Sequence, Tuple, Union

import cv2
import numpy as np
from PIL import Image

from dff.sources import VideoReader, open_capture
from dff.errors import DataError
from dff.files import IMAGE_SUFFIXES as FRAME_SUFFIXES
from dff.files import natural_key
from dff.image import read_image

IMAGE_SUFFIXES = tuple(dict.fromkeys(FRAME_SUFFIXES + ('.bmp', '.webp', '.tif', '.tiff')))
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.m4v', '.mpg', '.mpeg', '.webm', '.wmv', '.ts',
                  '.mts', '.m2ts', '.flv', '.3gp')
FRAME_FOLDERS = ('', 'img1', 'images', 'frames')     # where the frames of a clip's folder may be
LARGEST_IMAGE = 100 * 10 ** 6                        # pixels; what declares more is refused, unread
JPEG_QUALITY = 95
_TRAILING_NUMBER = re.compile(r'\d{1,18}$')


class Images:
    """Frames in image files."""

    def __init__(self, paths: Sequence[str], numbers: Optional[Sequence[int]] = None) -> None:
        """List the files `paths`, at least one, in order.

        numbers: of the frames; by default those at the end of the names where these rise, else 0,
        1, ...
        """
        self.paths = paths
        self.numbers: Sequence[int] = numbers or trailing_numbers(paths) or range(len(paths))
        self.first, self.length = self.numbers[0], len(paths)
        self.rate: Optional[float] = None        # frames a second, where something says it


class Video:
    """Frames of a video file, numbered from 0."""

    first = 0

    def __init__(self, path: str) -> None:
        """Open the file `path`. Raises DataError where it is no video, or its frames are too
        large.
        """
        self.path = path
        capture = open_capture(path)
        pixels = capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        rate = capture.get(cv2.CAP_PROP_FPS)
        capture.release()
        if pixels > LARGEST_IMAGE:
            raise DataError('%s declares frames of more than %d megapixels: refused' % (path, LARGEST_IMAGE // 10 ** 6))
        self._reader = VideoReader(path)
        self.length = self._reader.length       # None where the file does not state it
        # Frames a second; a camera of one frame a minute has less than 1.
        self.rate: Optional[float] = rate if 0 < rate <= 1000 else None

    def __iter__(self) -> Iterator[Tuple[int, 'Decoded']]:
        """Yield (number, frame) for every frame, one in memory at a time. Raises DataError where
        frames are missing and nothing says which."""
        for frame in self._reader:
            yield self._reader.numbers[-1], Decoded(frame)
        if self._reader.clock.varies and self._reader.lost():
            raise DataError(
                '%s. Which frames are missing cannot be told, so labels would go to others: '
                'convert the video again from its '
                'original, or take it out' % self._reader.remarks()[0]
            )

    def remarks(self) -> List[str]:
        """Return what is to be said once all frames are through, in lines."""
        return self._reader.remarks()


class Stretch:
    """The frames `first` to `last` of a video, with the numbers that they have there."""

    def __init__(self, video: Video, first: int, last: int) -> None:
        self.video, self.first, self.last = video, first, last
        self._read = 0       # frames of the pass that is over
        self.path, self.rate = video.path, video.rate
        self.length = last - first + 1

    def __iter__(self) -> Iterator[Tuple[int, 'Decoded']]:
        """Yield (number, frame) for every frame of the stretch; those before it are decoded too."""
        self._read = 0
        for number, frame in self.video:
            if number > self.last:
                return
            if number >= self.first:
                self._read += 1
                yield number, frame

    def remarks(self) -> List[str]:
        """Return what is to be said once all frames are through, in lines."""
        if self._read == self.length:
            return []
        return ['%s: %d of the %d frames from %d to %d could be read'
                % (self.path, self._read, self.length, self.first, self.last)]


Media = Union[Images, Video, Stretch]


class ImageFile:
    """An image file, of which only the head is read where that is enough."""

    def __init__(self, path: str) -> None:
        """Read the head of the file `path`. Raises DataError where it is no image, or too large."""
        self.path = path
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore', Image.DecompressionBombWarning)    # the limit is ours, below
                with Image.open(path) as image:
                    (self.width, self.height), self.format = image.size, image.format
                    self._deep = _is_deep(image, path)
                    self.orientation = _orientation(image)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError('cannot read image %s: %s' % (path, getattr(error, 'strerror', None) or error)) from None
        if self.width * self.height > LARGEST_IMAGE:
            raise DataError('image %s declares %dx%d pixels, more than %d million: refused'
                            % (path, self.width, self.height, LARGEST_IMAGE // 10 ** 6))

        self.turned = self.orientation != 1
        if self.orientation > 4:
            self.height, self.width = self.width, self.height

    def keep_stored(self) -> None:
        """Take the picture as it is stored, not as its EXIF orientation says."""
        if self.orientation > 4 and self.turned:
            self.height, self.width = self.width, self.height
        self.turned = False

    def write(self, target: str, copy: bool) -> str:
        """Make the JPEG file `target`; return how: 'linked', 'copied', 'converted' or 'turned'.

        A JPEG is linked, or copied if `copy` or where links are impossible; others are converted.
        Raises DataError for an image that cannot be decoded, OSError where the disk refuses.
        """
        if self.turned:
            write_jpeg(target, read_image(self.path, shown=True))
            return 'turned'
        if self.format not in ('JPEG', 'MPO'):
            write_jpeg(target, _read_deep(self.path) if self._deep else read_image(self.path))
            return 'converted'
        if not copy:
            try:
                os.symlink(os.path.abspath(self.path), target)
                return 'linked'
            except (OSError, NotImplementedError):
                pass      # a file system without links
        with open(self.path, 'rb') as source, open(target, 'wb') as stream:
            stream.write(source.read())
        return 'copied'


def _is_deep(image: Image.Image, path: str) -> bool:
    """Whether an open image has more than 8 bits a sample, which Pillow does not show for
    colour.
    """
    if image.format == 'PNG':
        with open(path, 'rb') as stream:
            return stream.read(25)[24:] == b'\x10'
    samples = getattr(image, 'tag_v2', {}).get(258, 8)        # TIFF's BitsPerSample
    return image.mode[0] in 'IF' or max(np.atleast_1d(samples)) > 8


def _read_deep(path: str) -> np.ndarray:
    """Return an image of more than 8 bits as BGR uint8 [H, W, 3].

    Cameras write 10, 12 or 14 bits into 16, often the low ones: the highest bit that is used
    becomes the highest of 8. Values that are no whole numbers are spread from least to most.
    """
    pixels = cv2.imdecode(np.fromfile(path, np.uint8),
                          cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise DataError(
            'cannot decode image %s: not a whole file, or of a kind that OpenCV does not know'
            % path)
    if pixels.dtype == np.uint16:
        return (pixels >> max(0, int(pixels.max()).bit_length() - 8)).astype(np.uint8)
    if pixels.dtype != np.uint8:
        least, most = float(np.nanmin(pixels)), float(np.nanmax(pixels))
        pixels = np.nan_to_num((pixels - least) * (255 / ((most - least) or 1)))
    return pixels.astype(np.uint8)


def _orientation(image):
    """EXIF orientation of a PIL image, 1 to 8."""
    try:
        value = image.getexif().get(0x112, 1)
    except (
        OSError,
        ValueError,
        SyntaxError,
        KeyError,
        TypeError,
        struct.error,
        EOFError,
    ):  # damaged EXIF
        return 1
    return value if value in range(1, 9) else 1


class Decoded:
    """A frame of a video."""

    def __init__(self, frame: np.ndarray) -> None:
        """Hold `frame`, BGR uint8 [H, W, 3]."""
        self.frame = frame
        self.height, self.width = frame.shape[:2]

    def write(self, target: str, copy: bool) -> str:
        """Make the JPEG file `target` and return 'decoded'; `copy` changes nothing, see
        ImageFile.write.
        """
        write_jpeg(target, self.frame)
        return 'decoded'


def write_jpeg(target: str, frame: np.ndarray) -> None:
    """Write a frame, BGR uint8 [H, W, 3], as the JPEG file `target`."""
    cv2.imencode('.jpg', frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tofile(target)


def trailing_numbers(paths: Sequence[str]) -> Optional[List[int]]:
    """Return the numbers at the end of the names of files where every name has one and they rise,
    else None.
    """
    matches = [_TRAILING_NUMBER.search(os.path.splitext(path)[0]) for path in paths]
    numbers = [int(match.group()) for match in matches if match]
    if not numbers or len(numbers) < len(paths):
        return None
    return numbers if all(a < b for a, b in zip(numbers, numbers[1:])) else None


def find_clip(names: Sequence[str], roots: Sequence[str]) -> Optional[Media]:
    """Return the first of `names` that is a folder of images or a video file in one of the folders
    `roots`, or None.

    Names are relative paths that paths.relative has passed; all of them are tried in a folder
    before the next one.
    """
    for root in roots:
        for name in names:
            for folder in (os.path.join(root, name, below) for below in FRAME_FOLDERS):
                paths = images_in(folder)
                if paths:
                    return Images(paths)
            video = find_video(os.path.join(root, name))
            if video:
                return Video(video)
    return None


def images_in(folder: str) -> List[str]:
    """Return the paths of the images in a folder, in order of their numbers; [] where there is no
    such folder.
    """
    if not os.path.isdir(folder):
        return []
    names = [
        name for name in os.listdir(folder)
        if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.')
    ]
    return [os.path.join(folder, name) for name in sorted(names, key=natural_key)]


def find_video(path: str) -> Optional[str]:
    """Return the path of the video file `path`, or of `path` with a video's extension; None where
    there is none.
    """
    if path.lower().endswith(VIDEO_SUFFIXES) and os.path.isfile(path):
        return path
    folder, name = os.path.split(path)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return next((os.path.join(folder, file) for file in names
                 if os.path.splitext(file)[0] == name and file.lower().endswith(VIDEO_SUFFIXES)), None)


def without_video_suffix(name: str) -> str:
    """Return `name` without a video's extension; other dots stay."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in VIDEO_SUFFIXES else name
