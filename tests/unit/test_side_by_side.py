"""lib/utils/side_by_side.py with small scripts in place of trainings."""
import os
import signal
import subprocess
import sys
import time

import pytest

from dff.errors import DFFError
from lib.utils.side_by_side import Step, run_steps

WRITE = "import os, sys; open(sys.argv[1], 'w').write(os.environ.get('OMP_NUM_THREADS', 'all'))"
# Says that it has begun and goes on when the other has.
MEET = """
import os, sys, time
open(sys.argv[1] + '.begun', 'w').close()
end = time.time() + 30
while not os.path.exists(sys.argv[2] + '.begun'):
    assert time.time() < end, 'the other script does not run at the same time'
    time.sleep(0.01)
print('has met the other')
""" + WRITE
# Ends in order, with a file, when it is asked to.
PATIENT = """
import signal, sys, time
def end(number, _):
    open(sys.argv[1] + '.saved', 'w').close()
    sys.exit(128 + number)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, end)
open(sys.argv[1] + '.begun', 'w').close()
time.sleep(60)
"""
FAIL = """
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
print('what is wrong', file=sys.stderr)
sys.exit(2)
"""


@pytest.fixture
def step(tmp_path):
    """step(name, script, needs, words): a Step whose script writes the file <name>, the first of its words."""
    def make(name, script, needs=(), words=()):
        path = tmp_path / ('%s.py' % name)
        path.write_text(script)
        return Step('training ' + name, str(tmp_path / name),
                    [str(path), str(tmp_path / name)] + [str(tmp_path / word) for word in words],
                    [str(tmp_path / need) for need in needs])
    return make


def test_steps_wait_for_what_they_need(step, tmp_path, capfd):
    # c comes first and needs both others; what none of the steps makes is no reason to wait.
    need_both = "import os, sys; assert all(os.path.exists(word) for word in sys.argv[2:])\n" + WRITE
    minutes = run_steps([step('c', need_both, ('a', 'b'), ('a', 'b')), step('a', WRITE, ('elsewhere',)),
                         step('b', WRITE)], 1, 4)
    assert list(minutes) == ['training a', 'training b', 'training c']
    assert all(0 < value < 1 for value in minutes.values())
    out = capfd.readouterr().out
    assert out.index('a.py') < out.index('b.py') < out.index('c.py') and '[training' not in out


def test_two_run_at_once_and_share_the_cores(step, tmp_path, capfd):
    minutes = run_steps([step('first', WRITE), step('a', MEET, ('first',), ('b',)),
                         step('b', MEET, ('first',), ('a',))], 2, 5)
    assert set(minutes) == {'training first', 'training a', 'training b'}
    assert (tmp_path / 'a').read_text() == (tmp_path / 'b').read_text() == '2'
    assert (tmp_path / 'first').read_text() == os.environ.get('OMP_NUM_THREADS', 'all')
    out = capfd.readouterr().out
    assert '[training a] has met the other\n' in out and '[training b] has met the other\n' in out


def test_where_one_fails_the_other_ends_in_order(step, tmp_path, capfd):
    fail = step('bad', FAIL)._replace(command=[step('bad', FAIL).command[0], str(tmp_path / 'good.begun')])
    with pytest.raises(DFFError, match='training bad ended with status 2; its message is above'):
        run_steps([step('good', PATIENT), fail, step('later', WRITE, ('good',))], 2, 2)
    assert (tmp_path / 'good.saved').exists() and not (tmp_path / 'later').exists()
    assert '[training bad] what is wrong' in capfd.readouterr().out


def test_ctrl_c_waits_for_what_runs(step, tmp_path, root):
    steps = [tuple(step(name, PATIENT)) for name in 'ab']
    code = ('from lib.utils.cli import run; from lib.utils.side_by_side import Step, run_steps\n'
            'run(lambda: run_steps([Step(*s) for s in %r], 2, 2))' % steps)
    process = subprocess.Popen([sys.executable, '-c', code], cwd=str(root), start_new_session=True,
                               stderr=subprocess.PIPE,
                               # ignored in a background job
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    end = time.time() + 30
    while not all((tmp_path / ('%s.begun' % name)).exists() for name in 'ab'):
        assert time.time() < end
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert 'stopped by Ctrl-C' in process.communicate(timeout=30)[1].decode() and process.returncode == 130
    assert (tmp_path / 'a.saved').exists() and (tmp_path / 'b.saved').exists()
