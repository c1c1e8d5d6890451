"""model/README.md against the settings: what any of them wants to read has a line there."""
import os
import re

import pytest

from dff.errors import CheckpointError
from lib.config.config import load_yaml
from lib.engine.checkpoint import file_name, load_params
from lib.tasks.task import TASKS


def wanted(root):
    """{file, relative to the root: who wants it}"""
    found = {}
    for path in sorted((root / 'experiments').glob('*/cfgs/*.yaml')):
        network = load_yaml(str(path)).get('network', {})
        for key, epoch in (('pretrained', network.get('pretrained_epoch', 0)), ('pretrained_flow', 0)):
            if network.get(key):
                found[file_name(os.path.normpath(network[key]), epoch)] = path.name
    for task in TASKS.names():
        found[file_name(TASKS.get(task).demo.model, 0)] = task + '/demo.py'
    return found


def test_every_file_that_settings_and_demos_want_is_listed(root):
    text, files = (root / 'model' / 'README.md').read_text(encoding='utf-8'), wanted(root)
    assert len(files) > 15 and {name.split('/')[0] for name in files} == {'model', 'output'}
    missing = {name: who for name, who in files.items() if '`%s`' % re.sub('^model/', '', name) not in text}
    assert not missing


def test_the_settings_it_names_exist(root):
    text = (root / 'model' / 'README.md').read_text(encoding='utf-8')
    known = {path.name for path in (root / 'experiments').glob('*/cfgs/*.yaml')}
    named = [name for name in re.findall(r'[\w/]+\.yaml', text)]
    assert len(named) > 8
    for name in named:
        assert (root / name).is_file() if '/' in name else name in known, name


def test_the_error_for_a_missing_file_points_there(root):
    for name in wanted(root):
        prefix, epoch = name[:-len('-0000.params')], int(name[-11:-7])
        with pytest.raises(CheckpointError,
                           match=re.escape(prefix) + '.* does not exist. model/README.md says for every file'):
            load_params(str(root / 'nowhere' / prefix), epoch)
