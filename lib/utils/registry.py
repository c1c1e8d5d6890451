"""Names that settings and commands choose from, and what each of them means.

One Registry for each kind of thing (data sets, networks, backbones, ...). A file that defines one
registers it; the files of the registry's package are found, not listed, when a name is first
looked up. Files outside the project join through the setting `plugins` (lib/config/plugins.py).
"""
import importlib
import pkgutil
from typing import Any, Callable, Dict, List, Optional

from dff.errors import ConfigError


class Registry:
    """Things by name.

    Args:
        what: what one of them is called in messages, as 'data set'.
        setting: where a user names one, as 'dataset.dataset'.
        packages: Python packages whose modules register themselves when they are imported.
    """

    def __init__(self, what: str, setting: str, *packages: str):
        self.what, self.setting, self._packages = what, setting, packages
        self._things: Dict[str, Any] = {}
        self._found = not packages

    def register(self, name: Optional[str] = None) -> Callable[[Any], Any]:
        """Return a decorator that makes a class or function known as `name`, or under its own name."""
        def add(thing):
            self._things[name or thing.__name__] = thing
            return thing
        return add

    def get(self, name: str) -> Any:
        """Return what `name` stands for. Raises ConfigError, listing what exists, on a miss."""
        self._find()
        if name not in self._things:
            raise ConfigError("%s: there is no %s called '%s'; choose from %s"
                              % (self.setting, self.what, name, ', '.join(self.names()) or 'nothing: none is there'))
        return self._things[name]

    def names(self) -> List[str]:
        """Return all names, sorted."""
        self._find()
        return sorted(self._things)

    def items(self) -> List[Any]:
        """Return [(name, thing)], sorted by name."""
        return [(name, self._things[name]) for name in self.names()]

    def __contains__(self, name: str) -> bool:
        self._find()
        return name in self._things

    def _find(self):
        if self._found:
            return
        self._found = True      # before the modules are imported, which may look something up themselves
        try:
            self._import()
        except BaseException:
            self._found = False
            raise

    def _import(self):
        """Import the modules that register the things."""
        for package in self._packages:
            import_modules(package)


def import_modules(package: str) -> None:
    """Import every module of a Python package, so that what they hold registers itself."""
    folder = importlib.import_module(package)
    for module in sorted(pkgutil.iter_modules(folder.__path__), key=lambda module: module.name):
        importlib.import_module('%s.%s' % (package, module.name))
