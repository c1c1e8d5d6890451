"""The guide names every format of tools/import_dataset.py, in a table and with its command, in both languages."""
import pytest

from lib.dataset.importers.model import IMPORTERS

ALIASES = {'labelimg': 'voc', 'x-anylabeling': 'labelme'}        # named in the line of the other's command


@pytest.mark.parametrize('name', ['custom-dataset.md', 'custom-dataset.zh-CN.md'])
def test_every_format_has_a_row_and_a_command(root, name):
    text = (root / 'docs' / name).read_text(encoding='utf-8')
    rows = [line.split('|')[1] for line in text.splitlines() if line.startswith('| `')]
    commands = [line for line in text.splitlines() if line.startswith('python tools/import_dataset.py ')]
    for known in IMPORTERS.names():
        assert any('`%s`' % known in row for row in rows), known
        own = [line for line in commands if ' %s ' % ALIASES.get(known, known) in line.split('#')[0]]
        assert own and (known not in ALIASES or any(known in line for line in own)), known


@pytest.mark.parametrize('name', ['custom-dataset.md', 'custom-dataset.zh-CN.md'])
def test_every_command_names_a_format(root, name):
    text = (root / 'docs' / name).read_text(encoding='utf-8')
    for line in text.splitlines():
        if line.startswith('python tools/import_dataset.py '):
            assert line.split()[2] in IMPORTERS.names() + ['auto'], line
