"""Stretches of clips for validation, the rest of the clip for training."""
import re
from dataclasses import replace
from typing import Callable, Dict, List, Sequence, Tuple

from lib.dataset.importers.media import Images, Media, Stretch, Video
from lib.dataset.importers.model import Clip, Labels
from dff.errors import ConfigError, DataError

_WANTED = re.compile(r'(.+):(\d{1,9})-(\d{1,9})', re.DOTALL)
_Range = Tuple[int, int]


def cut(clips: Sequence[Clip], wanted: Sequence[str]) -> Tuple[List[Clip], List[Clip]]:
    """Cut stretches out of clips; return (all clips after it, the stretches among them).

    What remains before, between and after stretches becomes a clip each, of the same name.

    Args:
        clips: of the source.
        wanted: CLIP:FIRST-LAST each, frames as the annotations number them, both ends included.

    Raises:
        ConfigError: one of `wanted` is not of that form.
        DataError: there is no such clip, or no such frames in it, or stretches overlap.
    """
    ranges: Dict[str, List[_Range]] = {}
    for text in wanted:
        match = _WANTED.fullmatch(text)
        if not match or int(match.group(2)) > int(match.group(3)):
            raise ConfigError(
                '--val_frames: expected CLIP:FIRST-LAST, such as walk:501-795; found %r' % text)
        ranges.setdefault(match.group(1), []).append((int(match.group(2)), int(match.group(3))))
    names = sorted(clip.name for clip in clips if not clip.still)
    unknown = sorted(set(ranges) - set(names))
    if unknown:
        raise DataError('--val_frames: there is no clip %s; there are %s'
                        % (', '.join(unknown), ', '.join(names[:10])))
    kept: List[Clip] = []
    stretches: List[Clip] = []
    for clip in clips:
        if clip.still or clip.name not in ranges:
            kept.append(clip)
            continue
        for part, bounds in _bounds(clip, sorted(ranges[clip.name])):
            piece = _piece(clip, bounds)
            kept.append(piece)
            stretches += [piece] if part == 'val' else []
    return kept, stretches


def _bounds(clip: Clip, wanted: Sequence[_Range]) -> List[Tuple[str, _Range]]:
    """[(part, (first, last))] that a clip falls into, as its media number frames."""
    media = clip.media
    numbers = media.numbers if isinstance(media, Images) else range(media.length or 10 ** 9)
    begin, end = numbers[0], numbers[-1]
    found: List[Tuple[str, _Range]] = []
    for first, last in wanted:
        low, high = first - clip.origin, last - clip.origin
        if low < begin or high > end:
            raise DataError(
                '--val_frames %s:%d-%d: expected frames from %d to %d, which the clip has; or '
                'there is another stretch among these'
                % (clip.name, first, last, begin + clip.origin, numbers[-1] + clip.origin))
        if low > begin:
            found.append(('train', (begin, low - 1)))
        found.append(('val', (low, high)))
        begin = high + 1
    if begin <= end:
        found.append(('train', (begin, end)))
    return found


def _piece(clip: Clip, bounds: _Range) -> Clip:
    """The frames of a clip whose numbers are within `bounds`, with their labels."""
    first, last = bounds
    media: Media = clip.media
    if isinstance(media, Images):
        chosen = [i for i, number in enumerate(media.numbers) if first <= number <= last]
        if not chosen:
            raise DataError('--val_frames: %s has no frame from %d to %d'
                            % (clip.name, first + clip.origin, last + clip.origin))
        rate = media.rate
        media = Images([media.paths[i] for i in chosen], [media.numbers[i] for i in chosen])
        media.rate = rate
    elif isinstance(media, Video):
        media = Stretch(media, first, last)
    return replace(clip, media=media, open_labels=_within(clip.open_labels, first, last))


def _within(open_labels: Callable[[], Labels], first: int, last: int) -> Callable[[], Labels]:
    def open_some() -> Labels:
        labels = open_labels()
        return Labels(labels.boxes,
                      [number for number in labels.numbers if first <= number <= last])
    return open_some
