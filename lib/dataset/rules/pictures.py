"""Rules for picture files: there, readable, of the size that their annotations say."""

import os
from typing import Callable, Dict, Iterable, List, Set, Tuple

from lib.dataset.formats.problems import ReportFunction
from lib.utils.image_header import ImageHeader, read_header
from dff.errors import DataError
from dff.files import missing_file

SAMPLE = (
    2000  # picture files whose heads are read before a run; of the others when their turn comes
)
# What the loader passes over with TRAIN.SKIP_BAD_IMAGES.
OF_PICTURES = ('image missing', 'image unreadable', 'image truncated', 'image shape', 'wrong size')


def check_exist(images: Iterable[Tuple[str, Callable[[], str]]], report: ReportFunction) -> None:
    """Report picture files that are not there.

    images: (path, where() that gives who asks for it). A folder is listed once, which is faster
    than a look for each file.
    """
    folders: Dict[str, Set[str]] = {}
    for path, where in images:
        folder, _, name = path.rpartition(os.sep)
        if folder not in folders:
            try:
                folders[folder] = set(os.listdir(folder))
            except OSError:
                folders[folder] = set()
        if name not in folders[folder]:
            report('image missing', where(), 'the image %s' % missing_file(path))


def sample(paths: List[str]) -> List[int]:
    """Return the places of the pictures to look at before a run: the first of each folder, and
    some spread over all."""
    first: Dict[str, int] = {}
    for place, path in enumerate(paths):
        first.setdefault(path.rpartition(os.sep)[0], place)
    step = max(1, len(paths) // SAMPLE)
    return sorted(set(first.values()) | set(range(0, len(paths), step)))


def check_picture(path: str, where: str, size: Tuple[int, int], report: ReportFunction) -> None:
    """Read the head of a picture and compare its size, (height, width) in its annotation, (0, 0)
    where that is not known.

    path: of the picture; where: who asks for it; report: called for what is wrong with it.
    """
    try:
        header = read_header(path)
    except DataError as error:
        report(
            'image shape' if 'too narrow' in str(error) else 'image unreadable', where, str(error)
        )
        return
    if not header.whole:
        report(
            'image truncated',
            where,
            '%s (%d bytes) breaks off before its end' % (path, header.fingerprint[0]),
        )
    check_size(path, where, header, size, report)


def check_size(
    path: str, where: str, header: ImageHeader, size: Tuple[int, int], report: ReportFunction
) -> None:
    """Compare the size of a picture with that in its annotation.

    Args:
        path: of the picture.
        where: who asks for it.
        header: of the picture.
        size: (height, width) in its annotation, (0, 0) where that is not known.
        report: called where they differ, and where the file says that it is to be shown turned,
        which no size can tell.
    """
    stored = header.height, header.width
    if size[0] and stored != tuple(size):
        report('wrong size', where, wrong_size(path, stored, size, header.orientation))
    elif (
        header.orientation in (2, 3, 4) or header.orientation > 4 and header.height == header.width
    ):
        report(
            'image turned',
            where,
            '%s is shown turned (EXIF orientation %d); its boxes are taken to be of the '
            'picture as stored'
            % (path, header.orientation),
        )


def wrong_size(path: str, stored: Tuple[int, int], size: Tuple[int, int], orientation: int) -> str:
    """Return what to say of a picture whose annotation is of another size.

    Args:
        path: of the picture.
        stored: its height and width.
        size: height and width in its annotation.
        orientation: EXIF orientation of the file.
    """
    text = '%s is %d x %d pixels, but its annotation says %d x %d' % (
        path,
        stored[1],
        stored[0],
        size[1],
        size[0],
    )
    if orientation > 4 and stored == tuple(size)[::-1]:
        return text + (
            ': the file is stored turned (EXIF orientation %d), and the boxes are of the picture '
            'as shown. Data sets are read '
            'as stored; turn the files themselves, as `mogrify -auto-orient` does, or import the '
            'data with '
            'tools/import_dataset.py' % orientation
        )
    return text
