"""What only all image sets together show: what is listed twice, shared by training and test, or
never there."""

import functools
import hashlib
from array import array
from dataclasses import dataclass, field
from typing import Any, Dict, List, Tuple

import numpy as np

from lib.dataset.formats.annotations import Source
from lib.dataset.formats.classes import ClassList
from lib.dataset.formats.problems import ReportFunction
from lib.dataset.rules.names import without_boxes
from lib.dataset.sets.imagenet_vid import ImageNetVID

IMBALANCE = 20  # times as many boxes of one class as of another are worth a note


@dataclass
class CheckedSet:
    """One image set and what its frames hold."""

    dataset: ImageNetVID
    role: str  # 'training' or 'test'
    sizes: Any = field(
        default_factory=lambda: array('i')
    )  # of the pictures, height and width one after the other; 0: unreadable
    prints: Any = field(
        default_factory=lambda: array('q')
    )  # of the pictures, hashes of their ImageHeader.fingerprint
    table: Any = None  # the AnnotationTable
    motion: Any = None  # motion IoU of every box of the table

    @property
    def entries(self):
        """The entries of the image set."""
        return self.dataset.image_set.entries

    def readable(self, i):
        """Return whether the picture of entry i can be read."""
        return self.sizes[2 * i] > 0

    def used(self):
        """Return (bool [m], which boxes of the table training or testing uses; int [m], the entry
        of each)."""
        owners = np.repeat(np.arange(len(self.table)), np.diff(self.table.offsets))
        if self.role == 'test':
            return np.ones(len(owners), bool), owners
        (x1, y1, x2, y2), sizes = self.table.boxes.T, self.table.sizes[owners]
        return (x1 <= x2) & (y1 <= y2) & (x2 >= 0) & (y2 >= 0) & (x1 < sizes[:, 1]) & (
            y1 < sizes[:, 0]
        ), owners


def check_repeated(sets: List[CheckedSet], report: ReportFunction) -> None:
    """Report entries that the lists of one role hold twice. sets: all; report: called for each."""
    for role in ('training', 'test'):
        seen: Dict[str, Dict[str, Tuple[CheckedSet, Any]]] = {}
        for one in sets:
            paths, where = (
                seen.setdefault(one.dataset.image_set.tree, {}),
                one.dataset.image_set.where,
            )
            for entry in one.entries if one.role == role else ():
                first, before = paths.setdefault(entry.path, (one, entry))
                if before is not entry:
                    report(
                        'listed twice',
                        where(entry),
                        '%s is already at %s'
                        % (entry.path, first.dataset.image_set.where(before)),
                    )


def check_shared(sets: List[CheckedSet], report: ReportFunction) -> None:
    """Report clips and equal images that both training and test have. sets: all; report: called
    for each."""
    clips, training = {}, [one for one in sets if one.role == 'training']
    for one in training:
        for entry in one.entries:
            if entry.clip not in clips:
                clips[entry.clip] = one.dataset.image_set.where(entry)
    for one in sets:
        if one.role != 'test':
            continue
        trained, where = _shared_pictures(training, one), one.dataset.image_set.where
        for i, entry in enumerate(one.entries):
            if entry.clip is not None and entry.clip in clips:
                if clips[entry.clip]:
                    report(
                        'clip in training and test',
                        where(entry),
                        'clip %s is trained on: %s' % (entry.clip, clips[entry.clip]),
                    )
                    clips[entry.clip] = ''  # once a clip
            elif one.readable(i) and one.prints[i] in trained:
                path, other = one.dataset.image_path(entry.path), trained[one.prints[i]]
                if _digest(path) == _digest(other.image):
                    report(
                        'frame in training and test',
                        where(entry),
                        '%s is trained on as %s: %s' % (path, other.image, other.where),
                    )


def _shared_pictures(training, test):
    """{fingerprint that pictures of both have: the Source of the first training picture with
    it}."""
    found: Dict[int, Source] = {}
    for one in training:
        for i in np.flatnonzero(
            np.isin(np.array(one.prints, np.int64), np.array(test.prints, np.int64))
        ).tolist():
            if one.readable(i):
                found.setdefault(one.prints[i], one.dataset.source(i))
    return found


@functools.lru_cache(maxsize=100000)
def _digest(path):
    with open(path, 'rb') as stream:
        return hashlib.sha256(stream.read()).digest()


def check_used(
    sets: List[CheckedSet], classes: ClassList, unknown: Dict[str, int], report: ReportFunction
) -> Dict[str, np.ndarray]:
    """Return {role: boxes of each class that are used}; report frames and classes without.

    sets: all. classes: the class list. unknown: names in training annotations that are no class,
    counted.
    """
    counts = {
        role: np.zeros(len(classes), int) for role in dict.fromkeys(one.role for one in sets)
    }
    for one in sets:
        used, owners = one.used()
        counts[one.role] += np.bincount(one.table.classes[used], minlength=len(classes))
        empty = (np.bincount(owners[used], minlength=len(one.table)) == 0) & (
            one.table.sizes[:, 0] > 0
        )
        for i in np.flatnonzero(empty).tolist() if one.role == 'training' else ():
            entry = one.entries[i]
            report(
                'frame without boxes',
                one.dataset.image_set.where(entry),
                '%s has no box of a listed class' % entry.path,
            )
        if len(one.table.boxes) and one.role == 'test' and np.isnan(one.motion).all():
            report(
                'no track ids',
                one.dataset.image_set.file,
                'no object has a track id and a second box nearby',
            )
    for role, kind in (
        ('training', 'class without training boxes'),
        ('test', 'class without test boxes'),
    ):
        for text in without_boxes(counts[role], unknown, classes) if role in counts else ():
            report(kind, '', text)
    trained = counts['training'][1:] if 'training' in counts else np.empty(0)
    if 'training' in counts and not trained.any():
        report('nothing to train on', '', 'no training frame has a usable box of a listed class')
    elif len(trained) and trained.max() >= IMBALANCE * trained[trained > 0].min():
        names = classes.names
        report(
            'label balance',
            '',
            'training has %d boxes of %s, %d of %s'
            % (
                trained.max(),
                names[1 + trained.argmax()],
                trained[trained > 0].min(),
                names[1 + np.where(trained > 0, trained, trained.max() + 1).argmin()],
            ),
        )
    return counts
