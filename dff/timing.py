"""Where the time of a clip goes: reading, key network, current network, post-processing."""
from collections import Counter
from typing import Any, Dict, Mapping, Optional


class Timing:
    """Sums over results of a key/current loop.

    The first key and current frames of every image size are counted but not timed: there MXNet binds the networks.

    Args:
        seen: Counter of frames by kind and size, shared by the Timings of one detector.
        warm_up: {'key', 'current'}: how many frames of each kind are not timed, as VideoPredictor.warm_up.
    """

    PARTS = ('reading', 'key', 'current', 'post')

    def __init__(self, seen: Optional[Counter] = None, warm_up: Optional[Mapping[str, int]] = None):
        self._seen: Counter = Counter() if seen is None else seen
        self._warm_up = warm_up or {'key': 1, 'current': 1}
        self.counts = {'key': 0, 'current': 0}                    # frames
        self.timed = {'key': 0, 'current': 0}                     # those of them whose time is in seconds
        self.seconds = dict.fromkeys(self.PARTS, 0.0)

    def add(self, result: Any) -> None:
        """Count one result, such as a Detected."""
        kind = 'key' if result.is_key else 'current'
        self.counts[kind] += 1
        size = (kind, result.image.shape)
        self._seen[size] += 1
        if self._seen[size] <= self._warm_up[kind]:
            return
        self.timed[kind] += 1
        self.seconds['reading'] += result.seconds.reading
        self.seconds[kind] += result.seconds.network
        self.seconds['post'] += result.seconds.post

    def as_dict(self) -> Dict[str, Dict[str, Any]]:
        """Return plain numbers, for JSON and `merge`."""
        return {'counts': dict(self.counts), 'timed': dict(self.timed), 'seconds': dict(self.seconds)}

    def merge(self, numbers: Mapping[str, Mapping[str, Any]]) -> None:
        """Add `numbers`, what another Timing's as_dict gave. KeyError, TypeError for anything else."""
        for name, mine in (('counts', self.counts), ('timed', self.timed), ('seconds', self.seconds)):
            for key in mine:
                mine[key] += numbers[name][key]

    def milliseconds(self, interval: Optional[int] = None) -> Dict[str, Any]:
        """Return {'reading', 'key', 'current', 'post', 'frame'}: means in ms; None where no frame was timed.

        `key` and `current` are for each frame of that kind; `frame` is for any frame: reading, post-processing and the
        two networks in the proportion of the frames counted, or of a clip with key frames `interval` apart.
        """
        shares = self.counts if interval is None else {'key': 1, 'current': interval - 1}
        frames = sum(self.timed.values())
        means: Dict[str, Any] = {part: self.seconds[part] / frames * 1e3 if frames else None
                                 for part in ('reading', 'post')}
        for kind in self.counts:
            means[kind] = self.seconds[kind] / self.timed[kind] * 1e3 if self.timed[kind] else None
        used = [kind for kind in shares if shares[kind]]
        if not used or any(means[kind] is None for kind in used):
            means['frame'] = None
        else:
            network = sum(means[kind] * shares[kind] for kind in used) / sum(shares.values())
            means['frame'] = means['reading'] + network + means['post']
        return means

    def describe(self, interval: Optional[int] = None) -> str:
        """Return two lines for people: ms of each part, and frames a second for key frames, others and all; see
        milliseconds.
        """
        means = self.milliseconds(interval)
        names = (('reading', 'reading'), ('key network', 'key'), ('current network', 'current'),
                 ('post-processing', 'post'))
        parts = ['%s %.1f' % (name, means[key]) for name, key in names if means[key] is not None]
        if not parts:
            return 'too few frames to measure the time: the first of each size is left out'
        rates = []
        for name, key in (('key frames', 'key'), ('other frames', 'current')):
            if means[key] is not None:
                rates.append((name, means['reading'] + means[key] + means['post']))
        if means['frame'] is not None:
            rates.append(('mean', means['frame']))
        speeds = ['%s %.1f ms (%.2f fps)' % (name, ms, 1e3 / ms) for name, ms in rates]
        return 'ms a frame: %s\n%s' % (', '.join(parts), ', '.join(speeds))
