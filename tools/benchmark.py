"""Where the time of a frame goes, and against whom it is gained: python tools/benchmark.py --help

    python tools/benchmark.py --cfg experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml --input VIDEO --model PREFIX
    python tools/benchmark.py --cfg FILE.yaml --against builtin,torch,openvino --precision float32,int8

Works without a model (random parameters) and without an input (drawn frames as large as SCALES
allows). Each row of the table is a process of its own; they take turns, so that a busy machine
slows all equally. --against:

    builtin     the network as the original would run today: MXNet's own operators, MXNet's default number of threads
    torch       PyTorch, twice: torch.compile with freezing; TorchScript, frozen, with the oneDNN graph fuser
    openvino    OpenVINO, made from the PyTorch network, twice: float32; int8, by NNCF
    onnxruntime onnxruntime, made from the PyTorch network, twice: float32; int8, by its static quantisation
    exported    the ONNX files of tools/export_model.py in onnxruntime, twice: float32; int8

They get the same parameters and frames, int8 is calibrated on the same first ones for all, and what
they compute is compared before they are timed.
All but `exported` are not charged for reading and post-processing, PyTorch, OpenVINO and onnxruntime
neither for proposals and pooling, which only exist here. Peak memory is that of the whole process,
calibration included. Who is not installed is left out, with a message: pip install -r
requirements-bench.txt, or --peer-python for another environment. `exported` runs in this one, with the
packages of requirements-onnx.txt.
"""
import os
import platform
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
sys.path.insert(0, ROOT)

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import cv2  # noqa: E402
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402
from benchmarks.contenders import FOREIGN, PARTS, PEERS, Contender, differences, race  # noqa: E402
from benchmarks.job import Job  # noqa: E402
from lib.config.cli import base_parser  # noqa: E402
from lib.utils.paths import resolve  # noqa: E402
from lib.engine.devices import contexts  # noqa: E402
from dff.files import write_json  # noqa: E402
from lib.utils.argument_types import EPOCH, INTERVAL, epoch_or_best, positive, some_of  # noqa: E402
from dff.runtime.machine import processor  # noqa: E402
from dff.frames import prepare  # noqa: E402
from lib.inference.key_frames import input_format, require_one_pass  # noqa: E402
from dff.sources import open_frames  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from dff.errors import ConfigError, DataError  # noqa: E402
from lib.utils.threads import physical_cores  # noqa: E402

EVERY = 'every-frame'
BASELINE_FRAMES = 2      # of the frame baseline in a turn
NAMES = {
    EVERY: 'every frame a key frame', 'builtin': "MXNet's operators and defaults", 'torch-compile':
    'PyTorch, torch.compile', 'torchscript': 'PyTorch, TorchScript', 'openvino': 'OpenVINO',
    'openvino-int8': 'OpenVINO, int8', 'onnxruntime': 'onnxruntime', 'onnxruntime-int8': 'onnxruntime, int8',
    'exported': 'exported, onnxruntime', 'exported-int8': 'exported, onnxruntime, int8'
}


def parse_arguments():
    """Return the command line, an argparse.Namespace."""
    parser = base_parser(__doc__.split('\n')[0])
    parser.add_argument('--model', metavar='PREFIX', help='parameters are PREFIX-%%04d.params (default: random ones)')
    parser.add_argument('--epoch', type=epoch_or_best, default=0, metavar='N', help=EPOCH)
    parser.add_argument('--input', metavar='PATH', help='folder of frames or video file (default: drawn frames)')
    parser.add_argument('--against', type=some_of(*PEERS), default=[], metavar='NAMES',
                        help='some of %s' % ','.join(PEERS))
    parser.add_argument('--precision', type=some_of('float32', 'int8'), metavar='NAMES',
                        help='float32, int8 or both, as float32,int8; overrides TEST.PRECISION')
    parser.add_argument('--interval', type=positive, metavar='N',
                        help='%s; overrides TEST.KEY_FRAME_INTERVAL' % INTERVAL)
    parser.add_argument('--frames', type=positive, default=40, metavar='N', help='frames to time at least (default 40)')
    parser.add_argument('--threads', type=positive, metavar='N',
                        help='of all but builtin (default: the physical cores)')
    parser.add_argument('--peer-python', default=sys.executable, metavar='PATH',
                        help='Python that has torch, openvino and onnxruntime (default: this one)')
    parser.add_argument('--json', metavar='FILE', help='also write all figures here')
    return parser.parse_args()


