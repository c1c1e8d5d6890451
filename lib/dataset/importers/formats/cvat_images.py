"""CVAT for images 1.1 XML (docs.cvat.ai, "XML annotation format").

An <image> with its file name, a <box> an object, no tracks.
"""
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple
from xml.etree.ElementTree import Element

from lib.dataset.importers.formats.cvat import (OTHER_SHAPES, Task, box_of, clip_name, corners_of,
                                                is_upright_box, read_tasks, xml_files)
from lib.dataset.importers.frame_names import split_name
from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.library import Library
from lib.dataset.importers.media import IMAGE_SUFFIXES
from lib.dataset.importers.model import IMPORTERS, Box, Clip, Item, Options, Report, Source, fitted
from lib.dataset.importers.model import recognises, whole
from lib.dataset.importers.paths import merged, part_named, part_of, parts_of
from lib.dataset.importers.xml_files import children, file_with
from dff.errors import DataError

NOT_SHAPES = ('tag', 'attribute')
# '': the name has one already.
SUFFIXES = ('',) + tuple(suffix for name in IMAGE_SUFFIXES for suffix in (name, name.upper()))


class Annotated(NamedTuple):
    """An <image>."""

    element: Element
    size: Tuple[Optional[int], Optional[int]]        # height, width that it states
    place: str                                       # for the report


@IMPORTERS.register('cvat-images')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of CVAT for images.

    The images are beside the XML, in images/ there, or in options.frames. The frames of a video
    (options.clips) have names such as frame_000012, and the name of the XML file is that of their
    clip. The subset of a task, or else folders named train and val, say the parts.

    Args:
        src: an XML file, or a folder whose *.xml are read, also those deeper.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of its images is there.
    """
    classes: List[str] = []

    def labels(found: Annotated) -> Callable[[int, int], Any]:
        boxes = _boxes(found, report)
        return lambda height, width: fitted(boxes, found.size, (height, width), found.place, report)
    return Source(clips_with(labels, classes, src, options, report), classes)


def clips_with(labels_of: Callable[[Annotated], Callable[[int, int], Any]], classes: List[str],
               src: str, options: Options, report: Report) -> List[Clip]:
    """Return the clips of a data set.

    Args:
        labels_of: gives what is labelled in an image, as Item.boxes; the element is read at once.
        classes: gets the class names.
        src, options, report: as of read.

    Raises:
        DataError: as read.
    """
    items: List[Item] = []
    root = src if os.path.isdir(src) else os.path.dirname(os.path.abspath(src))
    library = Library(([options.frames] if options.frames else []) + [root])
    files = xml_files(src)
    for file in files:
        tasks = read_tasks(file, 'image', 'track')
        classes[:] = merged(classes, [name for task in tasks for name in task.labels])
        by_id = {task.identity: task for task in tasks}
        source = _Source(file, clip_name(file, src), by_id, library, len(files) == 1)
        items += [_item(element, source, options, labels_of) for element in children(file, ('image',))]
    return clips_of(items, options, root, report)


@recognises('cvat-images', 'XML <annotations> with <image>')
def _recognise(src: str) -> Optional[str]:
    return file_with(src, 'image', 'annotation')


class _Source(NamedTuple):
    """An XML file."""

    file: str
    clip: str                            # name that its frames are of, where nothing else says one
    tasks: Dict[Optional[str], Task]     # by id; of None where it is no project
    library: Library
    alone: bool                          # there is no other XML file


def _item(element: Element, source: _Source, options: Options,
          labels_of: Callable[[Annotated], Callable[[int, int], Any]]) -> Item:
    """The Item of an <image>."""
    file = source.file
    if not element.get('name'):
        raise DataError('%s: an <image> has no name' % file)
    name = '/'.join(parts_of(element.get('name'), file))
    place = '%s, image %s' % (os.path.basename(file), name)
    task = source.tasks.get(element.get('task_id')) or source.tasks.get(None)
    clip = task.name if task and task.identity and task.name else source.clip
    subset = element.get('subset') or (task.subset if task else None)
    item, suffix = os.path.splitext(name)
    item = item if suffix.lower() in IMAGE_SUFFIXES else name
    # Frames of every video task have the same names: the clip is what the file is of.
    frame = split_name(item)
    bare = options.clips and frame is not None and not frame[0]
    whose = clip if bare else os.path.dirname(source.clip)
    item = '%s/%s' % (whose, item) if whose else item
    declared = whole(element.get('height')), whole(element.get('width'))
    return Item(item, _path(name, clip, subset, source, options),
                labels_of(Annotated(element, declared, place)), part_named(subset) or part_of(item))


def _boxes(found: Annotated, report: Report) -> List[Box]:
    """The boxes of an image; other shapes are counted."""
    boxes = []
    for shape in found.element:
        if is_upright_box(shape):
            boxes.append(box_of(shape.get('label') or '', corners_of(shape), occluded=shape.get('occluded') == '1'))
        elif shape.tag not in NOT_SHAPES:
            report.skip(OTHER_SHAPES, found.place)
    return boxes


def _path(name: str, clip: str, subset: Optional[str], source: _Source,
          options: Options) -> Optional[str]:
    """The image file `name` of a clip, or None."""
    folder, images = os.path.dirname(source.file), source.library.images
    roots = ([options.frames] if options.frames else []) + [folder, os.path.join(folder, 'images')]
    places = [os.path.join(root, below) for root in roots
              for below in ([os.path.basename(clip)] + ([subset] if subset else []) + [''])
              if '..' not in below.split('/')]
    direct = (os.path.join(place, name + suffix) for place in places for suffix in SUFFIXES)
    path = next(filter(os.path.isfile, direct), None)
    path = path or images.find('%s/%s' % (clip, name), source.file)
    # Where there are others, frame_000000 alone might be a frame of theirs.
    return path or (images.find(name, source.file) if source.alone else None)
