"""Which frames of a clip are key frames.

A schedule counts the frames of one clip at a time and keeps all state that the choice needs; dff/loop.py
asks it and does as it says.

    fixed     the first frame of every interval (arXiv 1611.07715, algorithm 1)
    middle    the middle one, for which the frames before it wait: the farthest frame is then half as far away
    both      the key frames of middle, and a frame between two of them takes the features of both
    flow      the first one, and any frame whose image does not follow the flow (cf. Zhu et al., arXiv 1711.11577)
"""
from typing import Any, Optional

import numpy as np

from dff.errors import ConfigError

POLICIES = ('fixed', 'middle', 'both', 'flow')


class Schedule:
    """Every `interval` frames share a key frame: the first of them, or the one `lookahead` frames later.

    A frame of another size than the one before it begins a new interval too, since it cannot use that key
    frame's feature.

    Args:
        interval: frames from one key frame to the next, 1 or more.
        lookahead: how many frames after the first of its interval the key frame lies.
        both_sides: a frame between two key frames takes the features of both.

    Raises ConfigError for an interval below 1.
    """

    needs_mismatch = False     # whether `accepts` wants to know how badly the image follows the flow

    def __init__(self, interval: int, lookahead: int = 0, both_sides: bool = False):
        if isinstance(interval, bool) or not isinstance(interval, (int, np.integer)) or interval < 1:
            raise ConfigError('the key-frame interval must be a whole number, 1 or more, found %r'
                              % (interval,))
        self.interval, self.lookahead, self.both_sides = interval, lookahead, both_sides
        self.restart()

    def restart(self) -> None:
        """Forget the frames so far: a new clip begins."""
        self._age, self._size = 0, None

    def begins(self, size: Any) -> bool:
        """Count the next frame, whose network input has `size`; return whether it begins a new interval."""
        if self._age in (0, self.interval) or size != self._size:
            self._age, self._size = 1, size
            return True
        self._age += 1
        return False

    def key_place(self, available: int) -> int:
        """Return which of the next `available` frames of the interval is the key frame, 0 for the first.

        Near a clip's end, or before a change of size, there are fewer than `lookahead` frames behind the
        first one; then it is the middle one of those.
        """
        return self.lookahead if available > self.lookahead else available // 2

    def accepts(self, mismatch: Optional[float]) -> bool:
        """Return whether the current network's result for the frame counted last is good enough, and need
        not become a key frame.

        mismatch: how far the key frame's image, moved along the flow, is off (grey levels); None where that
            was not measured.
        """
        return True

    @property
    def suffix(self) -> str:
        """What tells results of this schedule from those of others of its interval, in names of files."""
        return '_both' if self.both_sides else '_middle' if self.lookahead else ''


class MismatchSchedule(Schedule):
    """A key frame at least every `interval` frames, and sooner where the image does not follow the flow.

    The mismatches of the frames since the key frame add up; a frame that lifts the sum above `largest`
    becomes a key frame. Their sum chooses better than the last one alone (docs/lab/2026-11-key-frames.md).

    Args:
        interval: as of Schedule.
        largest: grey levels.
    """

    needs_mismatch = True

    def __init__(self, interval: int, largest: float):
        self.largest, self._sum = largest, 0.0
        super().__init__(interval)

    def begins(self, size: Any) -> bool:
        """See Schedule."""
        begins = super().begins(size)
        if begins:
            self._sum = 0.0
        return begins

    def accepts(self, mismatch: Optional[float]) -> bool:
        """See Schedule."""
        if mismatch is None:
            raise ValueError('these networks measure no mismatch, which the policy flow needs')
        self._sum += mismatch
        if self._sum <= self.largest:
            return True
        self._age, self._sum = 1, 0.0
        return False

    @property
    def suffix(self) -> str:
        """See Schedule."""
        return '_mismatch%g' % self.largest


def make_schedule(policy: str, interval: int, largest_mismatch: float) -> Schedule:
    """Return the schedule of a policy, one of POLICIES.

    Args:
        policy: fixed, middle, both or flow.
        interval: frames from one key frame to the next, with flow at most.
        largest_mismatch: of flow, grey levels.

    Raises ConfigError for another policy, and for an interval below 1.
    """
    if policy == 'fixed':
        return Schedule(interval)
    if policy in ('middle', 'both'):
        return Schedule(interval, interval // 2, policy == 'both')
    if policy == 'flow':
        return MismatchSchedule(interval, largest_mismatch)
    raise ConfigError("there is no key-frame policy '%s'; choose from %s" % (policy, ', '.join(POLICIES)))
