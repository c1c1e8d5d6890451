"""Which clip and which frame the name of an image means."""
import os
import re
from typing import Dict, List, Optional, Sequence, Tuple

from lib.dataset.importers.media import VIDEO_SUFFIXES

_NUMBER = re.compile(r'\d{1,18}$')
_WORD = re.compile(r'(?:^|(?<=[/_. -]))(?:frame|image|img)$', re.IGNORECASE)
# Roboflow: <name>_<extension>.rf.<32 hexadecimal digits>, of a video <clip>_mp4-<frame>.
_ROBOFLOW = re.compile(r'_(?:jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9A-Za-z]{20,}$', re.IGNORECASE)
_VIDEO = re.compile(r'_(?:%s)$' % '|'.join(suffix[1:] for suffix in VIDEO_SUFFIXES), re.IGNORECASE)
_PREFIX = re.compile(r'[0-9a-f]{8}-(?=.)')       # Label Studio: <8 hexadecimal digits>-<name>
_HASH = re.compile(r'(?:^|[/_. -])(?=[0-9a-f]*[a-f])[0-9a-f]{12,}$', re.IGNORECASE)


def split_name(name: str) -> Optional[Tuple[str, int]]:
    """Return (clip, number) of a frame's name: walk/frame_000012, walk_12 and walk/12 are frame 12
    of walk.

    Return None for a name without a number at its end; digits of a checksum are none.
    """
    plain = source_name(name)
    match = None if _HASH.search(plain) else _NUMBER.search(plain)
    if not match:
        return None
    clip = _WORD.sub('', plain[:match.start()].rstrip('_. -')).rstrip('/_. -')
    return (_VIDEO.sub('', clip) if plain != name else clip), int(match.group())


def source_name(name: str) -> str:
    """Return the name of the picture that an image of Roboflow was made of; other names as they
    are.
    """
    return _ROBOFLOW.sub('', name)


def without_prefixes(names: Sequence[str]) -> List[str]:
    """Return names of images without the checksums that Label Studio puts before them.

    They are taken for such where all names of a folder begin with one, each with another.
    """
    folders: Dict[str, List[str]] = {}
    for name in names:
        folders.setdefault(os.path.dirname(name), []).append(os.path.basename(name))
    changed = set()
    for folder, own in folders.items():
        heads = {match.group() for match in map(_PREFIX.match, own) if match}
        if len(own) > 1 and len(heads) == len(set(own)):
            changed.add(folder)
    return [os.path.join(os.path.dirname(name), _PREFIX.sub('', os.path.basename(name), count=1))
            if os.path.dirname(name) in changed else name for name in names]
