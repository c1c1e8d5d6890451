"""The frames that detections are of: their names, sizes and, of a video, their pictures."""
import os
from typing import Callable, List, NamedTuple, Optional

from dff.errors import DataError
from dff.files import image_files
from dff.sources import DEFAULT_FPS, VideoReader
from lib.dataset.exporters.model import ExportedClip, Frame
from lib.dataset.exporters.results import Results, Seen
from lib.dataset.importers.media import ImageFile, Images, write_jpeg
from lib.dataset.importers.paths import output_name, stem

SLACK = 1.0      # pixels that a box may reach over the edge of its frame, by rounding


def clip_of(results: Results, frames: str, dst: str) -> ExportedClip:
    """Return the clip that detections are of.

    Args:
        results: the detections.
        frames: the folder of images, or the video, that the detector has seen.
        dst: the folder that the labels will be in, from which paths of images are.

    Raises:
        DataError: the frames are missing or unreadable, or others than those of the detections.
    """
    if os.path.isdir(frames):
        return _of_images(results, frames, dst)
    if os.path.isfile(frames):
        return _of_video(results, frames)
    raise DataError('--frames: expected a folder of images or a video; found none at %s' % frames)


def _of_images(results: Results, folder: str, dst: str) -> ExportedClip:
    names = image_files(folder)
    if not names:
        raise DataError('--frames: expected JPEG or PNG images in %s, found none' % folder)
    stems = list(map(stem, names))
    twice = next((name for before, name in zip(sorted(stems), sorted(stems)[1:])
                  if before == name), None)
    if twice is not None:
        raise DataError('%s: expected one image named %s, found several, whose labels would be one '
                        'file; rename the others' % (folder, twice))
    numbers = Images(names).numbers
    found: List[Frame] = []
    for seen in results.frames:
        if seen.position >= len(names) or stems[seen.position] != seen.name:
            there = stems[seen.position] if seen.position < len(names) else 'no such frame'
            raise _others(folder, seen, '%s (%d images)' % (there, len(names)))
        path = os.path.join(folder, names[seen.position])
        image = ImageFile(path)
        found.append(Frame(seen.position, numbers[seen.position], names[seen.position],
                           os.path.relpath(path, dst).replace(os.sep, '/'), image.height,
                           image.width, seen.detections))
        _check_boxes(found[-1], folder)
    name = output_name(os.path.basename(os.path.abspath(folder)) or 'clip')
    return ExportedClip(name, None, numbers[0], len(names), DEFAULT_FPS, results.classes,
                        found, lambda folder: None)


class _Video(NamedTuple):
    length: int
    height: int
    width: int


def _of_video(results: Results, path: str) -> ExportedClip:
    reader = VideoReader(path)
    video = _look_at(reader, path)
    name = output_name(stem(path))
    found: List[Frame] = []
    for seen in results.frames:
        if seen.name != '%06d' % seen.position:
            raise _others(path, seen, 'a video, whose frames are named like %06d' % seen.position)
        # A length that a container declares may be an estimate: a seen frame is a frame.
        file = '%s_%06d.jpg' % (name, seen.position)
        found.append(Frame(seen.position, seen.position, file, file, video.height, video.width,
                           seen.detections))
        _check_boxes(found[-1], path)
    length = max(video.length, found[-1].position + 1)
    return ExportedClip(name, os.path.basename(path), 0, length, reader.fps, results.classes,
                        found, _image_writer(path, found))


def _look_at(reader: VideoReader, path: str) -> _Video:
    """The length of a video and the size of its frames; what declares no length is read."""
    size: Optional[_Video] = None
    count = 0
    for frame in reader:
        count += 1
        size = size or _Video(0, *frame.shape[:2])
        if reader.length is not None:
            break
    if size is None:
        raise DataError('%s: no frame of the video can be read; convert it again' % path)
    return size._replace(length=reader.length or count)


def _image_writer(path: str, frames: List[Frame]) -> Callable[[str], None]:
    def write(folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        missing = {frame.position: frame.file for frame in frames}
        reader = VideoReader(path)
        for picture in reader:
            file = missing.pop(reader.numbers[-1], None)
            if file is not None:
                write_jpeg(os.path.join(folder, file), picture)
            if not missing:
                return
        raise DataError('%s: %d frames of the detections are not in the video, the first is %d; '
                        'give the video that the detector has seen'
                        % (path, len(missing), min(missing)))
    return write


def _check_boxes(frame: Frame, frames: str) -> None:
    """DataError where a box leads out of its frame: the frames are of another size."""
    for box in frame.detections:
        if (min(box.x1, box.y1) < -SLACK or box.x2 > frame.width - 1 + SLACK
                or box.y2 > frame.height - 1 + SLACK):
            raise DataError('%s, frame %d: it has %dx%d pixels, and a detection is at %.1f %.1f '
                            '%.1f %.1f; give the frames that the detector has seen'
                            % (frames, frame.position, frame.width, frame.height, box.x1, box.y1,
                               box.x2, box.y2))


def _others(frames: str, seen: Seen, there: str) -> DataError:
    return DataError('%s: expected frame %d to be %s, as the detections have it, found %s; give '
                     'the frames that the detector has seen'
                     % (frames, seen.position, seen.name, there))
