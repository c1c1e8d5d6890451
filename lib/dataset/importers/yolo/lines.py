"""Lines of YOLO's text files: boxes, with what trackers add; key points; outlines; oriented
boxes.
"""
import collections
import math
import re
from typing import Counter, Iterable, List, Optional, Sequence, Tuple

from lib.dataset.importers.model import Report, number, whole
from lib.dataset.importers.paths import read_text

Edges = Tuple[float, float, float, float]

_WHOLE = re.compile(r'[+-]?\d{1,18}')
_BOX = 5                 # columns of class, centre and sides
_CORNERS = 9             # of class and four corners
_PAST = 1.001            # a coordinate may be that large by rounding
_PIXELS = 2.0            # parts of the sides are never that large


class Unreadable(Exception):
    """A line that is none of the forms."""


class LineReader:
    """Reads lines in the form that all of a data set's files have in common.

    The same number of columns may mean several things: `0 .5 .5 .1 .2 .9 1` is a box with
    confidence and track, or an outline of three corners.
    """

    def __init__(self, files: Iterable[str], classes: int, key_points: int, report: Report) -> None:
        """Look through the files.

        Args:
            files: all text files.
            classes: how many there are; lines of other classes do not count.
            key_points: numbers of the key points of a line as data.yaml states them; 0: not stated.
            report: where to note what was told from the numbers alone, and count what becomes a
                box.
        """
        self._report, self._key_points = report, key_points
        self._columns: Counter[int] = collections.Counter()
        # By number of columns, whether every line has a whole number in the last, and in the last
        # but one.
        self._last_whole: Counter[int] = collections.Counter()
        self._before_whole: Counter[int] = collections.Counter()
        self._above_one: Counter[int] = collections.Counter()
        self._poses: Counter[int] = collections.Counter()
        for file in files:
            for line in read_text(file):
                values = line.split()
                index = whole(values[0]) if values else None
                if index is not None and 0 <= index < classes:
                    self._count(values)
        # Lines of outlines differ in length.
        self._oriented = set(self._columns) == {_CORNERS}
        if self._tracked(_BOX + 1):
            report.assume(
                'the sixth column of the text files is a track id: it holds whole numbers only')
        if self._tracked(_BOX + 2):
            report.assume(
                'the sixth and seventh columns of the text files are a confidence and a track id')

    def _count(self, values: Sequence[str]) -> None:
        columns = len(values)
        self._columns[columns] += 1
        self._last_whole[columns] += _WHOLE.fullmatch(values[-1]) is not None
        self._before_whole[columns] += _WHOLE.fullmatch((['', *values])[-2]) is not None
        numbers = [number(value) for value in values[1:]]
        self._above_one[columns] += any(value > _PAST for value in numbers)
        rest = numbers[4:]
        self._poses[columns] += (len(rest) > 0 and len(rest) % 3 == 0
                                 and all(value in (0, 1, 2) for value in rest[2::3]))

    def _all(self, counter: Counter[int], columns: int) -> bool:
        return 0 < self._columns[columns] == counter[columns]

    def _tracked(self, columns: int) -> bool:
        """Whether the last column holds track ids, in lines of a box and one or two columns
        more.
        """
        if not self._all(self._last_whole, columns):
            return False
        # A triangle among longer outlines is one of them.
        return columns == _BOX + 1 or (not self._all(self._before_whole, columns)
                                       and max(self._columns) <= columns)

    def _posed(self, columns: int) -> bool:
        """Whether lines hold key points behind the box."""
        if self._key_points:
            return columns - _BOX - self._key_points in (0, 1, 2)
        return bool(self._above_one[columns]) and self._all(self._poses, columns)

    def read(self, values: Sequence[str], place: str) -> Tuple[Edges, Optional[int]]:
        """Return (left, top, right, bottom) in parts of the image's sides, and the track or None.

        Args:
            values: the words of a line.
            place: where it is.

        Raises:
            Unreadable: with the reason.
        """
        columns = len(values)
        numbers = [number(value) for value in values[1:]]
        if columns == _BOX or self._posed(columns):
            return _edges(numbers[:4]), None
        if columns == _BOX + 1 or (columns == _BOX + 2 and self._tracked(columns)):
            return _edges(numbers[:4]), whole(values[-1]) if self._tracked(columns) else None
        # Oriented boxes too may have a confidence, and a track, behind their corners.
        extra = 1 if columns == _CORNERS + 1 else 0
        if columns == _CORNERS + 2 and self._tracked(columns) and set(self._columns) == {columns}:
            extra = 2
        corners = numbers[:len(numbers) - extra]
        if len(corners) < 6 or len(corners) % 2:
            raise Unreadable('the line is not `class x_centre y_centre width height`')
        if any(value > _PAST or value < 1 - _PAST for value in corners):
            raise Unreadable('the line is no outline, a coordinate is not within 0 and 1')
        oriented = extra or self._oriented
        self._report.change('oriented boxes became the upright boxes around them' if oriented
                            else 'outlines became the boxes around them', place)
        track = whole(values[-1]) if extra == 2 else None
        if any(math.isnan(value) for value in corners):       # min and max would pass some over
            return (math.nan,) * 4, None                      # type: ignore[return-value]
        return (min(corners[::2]), min(corners[1::2]), max(corners[::2]), max(corners[1::2])), track


def _edges(values: List[float]) -> Edges:
    """Left, top, right and bottom of `x_centre y_centre width height`. Raises Unreadable."""
    x, y, width, height = values
    if any(math.isfinite(value) and value > _PIXELS for value in values):
        raise Unreadable(
            'coordinates above 1: these are pixels, expected parts of the image\'s sides')
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
