"""What a check of a data set found, as text."""

from dataclasses import dataclass
from typing import Dict, List

import numpy as np

from lib.dataset.formats.problems import KINDS, LEVELS, Problems


@dataclass
class Report:
    """What a check found; base of those of detection and segmentation.

    A subclass has `headlines`, a line for each image set, and `unit`, what is counted.
    """

    problems: Problems
    classes: List[str]  # names of the classes that are counted
    counts: Dict[str, np.ndarray]  # {role: int [classes]}: boxes, or pixels, of each

    unit = ''

    def headlines(self) -> List[str]:
        """Return a line for each image set."""
        raise NotImplementedError

    def lines(self) -> List[str]:
        """Return the report as text."""
        width = max(map(len, self.classes + [self.unit]))
        lines = self.headlines()
        lines += [
            '',
            '%-*s %s' % (width, self.unit, ''.join('%12s' % role for role in self.counts)),
        ]
        lines += [
            '%-*s %s'
            % (width, name, ''.join('%12d' % counts[c] for counts in self.counts.values()))
            for c, name in enumerate(self.classes)
        ]
        for level in LEVELS:
            for kind, count in self.problems.level(level).items():
                lines += ['', '%s: %s (%d)' % (level, kind, count), '  -> %s' % KINDS[kind][1]]
                kept = self.problems.kept[kind]
                lines += ['  ' + str(problem) for problem in kept]
                if len(kept) < count:
                    lines.append('  ... and %d more (--limit 0 shows all)' % (count - len(kept)))
        return lines + ['', self.summary()]

    def summary(self) -> str:
        """Return one line: how many problems of each level."""
        counts = [(sum(self.problems.level(level).values()), level) for level in LEVELS]
        text = ', '.join('%d %s%s' % (count, level, 's' * (count != 1)) for count, level in counts)
        return '%s: %s' % ('clean' if self.problems.clean else 'problems', text)
