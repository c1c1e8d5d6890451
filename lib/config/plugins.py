"""Python files that a settings file brings along: `plugins: [my_dataset.py]`.

So a data set, a backbone or a task can be added without a change of the project: the file registers it, as
the project's own do, and the YAML file that needs it names the file. A task is a folder with a task.py.
"""
import importlib
import importlib.util
import os
import sys
from typing import Iterable, Set

from dff.errors import ConfigError, DFFError
from lib.utils.paths import resolve

_loaded: Set[str] = set()


def load_plugins(paths: Iterable[str], source: str) -> None:
    """Import each Python file or task folder of `paths` once; relative paths start at the repository root.

    source: the settings file, for messages. Raises ConfigError where one is missing or cannot be imported.
    """
    for name in paths:
        path = os.path.realpath(resolve(name))
        if path in _loaded:
            continue
        _loaded.add(path)
        try:
            _load(path)
        except DFFError:
            raise
        except Exception as error:      # whatever stands in the file
            _loaded.discard(path)
            raise ConfigError('%s: the plugin %s cannot be imported: %s: %s'
                              % (source, path, type(error).__name__, ' '.join(str(error).split()))) from error


def _load(path: str) -> None:
    if os.path.isfile(os.path.join(path, 'task.py')):
        folder, name = os.path.split(path)
        if folder not in sys.path:
            sys.path.append(folder)
        importlib.import_module(name + '.task')
        return
    if not os.path.isfile(path) or not path.endswith('.py'):
        raise ConfigError('the plugin %s is neither a Python file nor a folder with a task.py' % path)
    name = 'dff_plugin_' + os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None      # of a file that is there, ending in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
