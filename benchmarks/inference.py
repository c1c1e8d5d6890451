"""DFF R-FCN of full size against other ways to run it on this machine's CPU: python benchmarks/inference.py

    builtin        the original's graph on MXNet's own operators, with MXNet's default number of threads (half of the processors)
    float32, int8  this project, with everything from prepared frame to detections
    torch          PyTorch, the same network: torch.compile with freezing; TorchScript, frozen, with the oneDNN graph fuser
    openvino       OpenVINO, from the PyTorch network

All get the same parameters (random) and frames. Each is a process of its own that waits while another runs: they take turns, a few
frames each, so that a busy machine slows all alike. PyTorch and OpenVINO run without proposals, pooling and NMS, for which they
are not charged. They may be in another environment (--peer-python); who is not installed is left out, with a message.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from lib.utils.cli import run  # noqa: E402
from lib.utils.errors import DFFError  # noqa: E402
from lib.utils.files import atomic_path  # noqa: E402
from lib.utils.threads import physical_cores  # noqa: E402

OURS = ('builtin', 'float32', 'int8')
PEERS = ('torch-compile', 'torchscript', 'openvino')
KINDS = ('key', 'current')


class Contender:
    """One process that runs the networks when told to."""

    def __init__(self, name, python, folder, threads, clock):
        self.name, self.times = name, {kind: [] for kind in KINDS}
        script = 'inference_worker.py' if name in OURS else os.path.join('peers', 'worker.py')
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self._process = subprocess.Popen([python, os.path.join(ROOT, 'benchmarks', script), name, folder, clock], env=environment,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
        self.reply = self._read()

    def run(self, kind, count):
        """Time `count` frames of a kind."""
        self.times[kind] += self.ask('%s %d' % (kind, count))

    def ask(self, line):
        """The worker's answer to a command."""
        self._process.stdin.write(line + '\n')
        self._process.stdin.flush()
        return self._read()

    def close(self):
        self._process.stdin.close()
        self._process.wait()

    def _read(self):
        for line in self._process.stdout:
            if line.startswith('@'):      # other lines are the libraries' own
                return json.loads(line[1:])
        raise DFFError('the benchmark process %s ended with status %s; its message stands above' % (self.name, self._process.wait()))


def start(names, args, folder):
    """The contenders that can run here."""
    contenders = []
    for name in names:
        threads = max(1, (os.cpu_count() or 1) // 2) if name == 'builtin' and not args.cpu_time else args.threads
        python, clock = sys.executable if name in OURS else args.peer_python, 'process_time' if args.cpu_time else 'perf_counter'
        contender = Contender(name, python, folder, threads, clock)
        missing = contender.reply.get('missing')
        if missing:
            print('left out: %s (%s)' % (name, missing))
            contender.close()
        else:
            print('%s: %s, %d thread%s' % (name, contender.reply['version'], threads, '' if threads == 1 else 's'), flush=True)
            contenders.append(contender)
    return contenders


def differences(folder, names):
    """{name: largest difference of its outputs from those of float32 (builtin where that is absent), relative to the largest value}"""
    outputs = {}
    for name in names:
        with np.load(os.path.join(folder, name + '.npz')) as saved:
            outputs[name] = {key: saved[key] for key in saved.files}
    first = outputs.get('float32') or outputs[names[0]]
    return {name: max(abs(values[key] - first[key]).max() / abs(first[key]).max() for key in first) for name, values in outputs.items()}


def table(contenders, interval, different):
    """Medians (and least times) as Markdown."""
    rows = []
    for contender in contenders:
        medians, least = ({kind: reduce(contender.times[kind]) for kind in KINDS} for reduce in (np.median, np.min))
        mean, best = ((ms['key'] + (interval - 1) * ms['current']) / interval for ms in (medians, least))
        rows.append((contender.name, medians['key'], medians['current'], mean, best))
    lines = ['| | key frame, ms | other frame, ms | a frame at interval %d | least | builtin / this | outputs differ |' % interval,
             '|---|---|---|---|---|---|---|']
    base = next((row[3] for row in rows if row[0] == 'builtin'), None)
    for name, key, current, mean, best in rows:
        speed_up = '%.2fx' % (base / mean) if base else ''
        lines.append('| %s | %.0f | %.0f | %.0f | %.0f | %s | %.1e |' % (name, key, current, mean, best, speed_up, different[name]))
    return '\n'.join(lines)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    everyone = OURS + PEERS
    parser.add_argument('--only', nargs='+', choices=everyone, default=everyone, metavar='NAME', help='some of: ' + ', '.join(everyone))
    parser.add_argument('--rounds', type=int, default=15, help='turns of each (default 15)')
    parser.add_argument('--frames', type=int, default=3, help='frames other than key frames in a turn, beside one key frame (default 3)')
    parser.add_argument('--interval', type=int, default=10, help='key-frame interval of the means (default 10)')
    parser.add_argument('--size', type=int, nargs=2, default=(562, 1000), metavar=('H', 'W'), help='of the frames (default 562 1000)')
    parser.add_argument('--peer-python', default=sys.executable, help='Python that has torch and openvino (default: this one)')
    parser.add_argument('--threads', type=int, help='of all but builtin (default: the physical cores; 1 with --cpu_time)')
    parser.add_argument('--cpu_time', action='store_true', help="the process's processor time with one thread each, for a busy machine")
    parser.add_argument('--json', metavar='FILE', help='also write all times here')
    args = parser.parse_args()
    args.threads = args.threads or (1 if args.cpu_time else physical_cores())
    return args


def main():
    args = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'size.json'), 'w') as stream:
            json.dump(list(args.size), stream)
        names = [name for name in OURS + PEERS if name in args.only]
        # The first one to run writes the parameters; a process for it, so that this one holds no networks.
        worker = os.path.join(ROOT, 'benchmarks', 'inference_worker.py')
        subprocess.check_call([sys.executable, worker, 'parameters', folder, 'perf_counter'])
        contenders = start(names, args, folder)
        if not contenders:
            raise DFFError('nothing to run')
        different = differences(folder, [contender.name for contender in contenders])
        for _ in range(args.rounds):
            for contender in contenders:
                contender.run('key', 1)
                contender.run('current', args.frames)
        extra = {contender.name: contender.ask('stream') for contender in contenders if contender.name in ('float32', 'int8')}
        for contender in contenders:
            contender.close()
    print('\n%s' % table(contenders, args.interval, different))
    for name, lines in extra.items():
        print('\n%s: %s' % (name, '\n'.join(lines)))
    if args.json:
        with atomic_path(args.json) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
            json.dump({contender.name: contender.times for contender in contenders}, stream)


if __name__ == '__main__':
    run(main)
