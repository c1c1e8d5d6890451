"""CVAT for images 1.1 XML (docs.cvat.ai, "XML annotation format").

An <image> with its file name, a <box> an object, no tracks.
"""
import os
from typing import List
from xml.etree.ElementTree import Element

from lib.dataset.importers.formats.cvat import OTHER_SHAPES, box_of, corners_of, is_upright_box, read_task, xml_files
from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.model import IMPORTERS, Box, Item, Options, Report, Source, same_size, whole
from lib.dataset.importers.paths import merged, part_of, relative
from lib.dataset.importers.xml_files import children
from dff.errors import DataError
from dff.files import IMAGE_SUFFIXES

NOT_SHAPES = ('tag', 'attribute')
# '': the name has one already.
SUFFIXES = ('',) + tuple(suffix for name in IMAGE_SUFFIXES for suffix in (name, name.upper()))


@IMPORTERS.register('cvat-images')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of CVAT for images.

    The images are beside the XML, in images/ there, or in options.frames. The frames of a video
    (options.clips) have names such as frame_000012. Folders named train and val say the parts.

    Args:
        src: an XML file, or a folder whose *.xml are read, also those deeper.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of its images is there.
    """
    items: List[Item] = []
    classes: List[str] = []
    for file in xml_files(src):
        classes = merged(classes, read_task(file, 'image', 'track').labels)
        items += [_item(element, file, src, options, report) for element in children(file, ('image',))]
    root = src if os.path.isdir(src) else os.path.dirname(os.path.abspath(src))
    return Source(clips_of(items, options, root, report), classes)


def _item(element: Element, file: str, src: str, options: Options, report: Report) -> Item:
    """The Item of an <image>."""
    if not element.get('name'):
        raise DataError('%s: an <image> has no name' % file)
    name, folder = relative(element.get('name'), file), os.path.dirname(file)
    place = '%s, image %s' % (os.path.basename(file), name)
    found: List[Box] = []
    for shape in element:
        if is_upright_box(shape):
            found.append(box_of(shape.get('label') or '', corners_of(shape), occluded=shape.get('occluded') == '1'))
        elif shape.tag not in NOT_SHAPES:
            report.skip(OTHER_SHAPES, place)
    roots = ([options.frames] if options.frames else []) + [folder, os.path.join(folder, 'images')]
    files = (os.path.join(root, name + suffix) for root in roots for suffix in SUFFIXES)
    below = os.path.relpath(folder, src).replace(os.sep, '/') if os.path.isdir(src) else '.'
    stem = os.path.splitext(name if below == '.' else '%s/%s' % (below, name))[0]
    declared = whole(element.get('height')), whole(element.get('width'))
    return Item(stem, next((path for path in files if os.path.isfile(path)), None),
                lambda height, width: found if same_size(declared, (height, width), place, report) else None,
                part_of(stem))
