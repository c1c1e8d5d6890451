"""The repository's root, and paths that start there."""
import os

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))


def resolve(path: str) -> str:
    """Return the absolute form of a path of a YAML file: relative ones start at the repository root."""
    return os.path.normpath(os.path.join(ROOT, os.path.expanduser(path)))
