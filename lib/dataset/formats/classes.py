"""Class lists: ids as annotations name them, names as people read them."""
import os
import re
from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Optional, Sequence, Tuple, Type, Union

from easydict import EasyDict

from lib.utils.paths import resolve
from dff.errors import ClassCountError, ConfigError, DataError, DFFError

BACKGROUND = '__background__'

ClassSetting = Union[str, Sequence[str]]       # of dataset.CLASSES: the path of a text file, or its lines

# The 30 classes of ImageNet VID, in the order of the original's class indices.
IMAGENET_VID = """
n02691156 airplane
n02419796 antelope
n02131653 bear
n02834778 bicycle
n01503061 bird
n02924116 bus
n02958343 car
n02402425 cattle
n02084071 dog
n02121808 domestic_cat
n02503517 elephant
n02118333 fox
n02510455 giant_panda
n02342885 hamster
n02374451 horse
n02129165 lion
n01674464 lizard
n02484322 monkey
n03790512 motorcycle
n02324045 rabbit
n02509815 red_panda
n02411705 sheep
n01726692 snake
n02355227 squirrel
n02129604 tiger
n04468005 train
n01662784 turtle
n04530566 watercraft
n02062744 whale
n02391049 zebra
""".split('\n')[1:-1]


@dataclass
class ClassList:
    """Class names and ids; index 0 of both is the background."""

    names: List[str]
    ids: List[str]
    # What else annotations may call a class whose line holds blanks, unless they have its id as
    # well: {name: class index}.
    others: Dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)


def load_classes(setting: Optional[ClassSetting] = None) -> ClassList:
    """Return the ClassList of a `dataset.CLASSES` setting: None (ImageNet VID), a list, or the
    path of a file.

    A list item or line is `id name` (the id is what <name> holds in the annotations), or a name
    that is its own id and may hold blanks: is_id says which. Relative paths start at the
    repository root. Raises DataError for a missing
    or malformed file, ConfigError for a malformed list.
    """
    if setting is None:
        return _parse(enumerate(IMAGENET_VID, 1), 'ImageNet VID', DataError)
    return _parse(*class_lines(setting, 'id name'))


def class_lines(setting: ClassSetting,
                form: str) -> Tuple[List[Tuple[int, str]], str, Type[DFFError]]:
    """Return ([(line number, text)], where they stand, class of error to raise about them) of a
    class list.

    setting: a list of lines, or the path of a text file. form: of a line, for messages. Raises
    DataError for a file that is missing or no text.
    """
    if not isinstance(setting, str):
        return [(i, str(item)) for i, item in enumerate(setting, 1)], 'dataset.CLASSES', ConfigError
    path = resolve(setting)
    if not os.path.isfile(path):
        raise DataError('class list %s does not exist; expected a text file of `%s` lines' % (path, form))
    try:
        with open(path, encoding='utf-8-sig') as stream:
            return list(enumerate(stream, 1)), path, DataError
    except (OSError, UnicodeDecodeError) as error:
        raise DataError('class list %s cannot be read as UTF-8 text: %s' % (path, error)) from None


def classes_from_config(cfg: EasyDict, default: Optional[ClassSetting] = None) -> ClassList:
    """Return the ClassList of `cfg.dataset`.

    default: `id name` lines for where dataset.CLASSES is unset; None for ImageNet VID. Raises
    ClassCountError unless dataset.NUM_CLASSES is the list's length; ConfigError, DataError as
    load_classes.
    """
    setting = default if cfg.dataset.CLASSES is None else cfg.dataset.CLASSES
    classes = load_classes(setting)
    if cfg.dataset.NUM_CLASSES != len(classes):
        own = cfg.dataset.CLASSES
        source = own if isinstance(own, str) else 'dataset.CLASSES'
        if own is None:
            source = 'the default of %s' % cfg.dataset.dataset
        raise ClassCountError(
            'dataset.NUM_CLASSES is %d, but the class list (%s) has %d classes, which make %d with the background; '
            'set dataset.NUM_CLASSES to %d or correct dataset.CLASSES'
            % (cfg.dataset.NUM_CLASSES, source, len(classes) - 1, len(classes), len(classes)), len(classes))
    return classes


def is_id(word: str, rest: str) -> bool:
    """Return whether `word`, before `rest` in a line of a class list, is an id and not the first
    word of a name.

    Ids hold a digit or an underscore, as n02691156 and traffic_light, or are a single letter.
    """
    return len(word) == 1 or re.search(r'[\d_]', word) is not None and word != rest


def _parse(lines: Iterable[Tuple[int, str]], source: str, error: Type[DFFError]) -> ClassList:
    entries = [(number, ' '.join(text.split())) for number, text in lines]
    parts = [(number, text, *text.partition(' ')[::2]) for number, text in entries if text]
    # In order; a list would be searched for each line.
    names, ids = {BACKGROUND: None}, {BACKGROUND: None}
    for number, text, word, rest in parts:
        identifier, name = (word, rest) if rest and is_id(word, rest) else (text, text)
        if identifier in ids or name in names:
            raise error("%s, line %d: the class '%s' is listed twice" % (source, number, text[:200]))
        ids[identifier] = names[name] = None
    if len(names) == 1:
        raise error('%s holds no class; expected `id name` lines' % source)
    return ClassList(list(names), list(ids), _other_names([part[1:] for part in parts], list(ids)))


def _other_names(parts: List[Tuple[str, str, str]], ids: List[str]) -> Dict[str, int]:
    """{what a line could mean besides its id: class index}: its first word; of `id name` the
    name, and all of it.

    parts: (line, first word, rest) of each class. What two lines could mean, or what is an id, is
    left out.
    """
    found: Dict[str, List[int]] = {}
    known = set(ids)
    for index, (text, word, rest) in enumerate(parts, 1):
        if rest:
            for name in [word] if ids[index] == text else [text, rest]:
                found.setdefault(name, []).append(index)
    return {
        name: indices[0]
        for name, indices in found.items()
        if len(indices) == 1 and name not in known
    }
