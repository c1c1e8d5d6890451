"""Annotation caches: NPZ files that know what they were made from."""
import hashlib
import logging
import os
from typing import Optional, Sequence

import numpy as np

from lib.dataset.formats.annotations import AnnotationTable, Source
from lib.dataset.formats.classes import ClassList
from lib.dataset.formats.image_sets import ImageSet
from dff.errors import DataError
from dff.files import atomic_path

VERSION = 3   # of the arrays below; raise it when they change


def fingerprint(image_set: ImageSet, sources: Sequence[Source], classes: ClassList) -> str:
    """Return a hexadecimal digest of everything that the AnnotationTable of an image set depends
    on.

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
    """Return the AnnotationTable stored at `path` under `key`; None where it is absent, stale or
    damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored['key']) != key:
                return None
            names, others = (
                dict(zip(stored[kind + '_names'].tolist(), stored[kind + '_counts'].tolist()))
                for kind in ('unknown', 'other')
            )
            table = AnnotationTable(stored['sizes'], stored['offsets'], stored['boxes'], stored['classes'],
                                    stored['unknown'], names, stored['tracks'], others)
            return table if _is_whole(table) else None
    except Exception:       # a byte changed has zipfile and NumPy raise nearly anything, MemoryError among it
        return None


def _is_whole(table: AnnotationTable) -> bool:
    """Whether the arrays have the types and shapes that fit each other."""
    offsets, images, boxes = table.offsets, len(table.sizes), len(table.boxes)
    found = [(array.dtype, array.shape) for array in (
        table.sizes, offsets, table.boxes, table.classes, table.unknown, table.tracks)]
    wanted = [(np.int32, (images, 2)), (np.int64, (images + 1,)), (np.float64, (boxes, 4)),
              (np.int32, (boxes,)), (np.int32, (images,)), (np.int32, (boxes,))]
    return (found == wanted and offsets[0] == 0 and offsets[-1] == boxes and bool((np.diff(offsets) >= 0).all())
            and all(isinstance(count, int) for counts in (table.unknown_names, table.other_names)
                    for count in counts.values()))


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
