"""PASCAL VOC XML, as labelImg writes it too: one file an image, corners counted from 1, the last
pixel included.
"""
import os
import re
from typing import Callable, Dict, List, Optional
from xml.etree.ElementTree import Element

from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.model import (IMPORTERS, Box, Item, Options, Report, Source, number, same_size,
                                         whole)
from lib.dataset.importers.paths import files_below, part_of, read_text, stem
from lib.dataset.importers.xml_files import parse
from dff.errors import DataError
from dff.files import IMAGE_SUFFIXES

_ANNOTATIONS = re.compile(r'^(annotations|labels|xmls?)/', re.IGNORECASE)


@IMPORTERS.register('voc')
@IMPORTERS.register('labelimg')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of PASCAL VOC.

    ImageSets/Main/{train,val,test}.txt, or folders named so, say the parts.

    Args:
        src: a folder whose *.xml are read, also those deeper, each with the image of the same name,
            wherever that is below it or options.frames.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of the images is there.
    """
    files = files_below(src, ('.xml',))
    if not files:
        raise DataError('%s: expected PASCAL VOC annotations (*.xml, one an image) in it' % src)
    images, parts = _index_images(src, options), _listed_parts(src)
    items = []
    for file in files:
        name = _ANNOTATIONS.sub('', os.path.splitext(file)[0])
        items.append(Item(name, _image_of(file, images), _labels(os.path.join(src, file), report),
                          parts.get(stem(file), part_of(file))))
    if not options.clips:
        for path in set(path for paths in images.values() for path in paths) - {item.path for item in items}:
            report.skip('images: no annotation', path)
    return Source(clips_of(items, options, src, report), [])


def _index_images(src: str, options: Options) -> Dict[str, List[str]]:
    """{name without folder and extension: [path]} of all images."""
    index: Dict[str, List[str]] = {}
    for root in (src, options.frames) if options.frames else (src,):
        for file in files_below(root, IMAGE_SUFFIXES):
            index.setdefault(stem(file), []).append(os.path.join(root, file))
    return index


def _image_of(file: str, images: Dict[str, List[str]]) -> Optional[str]:
    """The image of an annotation: of those with its name, that whose folders resemble the
    annotation's most.
    """
    def resemblance(path: str) -> int:
        folders, own = path.replace(os.sep, '/').split('/')[:-1], file.split('/')[:-1]
        return len(set(folders) & set(own))
    return max(images.get(stem(file), []), key=resemblance, default=None)


def _listed_parts(src: str) -> Dict[str, str]:
    """{image name: 'train', 'val' or 'test'} of VOC's ImageSets/Main."""
    parts: Dict[str, str] = {}
    for part in ('train', 'val', 'test'):
        path = os.path.join(src, 'ImageSets', 'Main', part + '.txt')
        if os.path.isfile(path):
            parts.update((line.split()[0], part) for line in read_text(path) if line.strip())
    return parts


def _labels(path: str, report: Report) -> Callable[[int, int], Optional[List[Box]]]:
    def boxes(height: int, width: int) -> Optional[List[Box]]:
        root = parse(path)
        if root.tag != 'annotation':
            raise DataError('%s: expected a PASCAL VOC <annotation>, found <%s>' % (path, root.tag))
        declared = tuple(whole(root.findtext('size/' + side)) or None for side in ('height', 'width'))
        return _boxes(root) if same_size(declared, (height, width), os.path.basename(path), report) else None
    return boxes


def _boxes(root: Element) -> List[Box]:
    found = []
    for element in root.iter('object'):
        x1, y1, x2, y2 = (number(element.findtext('bndbox/' + corner)) - 1
                          for corner in ('xmin', 'ymin', 'xmax', 'ymax'))
        found.append(Box(element.findtext('name') or '', x1, y1, x2, y2, whole(element.findtext('trackid')),
                         element.findtext('occluded') == '1'))
    return found
