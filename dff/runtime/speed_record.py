"""How fast the engines compute a model here: figures in a file beside it, by which dff.load chooses one."""
import json
import math
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from dff.errors import DataError
from dff.files import write_json
from dff.runtime.machine import PACKAGES, cores, processor, version_of

FILE, FORMAT = 'speed.json', 1
LARGEST = 1 << 20      # bytes; no record of this project's is as long


class Figure(NamedTuple):
    """What one engine took for a frame, measured by turns with the others."""

    processor: str
    cores: int
    threads: int                   # that were asked for; 0: as the engine likes
    precision: str
    engine: str                    # of dff.runtime.machine.PACKAGES
    version: str                   # of its packages
    size: List[int]                # height and width of the network's input
    key: float                     # ms of a key frame, of the network alone
    current: Optional[float]       # ms of another frame; None: there are none
    frame: float                   # ms of a frame with key frames as far apart as the model has them

    def is_of(self, threads: int, precision: str) -> bool:
        """Return whether it holds here and now: for this processor, `threads`, `precision` and version."""
        return (self.processor, self.cores, self.threads, self.precision, self.version) == (
            processor(), cores(), threads, precision, version_of(self.engine))


def read_figures(folder: str) -> List[Figure]:
    """Return the Figures beside the model in `folder`; none where there is no record.

    Raises ValueError, with the reason, for a damaged one.
    """
    path = os.path.join(folder, FILE)
    if not os.path.isfile(path):
        return []
    try:
        with open(path, 'rb') as stream:
            content = json.loads(stream.read(LARGEST).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError('it cannot be read: %s' % error) from None
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise ValueError('it is not of format %d' % FORMAT)
    rows = content.get('figures')
    if not isinstance(rows, list):
        raise ValueError('it has no list of figures')
    return [_figure(number, row) for number, row in enumerate(rows, 1)]


def record(folder: str, figures: Sequence[Figure]) -> str:
    """Write `figures` beside the model in `folder`, in the place of those of the same machine, threads and
    precision; returns the path. Raises DataError where it cannot be written.
    """
    def group(figure):
        return figure[:4]
    try:
        others = read_figures(folder)
    except ValueError:
        others = []
    new = {group(figure) for figure in figures}
    kept = [figure for figure in others if group(figure) not in new]
    path = os.path.join(folder, FILE)
    try:
        write_json(path, {'format': FORMAT, 'figures': [each._asdict() for each in [*kept, *figures]]})
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror or error)) from None
    return path


def ranked(folder: str, engines: Sequence[str], threads: int, precision: str,
           note: Callable[[str], None]) -> List[str]:
    """Return `engines` in the order in which to try them: by the figures beside the model, else as they are.

    Args:
        folder: of the model.
        engines: that can compute it here.
        threads, precision: that are asked for.
        note: called with a line where figures are missing.
    """
    if len(engines) < 2:
        return list(engines)
    reason = 'it is not recorded which one is the fastest'
    figures: Dict[str, float] = {}
    try:
        found = read_figures(folder)
    except ValueError as error:
        reason = '%s is ignored, %s' % (os.path.join(folder, FILE), error)
    else:
        figures = {each.engine: each.frame for each in found
                   if each.engine in engines and each.is_of(threads, precision)}
        if found and len(figures) < 2:
            reason = ('what is recorded is of other engines, or of another processor, version, number of threads '
                      'or precision')
    unknown = [engine for engine in engines if engine not in figures]
    if len(figures) < 2:
        note('%s computes, the first of %s here: %s. Measure with: dff speed %s'
             % (engines[0], ', '.join(engines), reason, folder))
        return list(engines)
    if unknown:
        note('the speed of %s is not recorded: %s is left out. Measure with: dff speed %s'
             % (' and '.join(unknown), 'it' if len(unknown) == 1 else 'they', folder))
    return sorted(figures, key=lambda engine: figures[engine]) + unknown


def _figure(number: int, row: Any) -> Figure:
    """A Figure from JSON. Raises ValueError for anything else."""
    if not isinstance(row, dict) or set(row) != set(Figure._fields):
        raise ValueError('figure %d has not the fields %s' % (number, ', '.join(Figure._fields)))
    figure = Figure(**row)
    for name in ('processor', 'precision', 'engine', 'version'):
        if not isinstance(row[name], str):
            raise ValueError('figure %d: %s is no text' % (number, name))
    if figure.engine not in PACKAGES:
        raise ValueError('figure %d is of no engine that there is' % number)
    whole = [figure.cores, figure.threads]
    if not isinstance(figure.size, list) or len(figure.size) != 2 \
            or not all(isinstance(each, int) and each >= 0 for each in whole + figure.size):
        raise ValueError('figure %d: cores, threads or size are no whole numbers' % number)
    times = [figure.key, figure.frame] + ([] if figure.current is None else [figure.current])
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool)
               and math.isfinite(each) and each > 0 for each in times):
        raise ValueError('figure %d: a time is no number above 0' % number)
    return figure
