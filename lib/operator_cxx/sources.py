"""What the native library is made of; the builder and the loader agree on it through these functions."""
import glob
import hashlib
import json
import os

FOLDER = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(FOLDER, 'build')
MANIFEST = os.path.join(BUILD, 'library.json')  # which library is current, and what it was built from
OPERATORS = ('flow_warp', 'psroi_pooling', 'proposal', 'rcnn_targets', 'hard_examples', 'box_nms',
             'winograd', 'class_map', 'image_pair', 'deconvolution', 'sgd_momentum', 'correlation',
             'seq_nms', 'aggregation', 'pooled_scores', 'int8')


def find(extension):
    """Source files with this extension, sorted paths."""
    folders = ('common',) + OPERATORS
    return sorted(path for folder in folders for path in glob.glob(os.path.join(FOLDER, folder, '*.' + extension)))


def digest():
    """Hash of all native sources: a library that was built from others does not fit this Python code."""
    return hash_files(find('h') + find('cc') + find('cu'))


def hash_files(paths, *texts):
    """Hex SHA-256 over the names and contents of `paths`, and over `texts`."""
    value = hashlib.sha256('\0'.join(texts).encode())
    for path in paths:
        value.update(os.path.basename(path).encode())
        with open(path, 'rb') as file:
            value.update(file.read())
    return value.hexdigest()


def read_manifest():
    """The manifest as a dict with the strings `library`, `key`, `sources`, `mxnet` and `cuda`, or
    None where nothing (usable) is built.
    """
    try:
        with open(MANIFEST, encoding='utf-8') as file:
            manifest = json.load(file)
    except (OSError, ValueError):
        return None
    wanted = ('library', 'key', 'sources', 'mxnet', 'cuda')
    if not isinstance(manifest, dict) or not all(isinstance(manifest.get(name), str) for name in wanted):
        return None
    return manifest
