"""Curves of trainings, from the reports that they write for programs (<log>.jsonl)."""
import glob
import json
import os

from dff.errors import DataError, shown
from dff.files import atomic_path

FIGURES = {'mAP': 'mAP@0.5', 'mIoU': 'mean IoU'}     # keys of a validation's report
NUMBERS = (int, float)


def read_run(path):
    """Return the reports of a run, dicts in order of their batches.

    Args:
        path: a .jsonl file, or the folder of a training. Of several logs in it, as of a run that
            was stopped and went on, each replaces what earlier ones say of the batches from its
            first one on.

    Raises DataError where there are none, or a line is no report.
    """
    files = [path]
    if os.path.isdir(path):
        files = sorted(glob.glob(os.path.join(glob.escape(path), '*.jsonl')))
    reports = []
    for file in files:
        newer = _read(file)
        first = min((report['update'] for report in newer), default=None)
        if first is not None:
            reports = [report for report in reports if report['update'] < first] + newer
    if not reports:
        raise DataError('%s: no report of a training is there; expected a .jsonl file, or the '
                        'folder with the logs of a training, output/<task>/<settings>/<image sets>' % path)
    return reports


def _read(path):
    """The reports of a file but that of the start; a last line that was cut off is left out."""
    try:
        with open(path, encoding='utf-8') as stream:
            lines = stream.read().split('\n')
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise DataError('cannot read %s: %s' % (path, reason)) from error
    reports = []
    for number, line in enumerate(lines, 1):
        if not line or number == len(lines):      # whole lines end with a line break
            continue
        try:
            report = json.loads(line)
            if report['kind'] != 'start':
                report['update'] = int(report['update'])
                reports.append(report)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError('%s, line %d: expected a report of a training, a JSON object with kind '
                            'and update; found %s' % (path, number, shown(line))) from error
    return reports


def name_of(path):
    """Return what to call a run: its settings' name and image sets, or that of the file."""
    parts = os.path.abspath(path).split(os.sep)
    return os.sep.join(parts[-2:]) if os.path.isdir(path) else os.path.splitext(parts[-1])[0]


def draw(runs, path):
    """Write one picture of the curves of all runs: loss, validation, learning rate, speed.

    Args:
        runs: [(name, reports)].
        path: of the picture, whose ending says the format.
    """
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(2, 2, figsize=(13, 8), sharex=True)
    panels = dict(zip(('loss', 'validation', 'rate', 'images_per_second'), axes.flat))
    figures = set()
    for number, (name, reports) in enumerate(runs):
        colour = 'C%d' % (number % 10)
        panels['loss'].plot(*_points(reports, 'train', 'loss'), color=colour, alpha=0.25,
                            linewidth=0.8)
        panels['loss'].plot(*_points(reports, 'train', 'smoothed_loss'), color=colour, label=name)
        for key in ('rate', 'images_per_second'):
            panels[key].plot(*_points(reports, 'train', key), color=colour, label=name)
        for key, title in FIGURES.items():
            x, y = _points(reports, 'validation', key)
            if y:
                figures.add(title)
                best = max(range(len(y)), key=y.__getitem__)
                panels['validation'].plot(x, y, 'o-', color=colour, markersize=3,
                                          label='%s, best %.4f at batch %d'
                                          % (name, y[best], x[best]))
    panels['loss'].set(ylabel='loss (thin: as reported, bold: smoothed)')
    panels['validation'].set(ylabel=' / '.join(sorted(figures)) or 'validation: none')
    panels['rate'].set(ylabel='learning rate', xlabel='batches')
    panels['images_per_second'].set(ylabel='images/s', xlabel='batches')
    for axis in panels.values():
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=8)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)


def _points(reports, kind, key):
    """([batch of the run], [value]) of a key of the reports of a kind that have a number for it."""
    found = [(report['update'], report[key]) for report in reports
             if report['kind'] == kind and isinstance(report.get(key), NUMBERS)]
    return [x for x, _ in found], [y for _, y in found]
