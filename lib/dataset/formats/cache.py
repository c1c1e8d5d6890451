"""Annotation caches: NPZ files that know what they were made from."""
import hashlib
import logging
import os
import zipfile
import zlib
from typing import Optional, Sequence

import numpy as np

from lib.dataset.formats.annotations import AnnotationTable, Source
from lib.dataset.formats.classes import ClassList
from lib.dataset.formats.image_sets import ImageSet
from dff.errors import DataError
from dff.files import atomic_path

VERSION = 3   # of the arrays below; raise it when they change


def fingerprint(image_set: ImageSet, sources: Sequence[Source], classes: ClassList) -> str:
    """Return a hexadecimal digest of everything that the AnnotationTable of an image set depends on.

    These are the entries of `image_set`, the names of `classes` in annotations, and the name,
    size and
    modification time of the annotation file of each of `sources`, one an entry. Raises DataError
    where such a file is missing.
    """
    digest = hashlib.sha256()
    digest.update(
        repr((VERSION, image_set.tree, image_set.kind, classes.ids, classes.others)).encode(
            'utf-8'
        )
    )
    for entry, source in zip(image_set.entries, sources):
        try:
            status = os.stat(source.xml)
        except OSError:
            raise DataError('%s: the annotation %s does not exist' % (source.where, source.xml)) from None
        text = '%s\n%s\n%d %d\n' % (entry.path, source.xml, status.st_size, status.st_mtime_ns)
        digest.update(text.encode('utf-8', 'surrogateescape'))
    return digest.hexdigest()


def load(path: str, key: str) -> Optional[AnnotationTable]:
    """Return the AnnotationTable stored at `path` under `key`; None where it is absent, stale or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored['key']) != key:
                return None
            names, others = (
                dict(zip(stored[kind + '_names'].tolist(), stored[kind + '_counts'].tolist()))
                for kind in ('unknown', 'other')
            )
            return AnnotationTable(stored['sizes'], stored['offsets'], stored['boxes'], stored['classes'],
                                   stored['unknown'], names, stored['tracks'], others)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        return None


def store(path: str, key: str, table: AnnotationTable, logger: logging.Logger) -> None:
    """Write `table` with its `key`, a fingerprint, to the NPZ file `path`.

    Where the disk does not allow it, one line of `logger` says so and nothing else changes.
    """
    try:
        with atomic_path(path) as temporary:
            arrays = {}
            for kind, counts in (('unknown', table.unknown_names), ('other', table.other_names)):
                arrays[kind + '_names'] = np.array(list(counts), dtype=np.str_)
                arrays[kind + '_counts'] = np.array(list(counts.values()), dtype=np.int64)
            np.savez(temporary, key=np.array(key), sizes=table.sizes, offsets=table.offsets, boxes=table.boxes,
                     classes=table.classes, unknown=table.unknown, tracks=table.tracks, **arrays)
    except OSError as error:
        logger.info('annotations are not cached: cannot write %s (%s)', path, error.strerror or error)
