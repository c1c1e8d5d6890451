"""What can be wrong with a data set, by kind.

Readers take a `report(kind, where, text)` function. Training and testing pass `refuse`, which
raises at the first problem; lib/dataset/check/check.py passes one that collects them all.
"""
from typing import Any, Callable, Dict, NamedTuple, NoReturn, Tuple

from dff.errors import DataError

ReportFunction = Callable[[str, str, str], Any]      # report(kind, where, text)

LEVELS = ('error', 'warning', 'note')
_REFUSED = 'training and testing with this list refuse to start'
_ANNOTATION = 'training refuses to start; testing stops after the last frame, before AP is computed'
_LEAKED = 'testing goes on; its figures are better than the network is'

# kind: (level, what training and testing do about it)
KINDS: Dict[str, Tuple[str, str]] = {
    'class count': ('error', 'training and testing refuse to start'),
    'image set': ('error', _REFUSED),
    'list syntax': ('error', _REFUSED),
    'frame number twice': ('error', _REFUSED),
    'image missing': ('error', 'training refuses to start; testing stops at this frame'),
    'image unreadable': ('error', 'training and testing stop when they come to this frame'),
    'image truncated': ('error', 'training and testing stop when they come to this frame (an older OpenCV fills it up '
                                 'with grey)'),
    'annotation missing': ('error', _ANNOTATION),
    'annotation invalid': ('error', _ANNOTATION),
    'wrong size': ('error', 'training stops when it comes to this frame; testing goes on, boxes and frames may not '
                            'fit'),
    'frame sizes differ': ('error', 'training stops when it pairs two such frames; testing makes a key frame at each '
                                    'change'),
    'reference frame missing': ('error', 'training stops when it draws this frame as a reference frame'),
    'clip length': ('warning', 'frames beyond clip_length are never used; missing ones are errors where they are '
                               'needed'),
    'frame name': ('warning', 'files that are not named by six digits and .JPEG are never used'),
    'annotation without frame': ('warning', 'never used'),
    'listed twice': ('warning', 'counts double'),
    'box empty': ('warning', 'training drops the box; testing counts it as an object that is never found'),
    'box outside': ('warning', 'training drops the box; testing counts it as an object that is never found'),
    'box over the edge': ('warning', 'training clips the box to the frame; testing takes it as it is'),
    'unknown class': ('warning', 'the object is skipped, as if it were background'),
    'track id twice': ('warning', 'AP by speed takes the first box'),
    'clip in training and test': ('warning', _LEAKED),
    'frame in training and test': ('warning', _LEAKED),
    'class without training boxes': ('warning', 'never learned'),
    'nothing to train on': ('error', 'training refuses to start'),
    'class without test boxes': ('note', 'left out of the mean AP, or counted as 0 where it is never detected'),
    'label balance': ('note', 'rare classes are learned late or not at all'),
    'frame without boxes': ('note', 'training leaves it out; testing counts every detection in it as false'),
    'no track ids': ('note', 'no AP by speed'),
}


class Problem(NamedTuple):
    """One problem."""

    kind: str     # of KINDS
    where: str    # `file, line n`, or ''
    text: str

    def __str__(self) -> str:
        return '%s: %s' % (self.where, self.text) if self.where else self.text


def refuse(kind: str, where: str, text: str) -> NoReturn:
    """Raise a problem as a DataError. kind, where, text: as of Problem."""
    raise DataError(str(Problem(kind, where, text)))
