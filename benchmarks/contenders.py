"""The processes of tools/benchmark.py, which take turns on one machine, and what they took."""
import json
import os
import subprocess
import time

import numpy as np

from dff.errors import DFFError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Names of --against: contenders.
PEERS = {'builtin': ('builtin',), 'torch': ('torch-compile', 'torchscript'), 'openvino': ('openvino', 'openvino-int8'),
         'onnxruntime': ('onnxruntime', 'onnxruntime-int8'), 'exported': ('exported', 'exported-int8')}
FOREIGN = PEERS['torch'] + PEERS['openvino'] + PEERS['onnxruntime']
REST = 0.3      # seconds before a turn: the threads of the one before may still be waiting actively
PARTS = ('reading', 'key', 'current', 'post')


class Contender:
    """One process that runs the networks of a folder's job when told to.

    Args:
        name: a role of benchmarks/worker.py or benchmarks/peers/worker.py.
        python: interpreter that runs it.
        folder: of the job, see Job.
        threads: OMP_NUM_THREADS of the process.
        frames: that it runs in a turn.

    Attributes:
        reply: what it says of itself, or why it cannot run here ('missing').

    Raises:
        DFFError: the process ended; its own message is above.
    """

    def __init__(self, name, python, folder, threads, frames):
        self.name, self.threads, self.frames, self.memory = name, threads, frames, None
        self.rows, self.wall = [], 0.0
        script = os.path.join('peers', 'worker.py') if name in FOREIGN else 'worker.py'
        script = 'exported_worker.py' if name in PEERS['exported'] else script
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self._process = subprocess.Popen(
            [python, os.path.join(ROOT, 'benchmarks', script), name, folder], env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
        self.reply = self._read()

    def turn(self):
        """Time the next `frames` frames."""
        answer = self._ask(str(self.frames))
        self.rows += answer['frames']
        self.wall += answer['wall']

    def finish(self):
        """Note its peak memory, MB, and end it."""
        self.memory = self._ask('memory')
        self.end()

    def end(self, kill=False):
        """Let it end, or, with `kill`, end it whatever it is doing."""
        if kill:
            self._process.kill()
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def numbers(self):
        """Medians in ms: each of PARTS (None where there is none), 'total' of a frame, 'fps', and
        what else the table holds.
        """
        columns = {
            'reading': [row[1] for row in self.rows],
            'post': [row[3] for row in self.rows],
            'key': [row[2] for row in self.rows if row[0]],
            'current': [row[2] for row in self.rows if not row[0]],
        }
        medians = {
            part: None if not values or None in values else float(np.median(values))
            for part, values in columns.items()
        }
        shares = {kind: len(columns[kind]) / len(self.rows) for kind in ('key', 'current')}
        total = sum(medians[kind] * share for kind, share in shares.items() if share)
        total += sum(medians[part] or 0 for part in ('reading', 'post'))
        inside = sum(row[2] for row in self.rows)
        return dict(medians, total=total, fps=1e3 / total, frames=len(self.rows),
                    key_frames=len(columns['key']), memory=self.memory,
                    outside=None if medians['reading'] is None else 1 - inside / self.wall,
                    threads=self.threads, **self.reply)

    def _ask(self, line):
        self._process.stdin.write(line + '\n')
        self._process.stdin.flush()
        return self._read()

    def _read(self):
        for line in self._process.stdout:
            if line.startswith('@'):      # other lines are the libraries' own
                answer = json.loads(line[1:])
                if isinstance(answer, dict) and 'error' in answer:
                    self._process.wait()
                    raise DFFError(answer['error'])
                return answer
        raise DFFError('the benchmark process %s ended with status %s; its message is above'
                       % (self.name, self._process.wait()))


def race(contenders, rounds):
    """Let all take turns, and end."""
    try:
        for _ in range(rounds):
            for contender in contenders:
                time.sleep(REST)
                contender.turn()
        for contender in contenders:
            contender.finish()
    except BaseException:
        for contender in contenders:
            contender.end(kill=True)
        raise


def differences(folder, names):
    """{name: largest difference of NAME.npz from reference.npz, of each array relative to its largest value}.

    Those of `names` that wrote such a file.
    """
    with np.load(os.path.join(folder, 'reference.npz')) as saved:
        reference = {key: saved[key] for key in saved.files}
    found = {}
    for name in names:
        path = os.path.join(folder, name + '.npz')
        if os.path.exists(path):
            with np.load(path) as saved:
                found[name] = max(
                    float(abs(saved[key] - reference[key]).max() / abs(reference[key]).max())
                    for key in saved.files)
    return found
