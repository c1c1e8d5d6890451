"""Exported folders for tests to edit."""
import json
import shutil

import pytest

from benchmarks.model_folders import make_folders
from lib.inference.exported import exported_settings, load_exported
from lib.operator_cxx import loader
from lib.symbols.registry import SYMBOLS
from dff.errors import CheckpointError

NATIVE = loader.load()


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    make_folders(str(folder))
    return folder


class Edited:
    """A copy of a folder whose files a test changes."""

    def __init__(self, source, target, built_in):
        shutil.copytree(str(source), str(target))
        self.path, self.kind = target, 'built_in' if built_in or not NATIVE else 'native'
        operators = sorted({self.kind, 'built_in'})
        self.change('model.json', lambda index: index.update(operators=operators))

    def change(self, name, edit):
        path = self.path / name.replace('*', self.kind)
        tree = json.loads(path.read_text())
        edit(tree)
        path.write_text(json.dumps(tree))

    def node(self, name, op, edit, number=0):
        """Call edit(node) on the node `number` of the operator `op`."""
        def edit_one(tree):
            edit([node for node in tree['nodes'] if node['op'] == op][number])
        self.change(name, edit_one)

    def settings(self, **values):
        self.change('model.json', lambda index: index['settings'].update(values))

    def load(self):
        settings = exported_settings(str(self.path))
        return load_exported(str(self.path), SYMBOLS.get(settings['symbol'])())

    def refusal(self):
        with pytest.raises(CheckpointError) as error:
            self.load()
        assert str(error.value).isprintable()
        return str(error.value)


@pytest.fixture
def open_folder(folders, tmp_path):
    return lambda task, built_in=False: Edited(folders / task, tmp_path / 'model', built_in)


def attributes(**values):
    return lambda node: node['attrs'].update({key: str(value) for key, value in values.items()})
