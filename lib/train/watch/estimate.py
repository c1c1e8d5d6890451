"""What a run's past says of its rest: the time left, and whether the loss still falls."""
import collections
import math

HALF = 200      # batches after which a report counts half in the recent speed
STOPPED = 30    # times as slow as the others: the process was stopped (Ctrl-Z, a laptop asleep), which says nothing
PARTS = 20      # the loss is smoothed over so many parts of the whole run


class TimeLeft:
    """The time that is left, from the speed of the whole run and the recent one, half each.

    Recent speed alone would jump with everything else that the machine does, and that of the whole
    run would hold on to a slow beginning. Pauses, as validations, are taken to go on as they came
    so far, and time in which the process was stopped does not count.
    """

    def __init__(self):
        self._forget()

    def _forget(self):
        self._batches, self._seconds, self._paused, self._recent = 0, 0.0, 0.0, None

    def add(self, batches, seconds, paused=0.0):
        """Take in what was done since the last report.

        Args:
            batches: how many.
            seconds: that they took, without pauses.
            paused: seconds of pauses.
        """
        self._paused += paused
        if batches <= 0:
            return
        speed = seconds / batches
        if self._batches and speed > STOPPED * self._seconds / self._batches:
            return
        if self._batches and STOPPED * speed < self._seconds / self._batches:
            self._forget()
        self._batches += batches
        self._seconds += seconds
        kept = 0.5 ** (batches / HALF) if self._recent is not None else 0.0
        self._recent = kept * (self._recent or 0.0) + (1 - kept) * speed

    def seconds(self, batches):
        """Return the seconds that so many batches with their pauses take; None: not known yet."""
        if not self._batches:
            return None
        speed = (self._recent + self._seconds / self._batches) / 2
        return batches * (speed + self._paused / self._batches)


class Trend:
    """A loss smoothed exponentially over a twentieth of the run, and its change in as many batches.

    Args:
        batches: in the whole run.
    """

    def __init__(self, batches):
        self._window = max(1.0, batches / PARTS)
        self._sum = self._weight = 0.0
        self._history = collections.deque()      # (batch, smoothed loss), the first a window ago

    def add(self, batch, count, loss):
        """Take in a report.

        Args:
            batch: place in the run, in batches.
            count: batches that it is of.
            loss: their mean.

        Returns:
            (smoothed loss, its change or None while the run is too short, in how many batches).
        """
        kept = math.exp(-count / self._window)
        self._sum = kept * self._sum + (1 - kept) * loss
        self._weight = kept * self._weight + 1 - kept
        smoothed = self._sum / self._weight
        self._history.append((batch, smoothed))
        while len(self._history) > 1 and batch - self._history[1][0] >= self._window:
            self._history.popleft()
        since, before = self._history[0]
        if batch - since < self._window:
            return smoothed, None, 0
        return smoothed, smoothed - before, batch - since
