"""What is said where a package that a use needs is missing, broken, or its import was broken off."""
import importlib

import pytest

from dff.errors import SetupError
from dff.packages import importing, needed


def package(folder, name, code, monkeypatch):
    """A package `name` that runs `code` when it is imported."""
    (folder / ('%s.py' % name)).write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()


def test_a_package_that_is_there():
    assert needed('json', 'this needs', 'pip install json').loads('1') == 1


def test_a_missing_package():
    with pytest.raises(SetupError) as error:
        needed('no_such_engine', 'running needs', 'pip install engine')
    assert str(error.value) == ("running needs no_such_engine (No module named 'no_such_engine'); "
                                'install it with: pip install engine')


@pytest.mark.parametrize('code, said', [
    ('import no_such_dependency', "ModuleNotFoundError: No module named 'no_such_dependency'"),
    ('raise ImportError("libx.so.1: cannot open shared object file\\nand more")',
     'ImportError: libx.so.1: cannot open shared object file'),
    ('raise AttributeError("_ARRAY_API not found")', 'AttributeError: _ARRAY_API not found'),
    ('raise ImportError', 'ImportError: no reason given')])
def test_a_broken_package_says_its_own_error(tmp_path, monkeypatch, code, said):
    package(tmp_path, 'broken_engine', code, monkeypatch)
    with pytest.raises(SetupError) as error:
        needed('broken_engine', 'running needs', 'pip install engine')
    assert str(error.value) == ('running needs broken_engine, which is installed but cannot be imported (%s); '
                                'reinstall it with: pip install engine --force-reinstall' % said)


@pytest.mark.parametrize('code', [
    'raise KeyboardInterrupt',
    'try:\n    raise KeyboardInterrupt\nexcept BaseException as cause:\n'
    '    raise ImportError("initialization failed") from cause',
    'try:\n    raise KeyboardInterrupt\nexcept BaseException:\n    raise ImportError("numpy failed to import")'])
def test_ctrl_c_during_an_import_is_ctrl_c(tmp_path, monkeypatch, code):
    """As pybind11 reports it, whose modules import others."""
    package(tmp_path, 'interrupted_engine', code, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        needed('interrupted_engine', 'running needs', 'pip install engine')
    with pytest.raises(KeyboardInterrupt), importing('interrupted_engine', 'running needs', 'pip install engine'):
        import interrupted_engine  # noqa: F401
