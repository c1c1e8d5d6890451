"""The rule that what is trained on is no test."""
import logging
import os
from typing import Any

from lib.dataset.formats.image_sets import read_image_set
from lib.utils.paths import image_set_names

_log = logging.getLogger('dff.data')


def warn_of_trained_clips(image_sets: str, test_set: Any) -> None:
    """Log one line where clips of a test set are trained on: its figures would be too good.

    Args:
        image_sets: for training, names joined by +.
        test_set: a data set; only one with an `image_set` of clips is looked at.

    Raises DataError, ConfigError for a list that cannot be read.
    """
    if not hasattr(test_set, 'image_set'):
        return
    tested = {entry.clip for entry in test_set.image_set.entries} - {None}
    for name in image_set_names(image_sets):
        listed = read_image_set(os.path.dirname(test_set.image_set.file), name)
        shared = sorted(tested & {entry.clip for entry in listed.entries})
        if shared:
            _log.warning(
                '%s: suspicious: %d of its %d clips are in %s too, which is trained on (%s%s): the '
                'figures will be better than the network is', test_set.image_set.file, len(shared),
                len(tested), listed.file, ', '.join(shared[:3]), ', ...' if len(shared) > 3 else '')
