"""Where the time of detection goes: reading, key network, current network, post-processing."""


class Timing:
    """Sums over Detected results.

    The first key frame and the first current frame of every image size are counted but not timed: there MXNet
    binds the network. seen: a set shared by Timings of one detector, which remembers these sizes.
    """

    PARTS = ('reading', 'key', 'current', 'post')

    def __init__(self, seen=None):
        self._seen = set() if seen is None else seen
        self.counts = {'key': 0, 'current': 0}                    # frames
        self.timed = {'key': 0, 'current': 0}                     # those of them whose time is in seconds
        self.seconds = dict.fromkeys(self.PARTS, 0.0)

    def add(self, result):
        """Count one Detected."""
        kind = 'key' if result.is_key else 'current'
        self.counts[kind] += 1
        size = (kind, result.image.shape)
        if size not in self._seen:
            self._seen.add(size)
            return
        self.timed[kind] += 1
        self.seconds['reading'] += result.seconds.reading
        self.seconds[kind] += result.seconds.network
        self.seconds['post'] += result.seconds.post

    def as_dict(self):
        """Plain numbers, for JSON and `merge`."""
        return {'counts': dict(self.counts), 'timed': dict(self.timed), 'seconds': dict(self.seconds)}

    def merge(self, numbers):
        """Add what another Timing's as_dict gave. KeyError, TypeError for anything else."""
        for name, mine in (('counts', self.counts), ('timed', self.timed), ('seconds', self.seconds)):
            for key in mine:
                mine[key] += numbers[name][key]

    def milliseconds(self):
        """{'reading', 'key', 'current', 'post', 'frame'}: means in ms; None where no frame was timed.

        `key` and `current` are for each frame of that kind; `frame` is for any frame: reading, post-processing and the
        two networks in the proportion of the frames counted.
        """
        frames = sum(self.timed.values())
        means = {part: self.seconds[part] / frames * 1e3 if frames else None for part in ('reading', 'post')}
        for kind in self.counts:
            means[kind] = self.seconds[kind] / self.timed[kind] * 1e3 if self.timed[kind] else None
        used = [kind for kind in self.counts if self.counts[kind]]
        if not used or any(means[kind] is None for kind in used):
            means['frame'] = None
        else:
            network = sum(means[kind] * self.counts[kind] for kind in used) / sum(self.counts.values())
            means['frame'] = means['reading'] + network + means['post']
        return means

    def describe(self):
        """One line for people: ms of each part and frames a second."""
        means = self.milliseconds()
        names = (('reading', 'reading'), ('key network', 'key'), ('current network', 'current'), ('post-processing', 'post'))
        parts = ['%s %.1f' % (name, means[key]) for name, key in names if means[key] is not None]
        if not parts:
            return 'too few frames to measure the time'
        line = 'ms a frame: %s' % ', '.join(parts)
        if means['frame']:
            line += '; mean %.1f (%.2f frames a second)' % (means['frame'], 1e3 / means['frame'])
        return line
