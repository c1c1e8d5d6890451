"""Frames that a source has both for training and for validation."""
import os
from typing import Dict, List, Sequence, Tuple

from lib.dataset.importers.media import Images, Media
from lib.dataset.importers.model import Clip
from lib.dataset.importers.frame_names import source_name
from lib.dataset.importers.paths import part_named, without_part
from dff.errors import DataError
from dff.files import file_sha256


def check_leaks(clips: Sequence[Clip]) -> None:
    """DataError where frames of one clip, or the same picture, are for training and validation.

    Clips of one name in both parts may be two clips whose frames are counted anew. They are one
    where they share a picture, where the frames of the one lie between those of the other, and
    where the numbers of the one go on after the other's and the clip has a name.
    """
    groups: Dict[str, Tuple[List[Clip], List[Clip]]] = {}
    for clip in clips:
        if clip.part != 'test':
            groups.setdefault(_base(clip), ([], []))[clip.part == 'val'].append(clip)
    for name, (trained, validated) in groups.items():
        for train in trained:
            for val in validated:
                if _is_same(name, train.media, val.media):
                    raise DataError(
                        'frames of %s are both for training and for validation, as %s and as %s: '
                        'neighbouring frames look almost the same, and a figure measured on them means '
                        'nothing; --clips '
                        '--val_clips NAME '
                        'splits by whole clips, --val_frames NAME:FIRST-LAST by stretches'
                        % (name or 'a clip', _of(train), _of(val)))


def _base(clip: Clip) -> str:
    """What clips have in common that may be one: the video, or the name without the part."""
    if not isinstance(clip.media, Images):
        return os.path.realpath(clip.media.path)
    if clip.still:
        plain = source_name(clip.name)
        return without_part(plain) if plain != clip.name else clip.media.paths[0]
    return '' if part_named(clip.name) else without_part(clip.name)


def _of(clip: Clip) -> str:
    return clip.media.paths[0] if isinstance(clip.media, Images) else clip.name


def _is_same(name: str, train: Media, val: Media) -> bool:
    if not isinstance(train, Images) or not isinstance(val, Images):
        return True                 # _base is the path of the video
    if len(train.paths) == len(val.paths) == 1:
        return _alike(train.paths[0], val.paths[0])
    files = dict(zip(train.numbers, train.paths))
    common = [(files[number], path) for number, path in zip(val.numbers, val.paths)
              if number in files]
    if common:
        return _alike(*common[0])
    a, b = train.numbers, val.numbers
    return bool(name) or not (max(a) < min(b) or max(b) < min(a))


def _alike(one: str, other: str) -> bool:
    """Whether two files hold the same bytes."""
    try:
        same = os.path.getsize(one) == os.path.getsize(other)
        return same and file_sha256(one) == file_sha256(other)
    except OSError:
        return False
