"""Which PNG files of a data set are label maps, and of which images."""
import os
import re
from typing import Dict, FrozenSet, List, NamedTuple, Optional

from lib.dataset.importers.media import IMAGE_SUFFIXES
from lib.dataset.importers.paths import files_below, same_letters

# Folders that hold label maps and nothing else, after whose they are: trainannot is of train.
_FOLDER = re.compile(r'(?:(.*?)[-_ ]?)'
                     r'(?:segmentationclass(?:png|aug|raw)?|masks?|annot|gtfine|gtcoarse)',
                     re.IGNORECASE)
# Folders that may hold them, if the images of the same names are elsewhere.
_MAYBE = re.compile(r'(?:(.*?)[-_ ]?)(?:labels?|annotations?|ann_dir|gt|ground[-_ ]?truth)',
                    re.IGNORECASE)
_ENDING = re.compile(r'(?:_gt(?:fine|coarse)_color|[-_]mask)$', re.IGNORECASE)
_MAYBE_ENDING = re.compile(r'_(?:l|color|labels?|seg|gt)$', re.IGNORECASE)
# Objects apart, or numbers of other lists: beside label maps, neither these nor images.
_OTHER = re.compile(r'(?:^|/)(?:segmentationobject(?:png)?|segmentationclassvisualization|'
                    r'training/semantic|training/instance)/|'
                    r'_(?:instanceids|instancetrainids|labelids|labeltrainids|trainids)\.png$',
                    re.IGNORECASE)
KITTI, KITTI_IMAGES = 'semantic_rgb', 'image_2'
# What Cityscapes adds to the names of images.
IMAGE_ENDINGS = ('', '_leftImg8bit')


class LabelPng(NamedTuple):
    """A label map."""

    file: str          # below the data set
    name: str          # path without extension of the image that it is of


def label_pngs(src: str) -> List[LabelPng]:
    """Return the label maps below the folder `src`, in order.

    They lie in folders such as SegmentationClass, trainannot or masks, or their names end in _mask
    or _gtFine_color; in folders such as labels, or with an ending such as _L, where an image has
    the rest of the path's last part for its name.
    """
    files = [file for file in files_below(src, IMAGE_SUFFIXES) if not _OTHER.search(file)]
    images: Dict[str, FrozenSet[str]] = {}
    for file in files:
        key = same_letters(os.path.splitext(os.path.basename(file))[0])
        for ending in IMAGE_ENDINGS:
            if key.endswith(ending.lower()):
                bare = key[:len(key) - len(ending)]
                images[bare] = images.get(bare, frozenset()) | {file}
    found = (_label_png(file, images) for file in files if file.lower().endswith('.png'))
    return [label for label in found if label]


def is_beside(file: str) -> bool:
    """Return whether a file is of a kind that lies beside label maps: neither one nor an image."""
    return bool(_OTHER.search(file))


def _label_png(file: str, images: Dict[str, FrozenSet[str]]) -> Optional[LabelPng]:
    *folders, own = file.split('/')
    if KITTI in folders:
        return LabelPng(file, file[:-len('.png')].replace(KITTI, KITTI_IMAGES))
    stem = os.path.splitext(own)[0]
    sure = [_FOLDER.fullmatch(folder) for folder in folders]
    maybe = [match or _MAYBE.fullmatch(folder) for match, folder in zip(sure, folders)]
    ended, perhaps = _ENDING.search(stem), _MAYBE_ENDING.search(stem)
    ending = ended or perhaps
    bare = stem[:ending.start()] if ending else stem
    if perhaps and not ended and not images.get(same_letters(bare), frozenset()) - {file}:
        bare = stem                     # it is how the image is called
    if not ended and not any(sure):
        others = images.get(same_letters(bare), frozenset()) - {file}
        if not others or bare == stem and not any(maybe):
            return None
    whose = [folder if match is None else match.group(1) or ''
             for match, folder in zip(maybe, folders)]
    return LabelPng(file, '/'.join([folder for folder in whose if folder] + [bare]))
