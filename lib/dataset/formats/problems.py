"""What can be wrong with a data set, by kind.

Readers and rules take a `report(kind, where, text)` function. Training and testing pass that of
RunProblems, which raises at the first error and counts the rest; lib/dataset/check passes that of
Problems, which collects them all.
"""
import collections
import logging
from typing import Any, Callable, Collection, Counter, Dict, List, NamedTuple, NoReturn, Tuple

from dff.errors import DataError

ReportFunction = Callable[[str, str, str], Any]      # report(kind, where, text)

LEVELS = ('error', 'warning', 'note')
_REFUSED = 'training and testing with this list refuse to start'
_START = 'training and testing refuse to start'
_PICTURE = 'training and testing stop when they come to this frame'
_LEAKED = 'testing continues; its figures are better than the network is'

# kind: (level, what training and testing do about it). First of detection, then of segmentation.
KINDS: Dict[str, Tuple[str, str]] = {
    'class count': ('error', _START),
    'image set': ('error', _REFUSED),
    'list syntax': ('error', _REFUSED),
    'frame number twice': ('error', _REFUSED),
    'image missing': ('error', _START),
    'image unreadable': ('error', _PICTURE),
    'image truncated': ('error', _PICTURE + ' (an older OpenCV fills it up with grey)'),
    'image shape': ('error', _PICTURE),
    'annotation missing': ('error', _START + '; `--set TEST.DETECT_ONLY=true` tests without them'),
    'annotation invalid': ('error', _START),
    'wrong size': ('error', _PICTURE + ', or refuse to start'),
    'frame sizes differ': (
        'error',
        'training stops when it pairs two such frames; testing makes a key frame at each change',
    ),
    'reference frame missing': (
        'error',
        'training stops when it draws this frame as a reference frame',
    ),
    'boxes are fractions': ('error', _START),
    'box form': ('error', _START),
    'class name': ('error', _START),
    'image damaged': (
        'warning',
        'training and testing take it as it decodes, parts of it grey or shifted',
    ),
    'image turned': (
        'warning',
        'training and testing take the picture as it is stored, not as viewers show it',
    ),
    'clip length': (
        'warning',
        'frames beyond clip_length are never used; missing ones are errors where they are needed',
    ),
    'frame name': ('warning', 'files that are not named by six digits and .JPEG are never used'),
    'annotation without frame': ('warning', 'never used'),
    'listed twice': ('warning', 'counts double'),
    'box empty': (
        'warning',
        'training drops the box; testing counts it as an object that is never found',
    ),
    'box outside': (
        'warning',
        'training drops the box; testing counts it as an object that is never found',
    ),
    'box over the edge': (
        'warning',
        'training clips the box to the frame; testing takes it as it is',
    ),
    'box thin': ('warning', 'taken as a box one pixel wide or high'),
    'boxes from 1': ('warning', 'used unchanged, a pixel off'),
    'boxes in a corner': ('warning', 'taken as they are'),
    'unknown class': ('warning', 'the object is skipped, as if it were background'),
    'other name': ('warning', 'taken for the class'),
    'track id twice': ('warning', 'AP by speed takes the first box'),
    'clip in training and test': ('warning', _LEAKED),
    'frame in training and test': ('warning', _LEAKED),
    'class without training boxes': ('warning', 'never learned'),
    'nothing to train on': ('error', 'training refuses to start'),
    'class without test boxes': (
        'note',
        'left out of the mean AP, or counted as 0 where it is never detected',
    ),
    'label balance': ('note', 'rare classes are learned late or not at all'),
    'frame without boxes': (
        'note',
        'training leaves it out; testing counts every detection in it as false',
    ),
    'no track ids': ('note', 'no AP by speed'),
    'frame without label': ('error', _START),
    'label without frame': ('error', _START),
    'label form': ('error', _START),
    'frames missing': ('error', _START),
    'label invalid': ('error', _PICTURE),
    'label size': ('error', _PICTURE),
    '0/255 masks': ('error', _START),
    'nothing to learn': ('error', _START),
    'clip sizes differ': (
        'error',
        'training stops when it pairs two such frames; testing stops there',
    ),
    'label of nothing': ('warning', 'the frame adds nothing: all of its pixels are ignored'),
    'class never labelled': (
        'warning',
        'never learned; in tests no figure, or 0 where it is predicted',
    ),
    'unlabelled frames': ('note', 'training uses them as reference frames, testing as key frames'),
    'pixel balance': ('note', 'rare classes are learned late or not at all'),
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


class Problems:
    """Collects problems: all are counted, the first `limit` of each kind are kept (0: all)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.counts: Counter[str] = collections.Counter()
        self.kept: Dict[str, List[Problem]] = collections.defaultdict(list)

    def report(self, kind: str, where: str, text: str) -> None:
        """Add one problem; the `report` of readers and rules. kind, where, text: as of Problem."""
        self.counts[kind] += 1
        if not self.limit or len(self.kept[kind]) < self.limit:
            self.kept[kind].append(Problem(kind, where, text))

    def level(self, level: str) -> Dict[str, int]:
        """Return {kind: count} of the problems of one level, in the order of KINDS."""
        return {
            kind: self.counts[kind]
            for kind in KINDS
            if KINDS[kind][0] == level and self.counts[kind]
        }

    @property
    def clean(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return not self.level('error') and not self.level('warning')


class RunProblems(Problems):
    """Problems before a run: the first error is raised, warnings are counted for one line.

    Args:
        name: of the image set, for the line.
        left: kinds that are no error here, because the loader passes such images over.
    """

    def __init__(self, name: str, left: Collection[str] = ()) -> None:
        super().__init__(1)
        self.name, self.left = name, left

    def report(self, kind: str, where: str, text: str) -> None:
        """See Problems. Raises DataError for an error that is not of the kinds `left`."""
        if KINDS[kind][0] == 'error' and kind not in self.left:
            refuse(kind, where, text)
        super().report(kind, where, text)

    def log(self, logger: logging.Logger, reported: Collection[str] = ()) -> None:
        """Log what is suspicious in one line, the first of each kind with it.

        logger: where; reported: kinds that another line tells of.
        """
        kinds = [
            kind
            for kind in KINDS
            if self.counts[kind] and KINDS[kind][0] != 'note' and kind not in reported
        ]
        if kinds:
            logger.warning(
                '%s: suspicious: %s. `python tools/check_dataset.py --cfg FILE` lists all',
                self.name,
                '; '.join(
                    '%s%s (%s)'
                    % (
                        kind,
                        '' if self.counts[kind] == 1 else ', %d times' % self.counts[kind],
                        self.kept[kind][0],
                    )
                    for kind in kinds
                ),
            )
