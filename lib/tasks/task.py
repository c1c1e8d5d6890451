"""What a task is: one description, which training, testing, demos, export, benchmarks and importers read.

A task is a folder with a task.py that registers one Task, a config/, and networks in symbols/; docs/architecture.md and
CONTRIBUTING.md show how to add one. The folders beside lib/ are found; others join through the setting `plugins`.
"""
import copy
import importlib
import os
from typing import Any, Callable, Dict, NamedTuple, Optional

from dff.errors import ConfigError
from lib.config.config import knows, load_yaml, update_from_file
from lib.config.plugins import load_plugins
from lib.symbols.registry import SYMBOLS, get_symbol_instance
from lib.utils.paths import ROOT, resolve
from lib.utils.registry import Registry, import_modules


class Demo(NamedTuple):
    """What a task's demo does without flags; paths start at the repository root."""

    cfg: str        # settings
    model: str      # prefix of the parameters
    input: str      # frames; what is missing where they are not there, the kind of task says
    output: str     # pictures
    symbol: str     # network, for settings that name none


class Task:
    """One task.

    Args:
        name: of its folder, as 'dff_rfcn'.
        title: in tables and messages, as 'DFF R-FCN'.
        recognises: kind of task, a name of KINDS: 'detection' or 'segmentation'.
        defaults: () -> its settings, an EasyDict (lib/config/defaults.py).
        propagates: it trains on pairs of frames, and carries features from one to the other, as DFF.
        train_script: the command that trains and tests it.
        demo: a Demo.
        shipped: {'original': settings file for the published network, 'small': for the embedded data}, what
            tools/import_dataset.py makes settings from; {}: it makes none.
        references: frames that a labelled one is trained with; None: 1 where it propagates, else 0.
        other_names: {name that its settings may give as `symbol`: network that is meant}; {}: none.

    Attribute: config, the settings of this process.
    """

    def __init__(self, name: str, title: str, recognises: str, defaults: Callable[[], Any], propagates: bool,
                 train_script: str,
                 demo: Demo, shipped: Optional[Dict[str, str]] = None, references: Optional[int] = None,
                 other_names: Optional[Dict[str, str]] = None):
        self.name, self.title, self.recognises, self.propagates = name, title, recognises, propagates
        self.train_script, self.demo, self.shipped = train_script, demo, shipped or {}
        self.references = int(propagates) if references is None else references
        self.other_names = other_names or {}
        self._defaults = defaults()
        self.config = self.new_config()

    @property
    def kind(self):
        """The Kind of task (lib/tasks/kinds), which needs MXNet."""
        return KINDS.get(self.recognises)

    def new_config(self):
        """Return its settings by default, a new EasyDict."""
        return copy.deepcopy(self._defaults)

    def update_config(self, config_file: str) -> None:
        """Merge a YAML file into `config`. Raises ConfigError naming the file and the key."""
        self.merge_file(self.config, config_file)

    def merge_file(self, config, config_file: str) -> None:
        """Merge a YAML file into `config`, settings of this task. Raises ConfigError as update_config."""
        update_from_file(config, config_file)
        config.symbol = self.other_names.get(config.symbol, config.symbol)

    def load_symbols(self) -> None:
        """Make the networks in its folder symbols/ known."""
        import_modules(self.name + '.symbols')


class _Tasks(Registry):
    """Tasks by name; those in the repository are found by their task.py."""

    def _import(self):
        for name in sorted(os.listdir(ROOT)):
            if os.path.isfile(os.path.join(ROOT, name, 'task.py')):
                importlib.import_module(name + '.task')


TASKS = _Tasks('task', 'task', 'the repository')
# Modules of the package, each with a Kind.
KINDS = Registry('kind of task', 'recognises', 'lib.tasks.kinds')


def register(task: Task) -> Task:
    """Make `task` known, and return it."""
    return TASKS.register(task.name)(task)


def open_task(name: str, cfg_path: str) -> Task:
    """Return the task called `name`, its networks made known; cfg_path: settings, whose plugins may bring it along.

    Raises ConfigError, listing the tasks, where there is none.
    """
    load_plugins(_settings(cfg_path).get('plugins') or [], cfg_path)
    task = TASKS.get(name)
    task.load_symbols()
    return task


def task_of(cfg_path: str, symbol: Optional[str] = None) -> Task:
    """Return the task whose network the settings file `cfg_path` names; symbol: another network, None for that.

    Raises ConfigError.
    """
    tree = _settings(cfg_path)
    load_plugins(tree.get('plugins') or [], cfg_path)
    for _, task in TASKS.items():
        task.load_symbols()
    name = symbol or str(tree.get('symbol', ''))
    owner = TASKS.get(SYMBOLS.get(name).__module__.split('.')[0])
    # Of two tasks with a network of this name, the one that has all of the settings is meant.
    others = [task for _, task in TASKS.items() if name in task.other_names and knows(task.config, tree)]
    return others[0] if others and not knows(owner.config, tree) else owner


def check_network(task: Task, cfg_path: str) -> None:
    """Raise a ConfigError where the network of `task`, with its settings, is another task's or cannot do what they say.

    task: of the command; cfg_path: the settings file, for the message.
    """
    symbol = task.config.symbol
    try:
        SYMBOLS.get(symbol)
    except ConfigError:       # it lists the networks of this task
        for _, other in TASKS.items():
            other.load_symbols()
        if symbol not in SYMBOLS:
            raise
    owner = SYMBOLS.get(symbol).__module__.split('.')[0]      # a plugin's network is of no task
    if owner in TASKS and owner != task.name:
        raise ConfigError(
            '%s: symbol: %s is a network of %s, and this command is for %s: run the one in %s/ or '
            'experiments/%s/, or name other settings'
            % (cfg_path, symbol, owner, task.name, owner, owner))
    get_symbol_instance(task.config)      # it knows what it cannot do


def _settings(cfg_path):
    return load_yaml(cfg_path if os.path.exists(cfg_path) else resolve(cfg_path))
