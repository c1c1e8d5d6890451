"""One frame of a data set looked through: its image, its annotation, and whether they fit."""

import collections
from typing import List, NamedTuple, Optional

from lib.dataset.formats.annotations import parse_indexed
from lib.dataset.formats.problems import Problem
from lib.dataset.rules.pictures import check_size
from dff.errors import DataError
from dff.files import missing_file
from lib.dataset.check.decoding import decoder_messages
from lib.utils.image_header import ImageHeader, read_header

UNREAD: tuple = (0, 0, [], [], [], [])  # parse_indexed's result for a frame without an annotation


class Frame(NamedTuple):
    """What was found in one frame."""

    header: Optional[ImageHeader]  # None where there is no readable image
    parsed: tuple  # of parse_indexed
    problems: List[Problem]


def check_frame(indices, decode, source):
    """Look through one frame: a Frame.

    indices: of class_indices. decode: decode the whole image. source: a Source; without `xml`
    only the image is looked at.
    """
    problems = []

    def report(kind, where, text):
        problems.append(Problem(kind, where, text))

    header = check_image(source.image, source.where, decode, report)
    if not source.xml:
        return Frame(header, UNREAD, problems)
    parsed = parse_indexed(indices, source, report)
    if header is not None:
        check_size(source.image, source.where, header, parsed[:2], report)
    if parsed[5] or any(parsed[4]):
        names = {index: name for name, index in indices.items()}
        _check_objects(source, parsed, names, report)
    return Frame(header, parsed, problems)


def check_image(path, where, decode, report):
    """Return the ImageHeader of the picture at `path`; None where it cannot be read.

    where: who asks for it. decode: decode it whole. report: called for what is wrong with it.
    """
    try:
        header = read_header(path)
        messages = decoder_messages(path) if decode and header.whole else ''
    except DataError as error:
        missing = isinstance(error.__context__, FileNotFoundError)
        text = 'the image %s' % missing_file(path) if missing else str(error)
        report(
            'image missing'
            if missing
            else 'image shape'
            if 'too narrow' in text
            else 'image unreadable',
            where,
            text,
        )
        return None
    if not header.whole:
        report(
            'image truncated',
            where,
            '%s (%d bytes) breaks off before its end' % (path, header.fingerprint[0]),
        )
    elif messages:
        report('image damaged', where, '%s: the decoder says: %s' % (path, messages))
    return header


def _check_objects(source, parsed, names, report):
    classes, tracks, unknown = parsed[3:]
    for name, count in sorted(collections.Counter(unknown).items()):
        report(
            'unknown class',
            source.where,
            "%s has %d x '%s', which is not in the class list"
            % (source.xml, count, name),
        )
    known = [(index, track) for index, track in zip(classes, tracks) if track]
    if len(set(known)) == len(known):
        return
    for (index, track), count in collections.Counter(known).items():
        if count > 1:
            report(
                'track id twice',
                source.where,
                '%s has %d x track id %s of %s' % (source.xml, count, track, names[index]),
            )
