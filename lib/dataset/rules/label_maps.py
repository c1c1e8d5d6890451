"""Rules for label maps: which classes they hold, and what shows that their numbers are no class
ids."""

import time
from typing import Any, Callable, List, Sequence

import numpy as np

from lib.dataset.formats.problems import ReportFunction
from lib.dataset.formats.seg_records import SegRecord
from dff.errors import DataError
from dff.labels import IGNORE_LABEL

FEWEST, SECONDS = (
    20,
    8.0,
)  # before a run: label maps to look at, and how long to go on until every class was seen
IMBALANCE = 1000  # times as many pixels of one class as of another are worth a note
# What the loader passes over with TRAIN.SKIP_BAD_IMAGES.
OF_LABELS = ('label invalid', 'label size')


class LabelCounts:
    """What label maps hold, summed up.

    Attributes: pixels, int64 [classes]; ignored, pixels; maps, how many were added; empty, how
    many of them have no pixel
    of a class.
    """

    def __init__(self, num_classes: int) -> None:
        """num_classes: at most 254."""
        self.pixels, self.ignored, self.maps, self.empty = np.zeros(num_classes, np.int64), 0, 0, 0

    def add(self, counts: np.ndarray) -> bool:
        """Add a label map by its pixels of each value, int [256]; return whether it has a pixel
        of a class."""
        self.pixels += counts[: len(self.pixels)]
        self.ignored += int(counts[IGNORE_LABEL])
        self.maps += 1
        useful = bool(counts[: len(self.pixels)].any())
        self.empty += not useful
        return useful


def values_of(label: np.ndarray) -> np.ndarray:
    """Return the pixels of each value of a label map, int64 [256]."""
    return np.bincount(label.ravel(), minlength=256)


def label_kind(error: DataError) -> str:
    """Return the kind of problem, of KINDS, that reading a label map met."""
    return 'label size' if 'both must be of one size' in str(error) else 'label invalid'


def check_before_run(
    read_label: Callable[[SegRecord], np.ndarray],
    records: Sequence[SegRecord],
    names: Sequence[str],
    role: str,
    image_set: str,
    report: ReportFunction,
) -> None:
    """Look at label maps, spread over an image set, until every class was seen, but at least
    FEWEST and at most SECONDS long.

    Args:
        read_label: of the data set.
        records: its labelled frames.
        names: of the classes.
        role: 'training' or 'test'.
        image_set: its name, for messages.
        report: called for each problem.
    """
    counts, started = LabelCounts(len(names)), time.monotonic()
    for looked, record in enumerate(spread(records), 1):
        try:
            label = read_label(record)
        except DataError as error:
            report(label_kind(error), '', str(error))
            continue
        if not counts.add(values_of(label)):
            report(
                'label of nothing',
                '',
                'all pixels of %s are ignored (%d)' % (record.label, IGNORE_LABEL),
            )
        if looked >= FEWEST and (counts.pixels.all() or time.monotonic() - started > SECONDS):
            break
    conclude(counts, len(records), names, role, image_set, report)


def spread(items: Sequence[Any]) -> List[Any]:
    """Return `items` in an order whose beginning is spread over all of them: every 64th, then
    what is left of every 32nd, ..."""
    order = dict.fromkeys(place for step in (64, 16, 4, 1) for place in range(0, len(items), step))
    return [items[place] for place in order]


def conclude(
    counts: LabelCounts,
    records: int,
    names: Sequence[str],
    role: str,
    image_set: str,
    report: ReportFunction,
) -> None:
    """Say what the label maps of an image set show together.

    Args:
        counts: of those that were looked at.
        records: how many there are.
        names: of the classes.
        role: 'training' or 'test'.
        image_set: its name, for messages.
        report: called for each problem.
    """
    if not counts.maps:
        return
    looked = (
        'all %d label maps' % records
        if counts.maps == records
        else '%d of %d label maps' % (counts.maps, records)
    )
    present, place = np.flatnonzero(counts.pixels), "image set '%s': " % image_set
    if not len(present):
        report(
            'nothing to learn',
            '',
            place
            + 'no pixel of its labels has a class, all are ignored (%d) in %s'
            % (IGNORE_LABEL, looked),
        )
    elif present.tolist() == [0] and counts.ignored and len(names) > 1:
        report(
            '0/255 masks',
            '',
            place
            + "%s hold only 0 and %d. %d means pixels to ignore, so that class '%s' never occurs; where it "
            'means a class, `python tools/labels_to_ids.py IN OUT --values 0 255` writes the '
            'ids 0 and 1 instead'
            % (looked, IGNORE_LABEL, IGNORE_LABEL, names[1]),
        )
    else:
        _check_balance(counts.pixels, looked, names, role, place, report)


def _check_balance(pixels, looked, names, role, place, report):
    """Report classes that never occur, and such a difference in pixels that one is hardly learned."""
    for c in np.flatnonzero(pixels == 0).tolist():
        report(
            'class never labelled',
            '',
            place
            + "class '%s' (id %d) occurs in none of %s" % (names[c], c, looked.replace('all ', 'the ')),
        )
    present = np.flatnonzero(pixels)
    least, most = present[pixels[present].argmin()], present[pixels[present].argmax()]
    if pixels[most] >= IMBALANCE * pixels[least] and role == 'training':
        found = (pixels[most], names[most], pixels[least], names[least])
        report('pixel balance', '', place + '%d pixels of %s, %d of %s' % found)
