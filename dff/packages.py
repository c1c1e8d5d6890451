"""Packages that only some uses need, imported where they are needed."""
import contextlib
import importlib
from typing import Any, Iterator, Optional

from dff.errors import SetupError


def needed(name: str, needs: str, install: str) -> Any:
    """Return the module `name`; name, needs, install, and what is raised: as of `importing`."""
    with importing(name, needs, install):
        return importlib.import_module(name)


@contextlib.contextmanager
def importing(name: str, needs: str, install: str) -> Iterator[None]:
    """Run a block of imports, and say what is wrong where they fail.

    Args:
        name: of the package that is imported.
        needs: how the message begins, as 'running ONNX models needs'.
        install: the command that installs it.

    Raises SetupError where it is not installed, or is and cannot be imported; KeyboardInterrupt where
    Ctrl-C broke the import off, which native code may report as an ImportError.
    """
    try:
        yield
    except Exception as error:      # a package that does not fit the others raises whatever it likes
        if interrupted(error):
            raise KeyboardInterrupt from None
        raise SetupError('%s %s' % (needs, _remedy(name, error, install))) from error


def interrupted(error: Optional[BaseException]) -> bool:
    """Return whether Ctrl-C is where `error` comes from."""
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _remedy(name: str, error: BaseException, install: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == name:
        return '%s (%s); install it with: %s' % (name, error, install)
    reason = (str(error).strip() or 'no reason given').splitlines()[0]
    return '%s, which is installed but cannot be imported (%s: %s); reinstall it with: %s --force-reinstall' % (
        name, type(error).__name__, reason, install)