def make_job(args, folder):
    """The Job that the arguments describe, with all its files. Raises ConfigError, DataError, CheckpointError."""
    settings = [setting for group in args.settings for setting in group]
    if args.precision:
        settings.append('TEST.PRECISION=%s' % args.precision[0])
    path = args.cfg if os.path.exists(args.cfg) else resolve(args.cfg)
    job = Job(path, settings, args.gpus, args.model, args.epoch, args.input, args.interval)
    require_one_pass(job.config, 'one pass over a frame is timed')
    args.precision = args.precision or [job.config.TEST.PRECISION]
    if args.against and contexts(job.config.gpus, lambda line: None)[0].device_type != 'cpu':
        raise ConfigError('--against compares on the CPU: add --gpus cpu')
    if job.task.recognises != 'detection' and set(args.against) - {'builtin', 'exported'}:
        raise ConfigError('--against torch, openvino and onnxruntime know the detectors only; for segmentation there '
                          'is --against builtin,exported')
    alone = [name for name in args.against if name != 'exported']
    if job.instance.propagates and job.config.TEST.KEY_FRAME_POLICY == 'both' and alone:
        raise ConfigError('--against %s runs a network of one key frame, and TEST.KEY_FRAME_POLICY is both: add '
                          '--set TEST.KEY_FRAME_POLICY=middle, or compare with --against exported' % ','.join(alone))
    if job.frames is None:
        job.use_drawn_frames(folder)
    if next(iter(open_frames(job.frames)), None) is None:
        raise DataError('no frame of %s can be decoded' % job.frames)
    if job.prefix is None:
        job.use_random_params(folder)
    job.params()      # a message about them comes now, once
    job.write(folder)
    return job


