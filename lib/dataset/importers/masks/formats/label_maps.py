"""Label maps in PNG files: colours, palettes or grey values of classes.

CVAT's "Segmentation mask 1.1" and PASCAL VOC (SegmentationClass, labelmap.txt), CamVid
(<part>annot, label_colors.txt), Cityscapes (*_gtFine_color.png), Roboflow (*_mask.png,
_classes.csv), and folders masks/ beside images/ with a list of classes.
"""
import os
import re
from typing import Callable, List, Optional

import numpy as np

from lib.dataset.formats.colour_files import NAMES, find_colour_file, read_colour_file
from lib.dataset.importers.formats.voc import listed_part, listed_parts
from lib.dataset.importers.grouping import clips_of
from lib.dataset.importers.library import Library
from lib.dataset.importers.masks.model import resized
from lib.dataset.importers.masks.png_files import (IMAGE_ENDINGS, LabelPng, is_beside, label_pngs)
from lib.dataset.importers.masks.png_values import (Meaning, cityscapes_meaning, ids_of, meaning_of,
                                                    voc_meaning)
from lib.dataset.importers.masks.writer import write_masks
from lib.dataset.importers.model import (IMPORTERS, Item, Options, Report, Source,
                                         recognises, scales)
from lib.dataset.importers.paths import part_of
from dff.errors import DataError


# KITTI has the colours of Cityscapes.
_CITYSCAPES = re.compile(r'_color\.png$|semantic_rgb/', re.IGNORECASE)


@IMPORTERS.register('masks')
def read(src: str, options: Options, report: Report) -> Source:
    """Read a data set of label PNGs.

    ImageSets/Segmentation/{train,val,test}.txt, or folders named so, say the parts.

    Args:
        src: a folder with label maps, as label_pngs finds them, each with the image of its name in
            a folder that answers to its own, below it or options.frames. A list of classes in it
            (colour_files.NAMES) says what colours and values mean; without one they are those of
            Cityscapes, or of PASCAL VOC.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        DataError: there is no label map or no list of classes, or none of the images is there.
    """
    labels = label_pngs(src) if os.path.isdir(src) else []
    if not labels:
        raise DataError('%s: expected a folder with label PNGs in SegmentationClass/, '
                        '<part>annot/, masks/, or named <image>_mask.png; JPEG files, whose '
                        'colours are changed, are none' % src)
    meaning = _meaning(src, labels)
    library = Library([src] + ([options.frames] if options.frames else []))
    own = {label.file for label in labels}

    def without(file: str) -> bool:
        return file in own or is_beside(file)
    library.images.without = without
    parts = listed_parts(src, 'Segmentation')
    items = []
    for label in labels:
        path = os.path.join(src, label.file)
        names = (label.name + ending for ending in IMAGE_ENDINGS)
        image = next(filter(None, (library.images.find(name, path) for name in names)), None)
        items.append(Item(label.name, image, _opener(path, meaning, report),
                          listed_part(label.name, parts) or part_of(label.name)))
    if not options.clips:
        for image in sorted(set(library.images.paths()) - {item.path for item in items}):
            report.skip('images: no label map', image)
    colours = {meaning.names[index]: colour for colour, index in meaning.colours.items()
               if index < len(meaning.names)}
    clips = clips_of(items, options, src, report, without)
    return Source(clips, meaning.names, write_masks, colours)


@recognises('masks', 'label PNGs in SegmentationClass/, <part>annot/, masks/ or named '
            '<image>_mask.png, and a list of classes')
def _recognise(src: str) -> Optional[str]:
    labels = label_pngs(src) if os.path.isdir(src) else []
    if not labels:
        return None
    try:
        _meaning(src, labels)
    except DataError:
        return None
    return os.path.join(src, labels[0].file)


def _meaning(src: str, labels: List[LabelPng]) -> Meaning:
    """What the values of the label maps mean. Raises DataError where nothing says it."""
    file = find_colour_file(src)
    if file:
        return meaning_of(read_colour_file(file), file)
    if _CITYSCAPES.search(labels[0].file):
        return cityscapes_meaning()
    if any('segmentationclass' in label.file.lower() for label in labels):
        return voc_meaning()
    raise DataError('%s: nothing says which class the colours or values of its label maps are; put '
                    'a list into it, one of %s' % (src, ', '.join(NAMES)))


def _opener(path: str, meaning: Meaning, report: Report
            ) -> Callable[[int, int], Optional[np.ndarray]]:
    def label_map(height: int, width: int) -> Optional[np.ndarray]:
        try:
            ids = ids_of(path, meaning)
        except DataError as error:
            report.fail('label maps: cannot be used', str(error))
            return None
        factors = scales(ids.shape, (height, width), os.path.basename(path), report, 'label maps')
        return None if factors is None else resized(ids, (height, width))
    return label_map
