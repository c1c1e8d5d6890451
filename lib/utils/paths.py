"""The repository's root, and paths that start there."""
import os
from typing import List

from dff.errors import ConfigError

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))


def resolve(path: str) -> str:
    """Return the absolute form of a path of a YAML file: relative ones start at the repository root."""
    return os.path.normpath(os.path.join(ROOT, os.path.expanduser(path)))


def image_set_names(text: str) -> List[str]:
    """Return the names that dataset.image_set or test_image_set joins with `+`; blanks around
    them do not count.

    Raises ConfigError where there is none.
    """
    names = [name.strip() for name in text.split('+') if name.strip()]
    if not names:
        raise ConfigError(
            'dataset.image_set and test_image_set must name image sets, joined by +; found %r'
            % text
        )
    return names