def start(job, args, folder):
    """Start the processes that run networks, and return those that can here, [Contender].

    The frame baseline is the first where it is another network run.

    Args:
        job: the Job.
        args: the command line.
        folder: where the job lies for the processes.
    """
    own = ([EVERY] if job.interval > 1 else []) + args.precision
    names = own + [name for peer in args.against for name in PEERS[peer]]
    contenders = []
    try:
        for name in names:
            if name in PEERS['exported'] and not exported(name, folder, args.threads):
                continue
            threads = max(1, (os.cpu_count() or 1) // 2) if name == 'builtin' else args.threads
            frames = BASELINE_FRAMES if name == EVERY else job.interval
            contender = Contender(name, args.peer_python if name in FOREIGN else sys.executable,
                                  folder, threads, frames)
            if 'missing' in contender.reply:
                print('left out: %s (%s)' % (NAMES[name], contender.reply['missing']))
                contender.end()
            else:
                contenders.append(contender)
    except BaseException:
        for contender in contenders:
            contender.end(kill=True)
        raise
    return contenders


def exported(name, folder, threads):
    """Let a process of its own write the files that the contender `name` runs; returns whether it could.

    folder: of the job; threads: of the process.
    """
    role = 'export-int8' if name.endswith('-int8') else 'export-float32'
    writer = Contender(role, sys.executable, folder, threads, 0)
    writer.end()
    if 'missing' in writer.reply:
        print('left out: %s (%s)' % (NAMES[name], writer.reply['missing']))
    return 'missing' not in writer.reply


def table(rows, different):
    """The figures, {name: Contender.numbers()}, as Markdown; the first row is the frame baseline."""
    against = {name: row for name, row in rows.items() if name in sum(PEERS.values(), ())}
    base, builtin = next(iter(rows.values()))['total'], rows.get('builtin')
    head = [
        'ms', 'reading', 'key network', 'current network', 'post-processing', 'total', 'fps',
        'against every frame', 'peak memory, MB'
    ]
    head += ['against builtin'] * bool(builtin) + ['outputs differ by'] * bool(against)
    lines = ['| %s |' % ' | '.join(head), '|' + '---|' * len(head)]
    for name, row in rows.items():
        cells = [NAMES.get(name, name)] + ['' if row[part] is None else '%.1f' % row[part] for part in PARTS]
        cells += ['%.1f' % row['total'], '%.2f' % row['fps'], '%.2fx' % (base / row['total']), '%.0f' % row['memory']]
        cells += ['%.2fx' % (builtin['total'] / row['total'])] if builtin else []
        cells += ['%.0e' % different[name] if name in different else ''] if against else []
        lines.append('| %s |' % ' | '.join(cells))
    return '\n'.join(lines)


def notes(job, rows, facts):
    """Return the lines below the table.

    Args:
        job: the Job.
        rows: {name: Contender.numbers()}.
        facts: of facts_of.
    """
    first = next(name for name in rows if name != EVERY)
    frames = ('medians of %d frames' % rows[first]['frames']
              if job.interval == 1 else 'medians of %d frames, %d of them key frames'
              % (rows[first]['frames'], rows[first]['key_frames']))
    lines = [
        '%s; interval %d%s; network input %s; %s'
        % (frames, job.interval, '' if job.instance.propagates else ' (no flow network)',
         facts['input'], job.config.symbol),
        'machine: %(machine)s; %(versions)s' % facts, 'threads: ' + ', '.join(
            '%s %d' % (NAMES.get(name, name), row['threads']) for name, row in rows.items())
    ]
    for name, row in rows.items():
        if name in ('float32', 'int8'):
            parts = ', '.join('%s network %s' % pair for pair in row['precision'].items())
            lines.append('%s: %s; outside of the networks %.1f %% of the wall time'
                         % (name, parts, 100 * row['outside']))
    return lines


def facts_of(job, rows):
    """{'machine', 'versions', 'input'}, in words."""
    frame = prepare(next(iter(open_frames(job.frames))), input_format(job.config))
    versions = [
        '%s %s' % pair
        for pair in (('Python', platform.python_version()), ('MXNet', mx.__version__),
                     ('NumPy', np.__version__), ('OpenCV', cv2.__version__))
    ]
    versions += sorted({row['version'] for name, row in rows.items() if name in FOREIGN + PEERS['exported']})
    with open('/proc/meminfo', encoding='utf-8') as stream:
        memory = int(next(line for line in stream if line.startswith('MemTotal')).split()[1]) >> 20
    device = contexts(job.config.gpus.split(',')[0], lambda line: None)[0]
    return {
        'machine': '%s, %d cores, %d GB, on %s' % (processor(), physical_cores(), memory, device),
        'versions': ', '.join(versions), 'input': '%dx%d' % frame.tensor.shape[2:]
    }


def main():
    """Run the command."""
    args = parse_arguments()
    args.threads = args.threads or int(os.environ['OMP_NUM_THREADS'])
    with tempfile.TemporaryDirectory() as folder:
        job = make_job(args, folder)
        if args.against:
            Contender('outputs', sys.executable, folder, args.threads, 0).end()
        contenders = start(job, args, folder)
        different = differences(folder, [contender.name for contender in contenders]) if args.against else {}
        race(contenders, -(-args.frames // job.interval))
        rows = {contender.name: contender.numbers() for contender in contenders}
        facts = facts_of(job, rows)
        lines = notes(job, rows, facts)
    print('\n%s\n\n%s' % (table(rows, different), '\n'.join(lines)))
    if args.json:
        times = {contender.name: contender.rows for contender in contenders}
        write_json(
            args.json,
            dict(facts, symbol=job.config.symbol, interval=job.interval, rows=rows,
                 differences=different, frames=times))


if __name__ == '__main__':
    run(main)
