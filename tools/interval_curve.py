"""Accuracy against time for key frames at fixed intervals and by mismatch, as figure 3 of the paper.

    python tools/interval_curve.py --cfg experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml

Tests the trained detector of the settings with every interval and every limit of the mismatch
(TEST.KEY_FRAME_POLICY: flow); finished tests of an earlier run are used again. Writes curve.png,
curve.json and curve.md next to the results and prints the table.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
from dff_rfcn.task import TASK  # noqa: E402
from lib.config.cli import apply_arguments, base_parser  # noqa: E402
from lib.config.config import update_from_settings  # noqa: E402
from dff.files import write_json  # noqa: E402
from lib.utils.argument_types import positive  # noqa: E402
from lib.inference.testing import test_net  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from dff.files import atomic_path  # noqa: E402

INTERVALS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20)
MISMATCHES = (30.0, 45.0, 60.0, 80.0, 110.0, 150.0, 200.0, 260.0)


def grey_levels(text):
    """A number above 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError('expected a number above 0, found %r' % text)
    return value


def parse_arguments():
    """Return the command line, an argparse.Namespace."""
    parser = base_parser(__doc__.split('\n')[0])
    parser.add_argument('--intervals', type=positive, nargs='+', default=INTERVALS, metavar='N', help='fixed intervals')
    parser.add_argument(
        '--mismatches', type=grey_levels, nargs='*', default=MISMATCHES, metavar='X',
        help='limits of the mismatch, TEST.KEY_FRAME_MISMATCH; none after the flag: fixed intervals only')
    parser.add_argument('--most', type=positive, default=20, metavar='N',
                        help='key frames by mismatch are at most N apart (default 20)')
    parser.add_argument('--ignore_cache', action='store_true',
                        help='run again where detections of finished clips exist')
    return parser.parse_args()


def measure(cfg_path, policy, interval, limit, ignore_cache):
    """Return one point of the curve.

    A dict of policy, interval, mismatch, mAP, ms, frames_a_key_frame and the path of the
    detections.

    Args:
        cfg_path: file of the settings.
        policy: TEST.KEY_FRAME_POLICY.
        interval: frames between key frames, with the policy flow at most.
        limit: TEST.KEY_FRAME_MISMATCH, or None.
        ignore_cache: test again where there are results.
    """
    settings = ['TEST.KEY_FRAME_POLICY=%s' % policy]
    if limit is not None:
        settings.append('TEST.KEY_FRAME_MISMATCH=%r' % limit)
    update_from_settings(TASK.config, settings)
    numbers = test_net(TASK, TASK.config, cfg_path, interval=interval, ignore_cache=ignore_cache)
    return {
        'policy': policy, 'interval': interval, 'mismatch': limit, 'mAP': numbers['mAP'],
        'ms': numbers['ms']['frame'],
        'frames_a_key_frame': numbers['frames'] / numbers['key_frames'],
        'detections': numbers['detections'],
    }


def saved_key_frames(points):
    """[(point of policy flow, factor)]: how many times fewer key frames it has than fixed intervals need for its mAP.

    What fixed intervals need: the best frames_a_key_frame of a fixed interval whose mAP is at
    least as high, or, between two intervals, that of the straight line through them. Points that
    no fixed interval reaches are left out.
    """
    fixed = sorted((point['frames_a_key_frame'], point['mAP']) for point in points if point['policy'] == 'fixed')
    found = []
    for point in (point for point in points if point['policy'] == 'flow'):
        reached = [_crossing(a, b, point['mAP']) for a, b in zip(fixed, fixed[1:] + fixed[-1:])]
        best = max((frames for frames in reached if frames is not None), default=None)
        if best is not None:
            found.append((point, point['frames_a_key_frame'] / best))
    return found


def _crossing(first, second, wanted):
    """The largest abscissa between two points of a curve at which it is at least `wanted`; None where it is nowhere."""
    (x1, y1), (x2, y2) = first, second
    if y2 >= wanted:
        return x2
    return x1 + (x2 - x1) * (y1 - wanted) / (y1 - y2) if y1 >= wanted else None


def table(points):
    """All points as Markdown."""
    factors = {id(point): factor for point, factor in saved_key_frames(points)}
    lines = [
        '| key frames | mAP@0.5 | frames for each key frame | ms a frame | fewer key frames than '
        'fixed, same mAP |',
        '|---|---|---|---|---|'
    ]
    for point in points:
        name = 'every %d' % point['interval'] if point['policy'] == 'fixed' else 'mismatch above %g' % point['mismatch']
        factor = '%.2fx' % factors[id(point)] if id(point) in factors else ''
        ms = '' if point['ms'] is None else '%.1f' % point['ms']
        lines.append('| %s | %.4f | %.1f | %s | %s |' % (name, point['mAP'], point['frames_a_key_frame'], ms, factor))
    return '\n'.join(lines)


def plot(points, path):
    """Accuracy against ms a frame, and against frames for each key frame."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for policy, style in (('fixed', 'o-'), ('flow', 's--')):
        for axis, key in zip(axes, ('ms', 'frames_a_key_frame')):
            chosen = sorted((point[key], point['mAP'])
                            for point in points
                            if point['policy'] == policy and point[key] is not None)
            axis.plot([x for x, _ in chosen], [y for _, y in chosen], style,
                      label='by mismatch' if policy == 'flow' else 'fixed interval')
    axes[0].set(xlabel='ms a frame', ylabel='mAP@0.5')
    axes[1].set(xlabel='frames for each key frame')
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, bbox_inches='tight')
    plt.close(figure)


def main():
    """Run the command."""
    args = parse_arguments()
    TASK.load_symbols()
    cfg_path = apply_arguments(TASK.config, TASK.update_config, args)
    points = [measure(cfg_path, 'fixed', interval, None, args.ignore_cache) for interval in sorted(set(args.intervals))]
    points += [measure(cfg_path, 'flow', args.most, limit, args.ignore_cache) for limit in sorted(set(args.mismatches))]
    folder = os.path.dirname(os.path.dirname(points[0]['detections']))
    text = table(points)
    plot(points, os.path.join(folder, 'curve.png'))
    write_json(os.path.join(folder, 'curve.json'), {'points': points})
    with atomic_path(os.path.join(folder, 'curve.md')) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
        stream.write(text + '\n')
    print('\n%s\n\ncurve, table, figures: %s' % (text, os.path.join(folder, 'curve.png')))


if __name__ == '__main__':
    run(main)
