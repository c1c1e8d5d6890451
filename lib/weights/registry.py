"""Readers of files of weights, by the extension that they read."""
from lib.utils.registry import Registry

# read(path) -> {name: float32 array}, or that and what the file says of its origin.
READERS = Registry('kind of weights file', 'SOURCE', 'lib.weights.formats')
