"""YOLO text files: `class x_centre y_centre width height` in parts of the image's sides."""
import os

from dff.errors import DataError
from lib.dataset.exporters.model import EXPORTERS, ExportedClip


NO_LABELS = ('classes', 'train', 'val', 'valid', 'test')      # lists that lie beside the labels


@EXPORTERS.register('yolo')
def write(clip: ExportedClip, folder: str) -> None:
    """Write classes.txt, <image>.txt, empty for no object, and, of a video, the frames.

    The format has no place for tracks that annotation tools would read.

    Args:
        clip: the detections.
        folder: an empty folder.

    Raises:
        DataError: an image is named like a list of the format.
    """
    classes = {name: number for number, name in enumerate(clip.classes)}
    with open(os.path.join(folder, 'classes.txt'), 'w', encoding='utf-8') as stream:
        stream.writelines(name + '\n' for name in clip.classes)
    for frame in clip.frames:
        name = os.path.splitext(frame.file)[0]
        if name in NO_LABELS:
            raise DataError('--frames: expected no image named %s, as %s.txt is a list in the '
                            'format yolo; rename it, or choose another format'
                            % (frame.file, name))
        path = os.path.join(folder, name + '.txt')
        with open(path, 'w', encoding='utf-8') as stream:
            for box in frame.detections:
                left, top, right, bottom = box.edges
                stream.write('%d %.8f %.8f %.8f %.8f\n' % (
                    classes[box.name], (left + right) / 2 / frame.width,
                    (top + bottom) / 2 / frame.height, (right - left) / frame.width,
                    (bottom - top) / frame.height))
    clip.write_images(folder)
