"""Frame baseline and DFF side by side, as tools/compare.py shows them: a table and a plot."""
from dff.files import atomic_path

MEASURES = {'mAP': 'mAP@0.5', 'mIoU': 'mIoU'}


def table(rows, measure):
    """Return the comparison as Markdown: accuracy (of detection also by speed), milliseconds a frame, speed-up.

    The speed-up compares key frames and all frames of the row's own run: between runs a machine's speed may drift.
    """
    columns = ['network', MEASURES[measure], 'ms a frame', 'key / other frame, ms', 'speed-up']
    if measure == 'mAP':
        columns.insert(2, 'slow / medium / fast objects')
    lines = [columns, ['---'] * len(columns)]
    for name, numbers in rows:
        ms = numbers['ms']
        parts = ' / '.join('%.1f' % ms[kind] for kind in ('key', 'current') if ms[kind] is not None)
        key_frame = ms['reading'] + ms['key'] + ms['post']
        cells = [name, '%.4f' % numbers[measure], '%.1f' % ms['frame'], parts, '%.1fx' % (key_frame / ms['frame'])]
        if measure == 'mAP':
            cells.insert(2, ' / '.join('none' if ap is None else '%.3f' % ap
                                       for ap in numbers['mAP_by_speed'].values()))
        lines.append(cells)
    return '\n'.join('| %s |' % ' | '.join(cells) for cells in lines)


def plot(rows, measure, path):
    """Draw accuracy against milliseconds a frame, as in the paper's figure 3.

    Args:
        rows: [(name, numbers of results.json)].
        measure: key of the accuracy in them.
        path: picture to write.
    """
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(6, 4))
    for name, numbers in rows:
        axes.plot(numbers['ms']['frame'], numbers[measure], 'o', label=name)
    axes.set(xlabel='ms a frame', ylabel=MEASURES[measure], ylim=(0, 1),
             xlim=(0, 1.1 * max(n['ms']['frame'] for _, n in rows)))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, bbox_inches='tight')
