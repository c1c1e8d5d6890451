"""Time the networks of DFF, of frames between two key frames, and of key frames joined recursively.

    OMP_NUM_THREADS=1 python benchmarks/key_frames.py --cfg FILE.yaml [--repeats 5] [--set a.b=c ...]

With random parameters and drawn frames. The networks take turns; printed is the least time of the processor, which
other work on the machine hardly changes, and the peak memory of all of them together.
"""
import os
import resource
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402

from benchmarks.job import Job  # noqa: E402
from dff.frames import prepare  # noqa: E402
from dff.sources import open_frames  # noqa: E402
from lib.config.cli import base_parser  # noqa: E402
from lib.inference.key_frames import input_format  # noqa: E402
from lib.inference.networks import with_test_settings  # noqa: E402
from lib.symbols.initialise import initial_value  # noqa: E402
from lib.symbols.warp import EMBEDDING  # noqa: E402
from lib.utils.argument_types import positive  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def make_networks(job, with_embeddings, **settings):
    """Return PropagatingNetworks.

    Args:
        job: a Job.
        with_embeddings: the network has them.
        settings: of TEST, others than the Job's.
    """
    config = with_test_settings(job.config, TRACK=False, **settings)
    arg_params, aux_params = job.params(lambda line: None)
    if with_embeddings:
        wide = config.network.EMBED_DIM
        narrow, feature = wide // 4, config.network.DFF_FEAT_DIM
        shapes = [(narrow, feature, 1, 1), (narrow,), (narrow, narrow, 3, 3), (narrow,), (wide, narrow, 1, 1), (wide,)]
        arg_params.update((name, mx.nd.array(initial_value(name, shape))) for name, shape in zip(EMBEDDING, shapes))
    params = arg_params, aux_params
    return job.task.kind.predictor(config, job.instance, params, mx.cpu(), job.interval, 'random').networks


def main():
    """Run the command."""
    parser = base_parser(__doc__.split('\n')[0])
    parser.add_argument('--repeats', type=positive, default=5, metavar='N', help='runs of each network (default 5)')
    args = parser.parse_args()
    job = Job(args.cfg, [text for group in args.settings for text in group], 'cpu')
    with tempfile.TemporaryDirectory() as folder:
        job.use_random_params(folder)
        job.use_drawn_frames(folder)
        form = input_format(job.config)
        first, frame, second = [prepare(image, form) for image in open_frames(job.frames)][:3]
        plain = make_networks(job, False, KEY_FRAME_POLICY='both')
        joined = make_networks(job, True, KEY_FRAME_POLICY='both', AGGREGATE='recursive')
    keys = [plain.key(each)[1] for each in (first, second)]
    rows = {
        'key frame': lambda: plain.key(second),
        'key frame, joined with the one before': lambda: joined.key(second, keys[0]),
        'other frame': lambda: plain.current(frame, keys[0]),
        'between two key frames, by time': lambda: plain.between(frame, *keys, 0.5),
        'between two key frames, by time and cosine': lambda: joined.between(frame, *keys, 0.5)}
    least = dict.fromkeys(rows, float('inf'))
    for repeat in range(args.repeats + 1):
        for name, step in rows.items():
            mx.nd.waitall()
            start = time.process_time()
            step()
            mx.nd.waitall()
            if repeat:      # the first one prepares weights
                least[name] = min(least[name], (time.process_time() - start) * 1e3)
    print('| network | ms of the processor |\n|---|---|')
    for name, milliseconds in least.items():
        print('| %s | %.1f |' % (name, milliseconds))
    print('peak memory %d MB' % (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))


if __name__ == '__main__':
    run(main)
