"""PASCAL VOC XML, as labelImg writes it too: one file an image, corners counted from 1, the last
pixel included.
"""
import os
import re
from typing import Callable, Dict, List, Optional
from xml.etree.ElementTree import Element

from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.library import Library
from lib.dataset.importers.model import (IMPORTERS, Box, Item, Options, Report, Source, fitted,
                                         number, recognises, whole)
from lib.dataset.importers.paths import files_below, part_named, part_of, read_text, stem
from lib.dataset.importers.xml_files import candidates, parse, root_tag
from dff.errors import DataError

_ANNOTATIONS = re.compile(r'^(annotations|labels|xmls?)/', re.IGNORECASE)


@IMPORTERS.register('voc')
@IMPORTERS.register('labelimg')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of PASCAL VOC.

    ImageSets/Main/{train,val,test}.txt, or folders named so, say the parts.

    Args:
        src: a folder whose *.xml are read, also those deeper, each with the image of the same name
            in a folder that answers to its own, below it or options.frames.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: a file is missing or malformed, or none of the images is there.
    """
    files = files_below(src, ('.xml',))
    if not files:
        raise DataError('%s: expected PASCAL VOC annotations (*.xml, one an image) in it' % src)
    library = Library([src] + ([options.frames] if options.frames else []))
    parts = listed_parts(src, 'Main')
    items = []
    for file in files:
        name = _ANNOTATIONS.sub('', os.path.splitext(file)[0])
        plain = os.path.splitext(file)[0]
        path = os.path.join(src, file)
        items.append(Item(name, library.images.find(plain, path), _labels(path, report),
                          listed_part(name, parts) or part_of(file)))
    if not options.clips:
        for path in set(library.images.paths()) - {item.path for item in items}:
            report.skip('images: no annotation', path)
    return Source(clips_of(items, options, src, report), [])


@recognises('voc', 'XML <annotation>, a file an image')
def _recognise(src: str) -> Optional[str]:
    files = candidates(src) if os.path.isdir(src) else []
    return next((file for file in files if root_tag(file) == 'annotation'), None)


def listed_parts(src: str, kind: str) -> Dict[str, str]:
    """Return {image name, with folders or without: 'train', 'val' or 'test'} of VOC's lists.

    Args:
        src: the data set; lists are named for their part, as train.txt or CVAT's Validation.txt.
        kind: folder of ImageSets, Main or Segmentation.
    """
    parts: Dict[str, str] = {}
    folder = os.path.join(src, 'ImageSets', kind)
    for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        part = part_named(stem(file)) if file.lower().endswith('.txt') else None
        if part:
            lines = read_text(os.path.join(folder, file))
            parts.update((line.split()[0], part) for line in lines if line.strip())
    return parts


def listed_part(name: str, parts: Dict[str, str]) -> Optional[str]:
    """Return the part of an image: as `parts`, of listed_parts, names it, with all the folders of
    its path `name` or the last of them; else None.
    """
    words = name.split('/')
    endings = ('/'.join(words[i:]) for i in range(len(words)))
    return next((parts[text] for text in endings if text in parts), None)


def _labels(path: str, report: Report) -> Callable[[int, int], Optional[List[Box]]]:
    def boxes(height: int, width: int) -> Optional[List[Box]]:
        root = parse(path)
        if root.tag != 'annotation':
            raise DataError('%s: expected a PASCAL VOC <annotation>, found <%s>' % (path, root.tag))
        declared = tuple(whole(root.findtext('size/' + side)) or None for side in ('height', 'width'))
        return fitted(_boxes(root), declared, (height, width), os.path.basename(path), report)
    return boxes


def _boxes(root: Element) -> List[Box]:
    found = []
    for element in root.iter('object'):
        x1, y1, x2, y2 = (number(element.findtext('bndbox/' + corner)) - 1
                          for corner in ('xmin', 'ymin', 'xmax', 'ymax'))
        found.append(Box(element.findtext('name') or '', x1, y1, x2, y2, whole(element.findtext('trackid')),
                         element.findtext('occluded') == '1'))
    return found
