"""Annotation caches: NPZ files that know what they were made from."""
import hashlib
import os
import zipfile
import zlib

import numpy as np

from lib.dataset.formats.annotations import AnnotationTable
from dff.errors import DataError
from dff.files import atomic_path

VERSION = 2   # of the arrays below; raise it when they change


def fingerprint(image_set, sources, class_ids):
    """Hex digest of everything that the AnnotationTable depends on.

    The image set's entries, the class list, and the name, size and modification time of each annotation file.
    Raises DataError where one is missing.
    """
    digest = hashlib.sha256()
    digest.update(repr((VERSION, image_set.tree, image_set.kind, class_ids)).encode('utf-8'))
    for entry, source in zip(image_set.entries, sources):
        try:
            status = os.stat(source.xml)
        except OSError:
            raise DataError('%s: the annotation %s does not exist' % (source.where, source.xml)) from None
        text = '%s\n%s\n%d %d\n' % (entry.path, source.xml, status.st_size, status.st_mtime_ns)
        digest.update(text.encode('utf-8', 'surrogateescape'))
    return digest.hexdigest()


def load(path, key):
    """The AnnotationTable stored at `path` under `key`; None where there is none, it is stale, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored['key']) != key:
                return None
            names = dict(zip(stored['unknown_names'].tolist(), stored['unknown_counts'].tolist()))
            return AnnotationTable(stored['sizes'], stored['offsets'], stored['boxes'], stored['classes'], stored['unknown'], names,
                                   stored['tracks'])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        return None


def store(path, key, table, logger):
    """Write `table` to `path`; where the disk does not allow it, one line says so and nothing else changes."""
    try:
        with atomic_path(path) as temporary:
            np.savez(temporary, key=np.array(key), sizes=table.sizes, offsets=table.offsets, boxes=table.boxes,
                     classes=table.classes, unknown=table.unknown, tracks=table.tracks,
                     unknown_names=np.array(list(table.unknown_names), dtype=np.str_),
                     unknown_counts=np.array(list(table.unknown_names.values()), dtype=np.int64))
    except OSError as error:
        logger.info('annotations are not cached: cannot write %s (%s)', path, error.strerror or error)
