"""docs/config.md and the defaults say the same, and every key has a meaning and a reader."""
import re

import pytest

from dff.errors import ConfigError
from lib.config import describe
from lib.config.defaults import detection_defaults, fgfa_defaults, flow_defaults, segmentation_defaults
from lib.config.ranges import leaves
from lib.config.without_effect import WITHOUT_EFFECT

DEFAULTS = [defaults() for defaults in (detection_defaults, fgfa_defaults, segmentation_defaults, flow_defaults)]


def test_page_is_of_these_defaults():
    assert describe.PAGE.read_text(encoding='utf-8') == describe.page(), \
        'docs/config.md is of other settings: python -m lib.config.describe'


def test_every_key_of_every_task_is_on_the_page():
    text = describe.page()
    for config in DEFAULTS:
        for name, _ in leaves(config):
            assert '\n| `%s` | ' % name in text


def test_a_key_without_a_meaning_is_named(monkeypatch):
    def defaults():
        config = detection_defaults()
        config.TRAIN.NEW_KEY = 1
        return config
    monkeypatch.setattr(describe, 'detection_defaults', defaults)
    with pytest.raises(ConfigError, match='no meaning of TRAIN.NEW_KEY, '):
        describe.page()


@pytest.mark.parametrize('line', ['A meaning without a file', '[lib/config/config.py]', 'A meaning [unended', '3'])
def test_a_meaning_of_another_form_is_named(monkeypatch, tmp_path, line):
    path = tmp_path / 'meanings.yaml'
    path.write_text('TRAIN:\n  lr: "%s"\n' % line)
    monkeypatch.setattr(describe, 'MEANINGS', path)
    with pytest.raises(ConfigError, match=r'^meanings.yaml: TRAIN.lr must be "meaning \[file that reads it\]", found '):
        describe.page()


def test_a_changed_default_changes_the_page(monkeypatch):
    def defaults():
        config = detection_defaults()
        config.TRAIN.lr = 0.125
        return config
    monkeypatch.setattr(describe, 'detection_defaults', defaults)
    assert '| `TRAIN.lr` | number | `0.125` | above 0 | ' in describe.page()


def test_no_meaning_is_left_of_a_key_that_is_gone():
    assert describe.unused(DEFAULTS) == []
    assert 'network.USE_SCALE_MAP' in describe.unused([detection_defaults()])


def test_the_file_that_is_said_to_read_a_key_does(root):
    for name, (meaning, reader) in describe.meanings().items():
        assert meaning and (reader or name in WITHOUT_EFFECT), name
        if reader:
            text = (root / reader).read_text(encoding='utf-8')
            assert re.search(r'\b%s\b' % name.rpartition('.')[2], text), '%s: not in %s' % (name, reader)


@pytest.mark.parametrize('row', [
    '| `TRAIN.momentum` | number | `0.9` | 0 to 1, without 1 | ',
    '| `TRAIN.FG_FRACTION` | number | `0.25` | 0 to 1 | ',
    '| `network.width` | number | `1.0` | 0 to 16, without 0 | ',
    '| `TEST.test_epoch` | whole number or `best` | `-1` | at least -1 | ',
    '| `TRAIN.end_epoch` | whole number | `2` | at least 1 | ',
    '| `TRAIN.FLIP` | true or false | `true` |  | ',
    '| `SCALES` | list of sizes | `[[600, 1000]]` | at least 1 | ',
    "| `network.pretrained` | text | `''` |  | ",
    '| `dataset.CLASSES` | list or file | `null` |  | ',
    '| `TEST.PRECISION` | text | `float32` | `float32`, `int8` | ',
    '| `TRAIN.lr` | `0.0001` |\n',
])
def test_rows(row):
    assert '\n' + row in describe.page()
