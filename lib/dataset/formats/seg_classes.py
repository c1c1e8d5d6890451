"""Class lists of segmentation: the name and colour of each id of a label map.

There is no background but what a list names.
"""
import re
from dataclasses import dataclass
from typing import List

import numpy as np
from easydict import EasyDict

from lib.dataset.formats.classes import ClassSetting, class_lines
from dff.labels import default_palette
from dff.errors import ConfigError, shown

FORM = 'name [red green blue]'
MAX_CLASSES = 254              # ids are bytes; 255 means ignore, 254 stands for a wrong id
_LINE = re.compile(r'(\S.*?)(?:\s+(\d+)\s+(\d+)\s+(\d+))?\s*')


@dataclass
class SegClassList:
    """Classes in the order of their ids, from 0."""

    names: List[str]
    palette: np.ndarray        # uint8 [n, 3], RGB

    def __len__(self) -> int:
        return len(self.names)


def load_seg_classes(setting: ClassSetting) -> SegClassList:
    """Return the SegClassList of a list of `name [red green blue]` items, or of the path of a file
    of such lines.

    Line n is the class of id n - 1; blank lines do not count. Classes without a colour get one.
    Relative paths start at the repository root. Raises DataError for a missing or malformed file,
    ConfigError for a malformed list.
    """
    lines, source, error = class_lines(setting, FORM)
    names: List[str] = []
    taken = set()
    colours = []
    for number, text in lines:
        if not text.strip():
            continue
        match = _LINE.fullmatch(text.strip())
        if match is None:      # a list item of several lines
            raise error('%s, line %d: expected `%s`, found %s' % (source, number, FORM, shown(text)))
        name, *colour = match.groups()
        if name in taken:
            raise error("%s, line %d: the class '%s' is listed twice" % (source, number, name))
        if colour[0] is not None and any(len(value) > 9 or int(value) > 255 for value in colour):
            raise error('%s, line %d: red, green and blue are 0 to 255; found %s'
                        % (source, number, shown(text.strip())))
        names.append(name)
        taken.add(name)
        colours.append(None if colour[0] is None else [int(value) for value in colour])
    if not 2 <= len(names) <= MAX_CLASSES:
        raise error('%s holds %d classes; expected 2 to %d `%s` lines, in the order of the ids'
                    % (source, len(names), MAX_CLASSES, FORM))
    palette = default_palette(len(names))
    for index, own in enumerate(colours):
        if own is not None:
            palette[index] = own
    return SegClassList(names, palette)


def seg_classes_from_config(cfg: EasyDict, default: ClassSetting) -> SegClassList:
    """Return the SegClassList of `cfg.dataset`.

    default: what stands for dataset.CLASSES where that is unset, a list or a file. Raises
    ConfigError unless dataset.NUM_CLASSES is the list's length; ConfigError, DataError as
    load_seg_classes.
    """
    own = cfg.dataset.CLASSES
    setting = default if own is None else own
    classes = load_seg_classes(setting)
    if cfg.dataset.NUM_CLASSES != len(classes):
        source = 'the default of %s' % cfg.dataset.dataset if own is None else 'dataset.CLASSES'
        if isinstance(setting, str):
            source = setting
        raise ConfigError('dataset.NUM_CLASSES is %d, but the class list (%s) has %d classes; set '
                          'dataset.NUM_CLASSES to %d or correct dataset.CLASSES'
                          % (cfg.dataset.NUM_CLASSES, source, len(classes), len(classes)))
    return classes
