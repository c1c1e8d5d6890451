"""The commands of the documentation: each is known to its program's own parser, or says what it needs.

tests/cli/test_pages_run.py runs those that need nothing.
"""
import re

import pytest

from lib.config.defaults import detection_defaults, fgfa_defaults, flow_defaults, segmentation_defaults
from tests.helpers import pages

ROOT_PAGES = ['README.md', 'README.zh-CN.md']


def all_commands(root):
    return [command for page in pages.pages(root) for command in pages.commands(page, root)]


@pytest.mark.slow
def test_every_command_parses(root):
    found = all_commands(root)
    assert len(found) > 100
    wrong = ['%s\n    %s' % (command, problem) for command in found for problem in [pages.check(command, root)]
             if problem]
    assert not wrong, '\n'.join(wrong)


SETTING = re.compile(r"(?:(?<= )|(?<='))((?:default|network|dataset|TRAIN|TEST)\.\w+|SCALES)(?==)")


def names(tree, prefix=''):
    """All section.key of settings."""
    for key, value in tree.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from names(value, prefix + key + '.')


def test_every_setting_exists(root):
    known = {name for defaults in (detection_defaults, fgfa_defaults, segmentation_defaults, flow_defaults)
             for name in names(defaults())}
    for command in all_commands(root):
        for name in SETTING.findall(command.text):
            assert name in known, command


@pytest.mark.parametrize('line, message', [
    ('python tools/no_such.py', 'there is no tools/no_such.py'),
    ('python tools/check_dataset.py --cfg x.yaml --no_such', 'unrecognized arguments: --no_such'),
    ('python tools/check_dataset.py --cfg experiments/rfcn/cfgs/none.yaml', 'there is no experiments'),
    ('dff run x --input y --no_such', 'unrecognized arguments'),
    ("pip install '.[no_such]'", 'there is no extra no_such'),
    ('pip install -r requirements-none.txt', 'there is no requirements-none.txt'),
    ('python -m pytest tests/no_such.py', 'there is no tests/no_such.py'),
    ('no_such --help', 'what is no_such?'),
])
def test_what_is_wrong_is_found(root, line, message):
    command = pages.Command('page.md', 1, line, False, line)
    assert message in pages.check(command, root)


def test_blocks_and_marks(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('text\n\n```sh\n# needs a GPU\npython a.py \\\n    --b c   # d\n```\n\n'
                    '    python e.py      what it does\n\n```\nprinted\n```\n\n'
                    '```sh\nsh f.sh     # needs g\nX=1 sh h.sh\n```\n')
    found = list(pages.commands(page, tmp_path))
    assert [(c.line, c.text, c.marked) for c in found] == [
        (5, 'python a.py --b c', True), (9, 'python e.py', False), (16, 'sh f.sh', True), (17, 'sh h.sh', False)]


# Both READMEs.

def figures(text):
    """Numbers of the tables, row by row."""
    rows = [line for line in text.splitlines() if line.startswith('|')]
    return [re.findall(r'\d+(?:\.\d+)*', row) for row in rows]


def readme(root, name):
    return (root / name).read_text(encoding='utf-8')


def python_of(text):
    """The blocks of Python of a page, each a list of lines."""
    return [lines for _, language, lines in pages.blocks(text) if language == 'python']


def test_the_readmes_have_the_same_commands_and_figures(root):
    texts = [readme(root, name) for name in ROOT_PAGES]
    commands = [list(pages.commands(root / name, root)) for name in ROOT_PAGES]
    words = [[command.text for command in found] for found in commands]
    assert len(words[0]) > 10 and words[0] == words[1]
    assert figures(texts[0]) == figures(texts[1])
    assert python_of(texts[0]) == python_of(texts[1]) and len(python_of(texts[0])[0]) == 3
    comments = [' '.join(command.written.split('#')[1] for command in found[:2]) for found in commands]
    minutes = [sorted(re.findall(r'\d[\d.]*', comment)) for comment in comments]
    assert minutes[0] == minutes[1] != []


def test_the_guides_to_own_data_have_the_same_commands_and_outputs(root):
    names = ['docs/custom-dataset.md', 'docs/custom-dataset.zh-CN.md']
    commands = [[command.text for command in pages.commands(root / name, root)] for name in names]
    outputs = [[lines for _, language, lines in pages.blocks(readme(root, name)) if language == 'output']
               for name in names]
    assert len(commands[0]) > 30 and commands[0] == commands[1]
    assert len(outputs[0]) > 8 and outputs[0] == outputs[1]


def test_the_readmes_have_the_same_structure(root):
    def shape(name):
        text = readme(root, name)
        return ([line.split(' ')[0] for line in text.splitlines() if re.match('#+ ', line)], text.count('```'),
                sorted(re.findall(r'\]\((?!README)([^)]+?)(?:\.zh-CN)?(?:\.md)?\)', text)))
    assert shape(ROOT_PAGES[0]) == shape(ROOT_PAGES[1])
    assert all(len(readme(root, name).splitlines()) <= 120 for name in ROOT_PAGES)


def test_the_figures_of_the_readme_are_those_of_the_results(root):
    results = readme(root, 'docs/results.md')
    rows = [row for row in readme(root, 'README.md').splitlines() if re.match(r'\| (DFF )?(R-FCN|FGFA)', row)]
    cells = [cell.strip() for row in rows for cell in row.split('|')[2:-1] if cell.strip()]
    assert len(cells) >= 20
    for cell in cells:
        assert re.search(r'(?<![\d.])%s(?![\d.]*\d)' % re.escape(cell), results), cell


def test_the_files_to_start_from_are_those_that_are_run(root):
    from tests.cli import test_extending
    for page, wanted in (('add-a-dataset', [test_extending.DATASET]), ('add-a-backbone', [test_extending.BACKBONE]),
                         ('add-a-task', [test_extending.TASK, test_extending.NETWORK, test_extending.SCRIPT])):
        text = readme(root, 'docs/%s.md' % page)
        assert ['\n'.join(lines) for lines in python_of(text)] == [whole.strip('\n') for whole in wanted], page


def test_every_page_is_in_the_index(root):
    text = readme(root, 'docs/index.md')
    for page in (root / 'docs').glob('*.md'):
        assert page.name == 'index.md' or '](%s)' % page.name in text, page.name
