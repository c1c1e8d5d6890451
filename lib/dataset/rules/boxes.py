"""Rules for boxes: single ones that training cannot use as they are, and whole sets in another
form than pixel corners."""

from typing import Callable, List, Sequence, Tuple

import numpy as np

from lib.dataset.formats.annotations import AnnotationTable, Source
from lib.dataset.formats.problems import ReportFunction

FEWEST = 3  # boxes that show a form, and not a slip
IMPOSSIBLE = 0.1  # share of boxes that end before they begin, from which on it is the form
FITTING = 0.98  # share of boxes that must fit into their frames in the form that is named
CORNER = 0.6  # parts of the frames' sides that hold all boxes
CORNER_BOXES, CORNER_FRAMES = 20, 5  # fewer boxes, on fewer frames, may lie there by chance

Place = Callable[[int], Source]  # of image i


def check_boxes(
    table: AnnotationTable, place: Place, names: Sequence[str], report: ReportFunction
) -> None:
    """Look through the boxes of an image set.

    Args:
        table: its annotations.
        place: gives where the annotation of an image is.
        names: of the classes, by index, for messages.
        report: called for each box that is empty, outside, over an edge or thin, each file whose
        boxes are
            fractions, and once for a form that all boxes show.
    """
    owners = np.repeat(np.arange(len(table)), np.diff(table.offsets))
    known = (table.sizes[owners] > 0).all(axis=1)
    rows, owners = np.flatnonzero(known), owners[known]
    boxes, sizes = table.boxes[rows], table.sizes[owners].astype(np.float64)
    if not len(rows):
        return
    fractions = _check_fractions(table, boxes, owners, rows, place, names, report)
    rows, owners, boxes, sizes = (values[~fractions] for values in (rows, owners, boxes, sizes))
    for kind, found in _kinds(boxes, sizes):
        for k in np.flatnonzero(found).tolist():
            source = place(int(owners[k]))
            report(
                kind, source.where, _describe(table, int(rows[k]), int(owners[k]), source, names)
            )
    _check_form(boxes, sizes, owners, place, report)


def _describe(table, row, owner, source, names):
    height, width = table.sizes[owner].tolist()
    return '%s: %s at %g %g %g %g in a frame of %d x %d' % (
        (source.xml, names[table.classes[row]])
        + tuple(table.boxes[row].tolist())
        + (width, height)
    )


def _kinds(boxes: np.ndarray, sizes: np.ndarray) -> List[Tuple[str, np.ndarray]]:
    """(kind, bool [n] which boxes are of it); each box is of one kind at most."""
    x1, y1, x2, y2 = boxes.T
    right, bottom = sizes[:, 1] - 1, sizes[:, 0] - 1
    empty = (x1 > x2) | (y1 > y2)
    outside = ~empty & ((x2 < 0) | (y2 < 0) | (x1 > right) | (y1 > bottom))
    over = ~empty & ~outside & ((x1 < 0) | (y1 < 0) | (x2 > right) | (y2 > bottom))
    # Whole numbers may well be the corners of one pixel; fractions of one come from another form
    # or scale.
    thin = (
        ~empty
        & ~outside
        & ~over
        & (((x2 - x1 < 1) & (x2 % 1 != 0)) | ((y2 - y1 < 1) & (y2 % 1 != 0)))
    )
    return [
        ('box empty', empty),
        ('box outside', outside),
        ('box over the edge', over),
        ('box thin', thin),
    ]


def _check_fractions(table, boxes, owners, rows, place, names, report):
    """Report files whose boxes all lie within 0 to 1; returns bool [n], which boxes are of
    those."""
    inside = ((boxes >= 0) & (boxes <= 1)).all(axis=1)
    broken = (boxes % 1 != 0).any(axis=1)
    count, all_inside, some_broken = (
        np.bincount(owners, values, minlength=len(table))
        for values in (np.ones(len(owners)), inside.astype(float), (inside & broken).astype(float))
    )
    found = (count > 0) & (all_inside == count) & (some_broken > 0) & (table.sizes > 2).all(axis=1)
    own = found[owners]
    first = np.unique(owners[own], return_index=True)
    for owner, k in zip(first[0].tolist(), np.flatnonzero(own)[first[1]].tolist()):
        source = place(owner)
        report(
            'boxes are fractions',
            source.where,
            '%s: all boxes of the file are within 0 to 1. They look like fractions of the '
            'sides; expected pixels: multiply x by the width and y by the height'
            % _describe(table, int(rows[k]), owner, source, names),
        )
    return own


def _check_form(boxes, sizes, owners, place, report):
    """Report what all boxes together show."""
    if len(boxes) < FEWEST:
        return
    where = place(int(owners[0])).where.rpartition(', line ')[0]
    (x1, y1, x2, y2), height, width = boxes.T, sizes[:, 0], sizes[:, 1]
    impossible = (x2 < x1) | (y2 < y1)
    if impossible.sum() >= FEWEST and impossible.mean() >= IMPOSSIBLE:
        for form, xs, ys in (
            ('width and height are given as xmax and ymax', x1 + x2, y1 + y2),
            ('centre, width and height are given as corners', x1 + x2 / 2, y1 + y2 / 2),
        ):
            if ((xs <= width + 1) & (ys <= height + 1)).mean() >= FITTING:
                report(
                    'box form',
                    where,
                    '%d of %d boxes end before they begin, as where %s; expected xmin, ymin, '
                    'xmax, ymax in pixels'
                    % (impossible.sum(), len(boxes), form),
                )
                return
    beyond = np.maximum(x2 - width, y2 - height)
    if min(x1.min(), y1.min()) >= 1 and beyond.max() == 0 and (beyond == 0).sum() >= FEWEST:
        report(
            'boxes from 1',
            where,
            'no box begins at 0, and %d reach exactly one pixel over the right or lower edge: '
            'they seem to be '
            'counted from 1, as in PASCAL VOC; here the first pixel is 0 (tools/import_dataset.py '
            'voc converts)'
            % (beyond == 0).sum(),
        )
    across, down = (x2 / width).max(), (y2 / height).max()
    if (
        max(across, down) <= CORNER
        and len(boxes) >= CORNER_BOXES
        and len(np.unique(owners)) >= CORNER_FRAMES
    ):
        report(
            'boxes in a corner',
            where,
            'all %d boxes are in the upper left of their frames, within %.0f %% of the width and '
            '%.0f %% of '
            'the height: are they of smaller copies of the pictures?'
            % (len(boxes), 100 * across, 100 * down),
        )
