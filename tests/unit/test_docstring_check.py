""".ci/docstrings.py: what it asks of public functions, and what it leaves alone."""
import subprocess
import sys

import pytest


@pytest.fixture
def check(root, tmp_path):
    """check(text): (exit status, findings without their path) for a file of that text."""
    def run(text):
        (tmp_path / 'package').mkdir(exist_ok=True)
        path = tmp_path / 'package' / 'module.py'
        path.write_text(text, encoding='utf-8')
        done = subprocess.run([sys.executable, str(root / '.ci' / 'docstrings.py'), str(tmp_path)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        assert not done.stderr
        start = '%s:' % path
        lines = done.stdout.splitlines()
        assert all(line.startswith(start) for line in lines)
        return done.returncode, [line[len(start):] for line in lines]
    return run


FINDINGS = {
    'function': ('def f():\n    pass\n', '1: f has no docstring'),
    'method': ('class Box:\n    """A box."""\n\n    def area(self):\n        pass\n', '4: area has no docstring'),
    'class': ('class Box:\n    size = 1\n', '1: Box has no docstring'),
    'coroutine': ('async def f():\n    pass\n', '1: f has no docstring'),
    'parameter': ('def f(a, b, c):\n    """Add a to b."""\n', '1: f: the docstring does not name c'),
    'parameters of all kinds': ('def f(a, *args, key=1, **more):\n    """Add."""\n',
                                '1: f: the docstring does not name a, key, args, more'),
    'part of a word': ('def f(first, b, c):\n    """Take firstly b and c."""\n',
                       '1: f: the docstring does not name first'),
    'parameter of a method': (
        'class Box:\n    """A box."""\n\n    def move(self, x, y, z):\n        """Move by x, y."""\n',
        '4: Box.move: the docstring does not name z'),
    'parameter of __init__': (
        'class Box:\n    """A box of x and y."""\n\n    def __init__(self, x, y, z):\n        pass\n',
        '4: Box.__init__: the docstring does not name z'),
    'underlined': ('def f(a):\n    """Half.\n\n    Returns\n    -------\n    float\n    """\n',
                   "1: f: underlined sections; write Google's, as `Args:`"),
}
CLEAN = {
    'empty': '',
    'private function': 'def _f(a, b, c):\n    pass\n',
    'private class': 'class _Box:\n    def area(self):\n        pass\n',
    'nested function': 'def f():\n    """Those inside are private."""\n    def g():\n        pass\n',
    'two parameters': 'def f(a, b):\n    """So few may go without saying."""\n',
    'underscored parameter': 'def f(a, b, _unused):\n    """It does not count."""\n',
    'all named': 'def f(a, b, c):\n    """Add.\n\n    Args:\n        a, b: numbers.\n        c: another.\n    """\n',
    'said elsewhere': 'def f(a, b, c):\n    """See g."""\n',
    '__init__, by the class': 'class Box:\n    """A box of x, y and z."""\n\n'
                              '    def __init__(self, x, y, z):\n        pass\n',
    'self': 'class Box:\n    """A box."""\n\n    def move(self, x, y):\n        """Move it."""\n',
    'overload': 'from typing import overload\n\n\n@overload\ndef f():\n    ...\n',
}


@pytest.mark.parametrize('text, finding', FINDINGS.values(), ids=list(FINDINGS))
def test_what_is_found(check, text, finding):
    assert check(text) == (1, [finding])


@pytest.mark.parametrize('text', CLEAN.values(), ids=list(CLEAN))
def test_what_is_left_alone(check, text):
    assert check(text) == (0, [])


def test_all_files_of_all_folders_are_looked_at(root, tmp_path):
    for name in ('one', 'two/deep'):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / 'x.py').write_text('def f():\n    pass\n')
    done = subprocess.run([sys.executable, str(root / '.ci' / 'docstrings.py'), 'one', 'two'], cwd=str(tmp_path),
                          stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ['one/x.py:1: f has no docstring', 'two/deep/x.py:1: f has no docstring']
