"""What the pixels of label maps mean: colours, numbers of a palette, grey values."""
from typing import Dict, List, NamedTuple, Sequence

import cv2
import numpy as np
from PIL import Image

from dff.errors import DataError
from dff.labels import IGNORE_LABEL, default_palette
from lib.dataset.formats.colour_files import Colour, ListedClass
from lib.dataset.formats.seg_labels import open_png
from lib.dataset.importers.masks.model import MOST_CLASSES
from lib.dataset.sets.cityscapes import CLASSES

BOUNDARY = (224, 224, 192)        # of PASCAL VOC: pixels around objects, to ignore
_WRONG = 253                      # in tables: a value of no class
_VOC = '''background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse
    motorbike person pottedplant sheep sofa train tvmonitor'''.split()
# Of Cityscapes, what its benchmark does not count; black is all of what is unlabelled.
_CITYSCAPES_VOID = ((0, 0, 0), (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140),
                    (180, 165, 180), (150, 100, 100), (150, 120, 90), (0, 0, 90), (0, 0, 110))


class Meaning(NamedTuple):
    """The classes of label maps."""

    names: List[str]                       # each once
    colours: Dict[Colour, int]             # place in `names`, or IGNORE_LABEL
    values: Dict[int, int]                 # the same of grey values and palettes without colours
    where: str                             # what lists them, for messages


def meaning_of(listed: Sequence[ListedClass], where: str) -> Meaning:
    """Return the Meaning of a list of classes.

    Grey values are those of the list, or those of its colours if all are grey, or the places in it.

    Args:
        listed: the classes.
        where: the file that lists them.

    Raises:
        DataError: there are too many.
    """
    names = list(dict.fromkeys(entry.name for entry in listed))
    if len(names) > MOST_CLASSES:
        raise DataError('%s lists %d classes; label maps have room for %d'
                        % (where, len(names), MOST_CLASSES))
    colours = {entry.colour: names.index(entry.name) for entry in listed
               if entry.colour is not None}
    if any(entry.value is not None for entry in listed):
        values = {entry.value or 0: names.index(entry.name) for entry in listed}
    elif len(colours) == len(listed) and all(len(set(colour)) == 1 for colour in colours):
        values = {colour[0]: index for colour, index in colours.items()}
    else:
        values = {place: names.index(entry.name) for place, entry in enumerate(listed)}
    colours.setdefault(BOUNDARY, IGNORE_LABEL)
    values.setdefault(IGNORE_LABEL, IGNORE_LABEL)
    return Meaning(names, colours, values, where)


def voc_meaning() -> Meaning:
    """Return that of PASCAL VOC itself, whose data has no list."""
    colours = map(tuple, default_palette(len(_VOC)).tolist())
    return meaning_of([ListedClass(name, colour) for name, colour in zip(_VOC, colours)],
                      'the classes of PASCAL VOC')


def cityscapes_meaning() -> Meaning:
    """Return that of Cityscapes: the classes of its benchmark, and void."""
    listed = []
    for line in CLASSES:
        _, *name, red, green, blue = line.split(' ')
        listed.append(ListedClass(' '.join(name), (int(red), int(green), int(blue))))
    found = meaning_of(listed, 'the classes of Cityscapes')
    found.colours.update(dict.fromkeys(_CITYSCAPES_VOID, IGNORE_LABEL))
    return found


def ids_of(path: str, meaning: Meaning) -> np.ndarray:
    """Return a label map, uint8 [H, W]: places in meaning.names, or IGNORE_LABEL.

    Raises DataError for what is no PNG, or has a colour or value of no class.
    """
    image = open_png(path)
    if image.mode == 'P' and len(meaning.colours) > 1:
        return _of_palette(path, image, meaning)
    if image.mode in ('P', 'L', '1', 'I', 'I;16', 'I;16B'):
        values = np.asarray(image).astype(np.int64)
        table = np.full(257, _WRONG, np.uint8)
        table[list(meaning.values)] = list(meaning.values.values())
        ids = table[np.where((values < 0) | (values > 255), 256, values)]
        _refuse_unknown(path, ids, values[..., None], meaning)
        return ids
    if image.mode not in ('RGB', 'RGBA', 'PA', 'LA'):
        raise DataError('label map %s is of mode %s; expected colours, a palette or grey values'
                        % (path, image.mode))
    pixels = np.asarray(image.convert('RGB')).astype(np.int32)
    codes = pixels @ [65536, 256, 1]
    known = {red << 16 | green << 8 | blue: index
             for (red, green, blue), index in meaning.colours.items()}
    order = np.array(sorted(known))
    places = np.searchsorted(order, codes).clip(max=len(order) - 1)
    ids = np.array([known[code] for code in order.tolist()], np.uint8)[places]
    ids[order[places] != codes] = _WRONG
    _refuse_unknown(path, ids, pixels, meaning)
    return ids


def _of_palette(path: str, image: Image.Image, meaning: Meaning) -> np.ndarray:
    """The ids of an image with a palette, by its colours."""
    flat = (image.getpalette() or [])[:768]
    palette = np.zeros((256, 3), np.int64)
    palette[:len(flat) // 3] = np.array(flat).reshape(-1, 3)
    table = np.array([meaning.colours.get((r, g, b), _WRONG) for r, g, b in palette.tolist()],
                     np.uint8)
    if table[IGNORE_LABEL] == _WRONG:
        table[IGNORE_LABEL] = IGNORE_LABEL
    values = np.asarray(image)
    ids = cv2.LUT(values, table)
    if (ids == _WRONG).any():
        _refuse_unknown(path, ids, palette[values], meaning)
    return ids


def _refuse_unknown(path: str, ids: np.ndarray, pixels: np.ndarray, meaning: Meaning) -> None:
    """DataError where `ids` has _WRONG. pixels: [H, W, 1 or 3]."""
    wrong = np.argwhere(ids == _WRONG)
    if not len(wrong):
        return
    row, column = wrong[0].tolist()
    found = pixels[row, column].tolist()
    raise DataError(
        'label map %s, row %d, column %d: the %s is of no class in %s (%d such pixels); add it '
        'there, as `void` to ignore it%s'
        % (path, row, column, 'colour %d %d %d' % tuple(found) if len(found) == 3 else
           'value %d' % found[0], meaning.where, len(wrong),
           '' if len(wrong) < ids.size // 2 else ', or give the list that belongs to these files'))
