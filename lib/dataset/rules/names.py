"""Rules for class names: what annotations call by a name that the class list has not."""

import difflib
import re
from typing import Dict, List, Sequence

import numpy as np

from lib.dataset.formats.classes import ClassList
from lib.dataset.formats.problems import ReportFunction

NEAR = 0.7  # difflib's ratio, from which on a name is worth mentioning


def plain(name: str) -> str:
    """Return a name without what people write differently: case, blanks, underscores, hyphens,
    dots."""
    return re.sub(r'[\s_.-]+', '', name).casefold()


def nearest(name: str, candidates: Sequence[str]) -> str:
    """Return the one of `candidates` that `name` most likely means; '' where none is near."""
    same = [other for other in candidates if plain(other) == plain(name)]
    forms = {plain(other): other for other in candidates}
    digits = re.sub(r'\D', '', name)
    # Names that differ in their numbers, as ids do, mean different things.
    numbered = [form for form in forms if re.sub(r'\D', '', form) == digits]
    found = same[:1] or [
        forms[form] for form in difflib.get_close_matches(plain(name), numbered, 1, NEAR)
    ]
    return found[0] if found else ''


def check_names(
    unknown: Dict[str, int],
    others: Dict[str, int],
    classes: ClassList,
    where: str,
    report: ReportFunction,
) -> None:
    """Look through the names that the annotations of an image set hold.

    Args:
        unknown: names that are no class, and how many objects have each.
        others: names that are taken for a class although they are not its id, as of
        AnnotationTable.other_names.
        classes: the class list.
        where: the image set, for messages.
        report: called for each name that differs from a class's only in how it is written, and
        for each of `others`.
    """
    listed = {plain(name): name for name in classes.ids[1:] + classes.names[1:]}
    for name, count in unknown.items():
        if plain(name) in listed:
            report(
                'class name',
                where,
                "%d objects are called '%s' in the annotations, the class list has '%s': write "
                "both the same way "
                '(case, blanks and underscores count)' % (count, name, listed[plain(name)]),
            )
    for name, count in others.items():
        index = classes.others[name]
        line = (
            classes.ids[index]
            if classes.ids[index] == classes.names[index]
            else '%s %s' % (classes.ids[index], classes.names[index])
        )
        report(
            'other name',
            where,
            "%d objects are called '%s', which is taken for the class '%s'" % (count, name, line),
        )


def without_boxes(counts: np.ndarray, unknown: Dict[str, int], classes: ClassList) -> List[str]:
    """Return a text for each class without a box: its name, and the nearest name that the
    annotations hold instead.

    counts: boxes by class index; unknown: names that are no class, and how many objects have
    each; classes: the class list.
    """
    texts = []
    for name, identifier, count in list(zip(classes.names, classes.ids, counts))[1:]:
        if not count:
            near = nearest(identifier, list(unknown)) or nearest(name, list(unknown))
            texts.append(
                "%s (the annotations have '%s', %d times)" % (name, near, unknown[near])
                if near
                else name
            )
    return texts
