"""Image sizes: those that a model is fixed to, and those that it is checked with."""

import argparse
import re

from dff.errors import ConfigError
from dff.frames import largest_input


def image_size(text):
    """Return (height, width) of `text`, HxW: a type of argparse."""
    found = re.match(r'^([1-9]\d{0,4})x([1-9]\d{0,4})$', text)
    if not found:
        raise argparse.ArgumentTypeError(
            "expected HEIGHTxWIDTH in pixels, as 562x1000, found '%s'" % text
        )
    return int(found.group(1)), int(found.group(2))


def frame_size(size, form):
    """Return (height, width) of a frame that the InputFormat `form` makes an image of `size`
    without scaling it.

    Raises ConfigError where it makes no image of this size from any frame.
    """
    (shorter, longest), step = form.scales, max(1, form.stride)
    sides = [min(side, most) for side, most in zip(sorted(size), (shorter, longest))]
    padded = [-(-side // step) * step for side in sides]
    if padded != sorted(size) or not (sides[0] == shorter or sides[1] == longest):
        raise ConfigError(
            '--size %dx%d: no frame becomes an image of this size: '
            'its shorter side would be %d pixels and its longer '
            'one at most %d (SCALES)%s; frames of that shape become %dx%d'
            % (
                *size,
                shorter,
                longest,
                ', padded to multiples of %d' % form.stride if form.stride else '',
                *_made_of(size, form),
            )
        )
    return tuple(sides if size[0] <= size[1] else sides[::-1])


def _made_of(size, form):
    """(height, width) of what the rule makes of a frame as large as `size`."""
    scale = form.scales[0] / min(size)
    if round(scale * max(size)) > form.scales[1]:
        scale = form.scales[1] / max(size)
    step = max(1, form.stride)
    return tuple(-(-round(side * scale) // step) * step for side in size)


def checked_sizes(size, form):
    """Return the (height, width) of frames to check a model with: of the fixed `size`, or where
    that is None of two shapes.
    """
    if size:
        return [frame_size(size, form)]
    shorter, longest = form.scales
    whole = largest_input(form._replace(stride=0))
    return [whole, (shorter, min(longest, shorter * 4 // 3 + 1))]
