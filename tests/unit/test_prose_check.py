""".ci/prose.py and .ci/links.py: what they find in pages and messages, and what they leave alone."""
import importlib
import sys

import pytest

WORD = '"mended": write "fix; correct"'
LONG = ' '.join(['word'] * 121)
PAGES = {
    'word': ('It is mended.\n', ['1: ' + WORD]),
    'word in capitals': ('# Mended\n', ['1: "Mended": write "fix; correct"']),
    'over two lines': ('One.\n\nTwo, in the\nplace of three.\n',
                       ['3: "in the place of": write "instead of; as a replacement for"']),
    'in a cell': ('| a | mended |\n|---|---|\n', ['1: ' + WORD]),
    'in a list': ('- one\n- mended\n  again\n', ['2: ' + WORD]),
    'in a continued item': ('- one\n\n    mended\n', ['3: ' + WORD]),
    'in the text of a link': ('[mended](x.md)\n', ['1: ' + WORD]),
    'after code': ('```\na\n```\nmended\n', ['4: ' + WORD]),
    'after an indented block': ('Text:\n\n    code\n\nmended\n', ['5: ' + WORD]),
    'long': (LONG, ['1: a paragraph of 121 words; at most 120']),
    'long item': ('- one\n- %s\n' % LONG, ['2: a paragraph of 121 words; at most 120']),
    'long cell': ('| a | %s |\n' % LONG, ['1: a paragraph of 121 words; at most 120']),
}
CLEAN = {
    'part of a word': 'Amended, a standard, understands.\n',
    'fence': '```sh\nmended\n```\n',
    'longer fence': '````\n```\nmended\n````\n',
    'indented block': 'Text:\n\n    mended\n    mended\n',
    'inline code': 'The key `mended`, and ``mended`` too.\n',
    'code over two lines': 'The command `python\nmended` here.\n',
    'target of a link': '[text](mended.md), https://mended.org/\n',
    'comment': '<!-- mended\nmended -->\nText.\n',
    '120 words': ' '.join(['word'] * 120),
    'two paragraphs': '%s\n\n%s\n' % (LONG[:500], LONG[:500]),
    'two items': '- %s\n- %s\n' % (LONG[:500], LONG[:500]),
    'hyphen': 'A stand-in.\n',
}
CODE = {
    'message': ("raise E('it is mended')\n", ['1: ' + WORD]),
    'second line': ("f('''one\nis mended''')\n", ['2: ' + WORD]),
    'joined': ("f('it is '\n  'mended')\n", ['1: ' + WORD]),
    'f-string': ("f(f'it is mended {x}')\n", ['1: ' + WORD]),
    'docstring': ('def f():\n    """It is mended."""\n', []),
    'comment': ('x = 1    # mended\n', []),
    'key': ("x['mended']\n", []),
}


@pytest.fixture
def check(root, tmp_path, monkeypatch, capsys):
    """check(script, name, text): (exit status, findings without their path) for a file of that text."""
    monkeypatch.syspath_prepend(str(root / '.ci'))
    monkeypatch.chdir(str(tmp_path))

    def run(script, name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding='utf-8')
        monkeypatch.setattr(sys, 'argv', [script, name])
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(script).main()
        lines = capsys.readouterr().out.splitlines()
        assert all(line.startswith(name + ':') for line in lines)
        return ended.value.code, [line[len(name) + 1:] for line in lines]
    return run


@pytest.mark.parametrize('text, found', PAGES.values(), ids=list(PAGES))
def test_pages(check, text, found):
    assert check('prose', 'page.md', text) == (1, found)


@pytest.mark.parametrize('text', CLEAN.values(), ids=list(CLEAN))
def test_what_is_left_alone(check, text):
    assert check('prose', 'page.md', text) == (0, [])


@pytest.mark.parametrize('text, found', CODE.values(), ids=list(CODE))
def test_messages(check, text, found):
    assert check('prose', 'module.py', text) == (bool(found), found)


def test_what_a_command_prints_of_its_docstring(check):
    assert check('prose', 'tools/x.py', '"""It is mended."""\n') == (1, ['1: ' + WORD])


def test_every_word_has_a_replacement_and_is_found(check, root):
    lines = [line for line in (root / '.ci' / 'words.txt').read_text(encoding='utf-8').splitlines()
             if line and not line.startswith('#')]
    assert len(lines) > 30 and all(len(line.split(' = ')) == 2 and all(line.split(' = ')) for line in lines)
    assert check('prose', 'page.md', 'Written anew, upon this; wholly.\n')[1] == [
        '1: "anew": write "again; from the start; newly"', '1: "upon": write "on"', '1: "wholly": write "completely"']


GONE = 'docs' + '/b.md'        # in two parts, as the whole repository is checked, too
LINKS = {
    'file': ('[a](b.md)\n', ['1: link b.md: there is no b.md']),
    'picture': ('![a](b.png)\n', ['1: link b.png: there is no b.png']),
    'html': ('<img src="b.png">\n', ['1: link b.png: there is no b.png']),
    'definition': ('[a]: b.md\n', ['1: link b.md: there is no b.md']),
    'code as text': ('[`a`](b.md)\n', ['1: link b.md: there is no b.md']),
    'part': ('# One\n\n[a](#two)\n', ['3: link #two: page.md has no heading #two']),
    'part elsewhere': ('[a](other.md#two)\n', ['1: link other.md#two: other.md has no heading #two']),
    'heading in code': ('```\n# Two\n```\n[a](#two)\n', ['4: link #two: page.md has no heading #two']),
    'program': ('See `lib/gone.py`.\n', ['1: lib/gone.py is named: there is no lib/gone.py']),
    'program in a block': ('    python tools/gone.py\n', ['1: tools/gone.py is named: there is no tools/gone.py']),
    'named': ('See %s.\n' % GONE, ['1: %s is named: there is no %s' % (GONE, GONE)]),
}
GOOD_LINKS = {
    'file': '[a](other.md) [b](other.md "title") ![c](page.md)\n',
    'folder': '[a](.)\n',
    'elsewhere': '[a](https://x.org/b.md) [b](mailto:x@y.org)\n',
    'parts': '# A `key`, and *more*: 8/2\n\n[a](#a-key-and-more-82) [b](other.md#one) [c](other.md#one-1)\n',
    'linked heading': '## [Two](other.md) x\n\n[a](#two-x)\n',
    'anchor': '<a name="x"></a>\n[a](#x)\n',
    'placeholder': 'experiments/x/FILE.yaml, output/lib/x.py, https://x.org/lib/x.py\n',
    'code': '`[a](b.md)`\n\n```\n[a](b.md)\n```\n',
}


@pytest.mark.parametrize('text, found', LINKS.values(), ids=list(LINKS))
def test_broken_links(check, tmp_path, text, found):
    (tmp_path / 'other.md').write_text('# One\n\n## One\n')
    assert check('links', 'page.md', text) == (1, found)


@pytest.mark.parametrize('text', GOOD_LINKS.values(), ids=list(GOOD_LINKS))
def test_good_links(check, tmp_path, text):
    (tmp_path / 'other.md').write_text('# One\n\n## One\n')
    assert check('links', 'page.md', text) == (0, [])


def test_pages_that_code_names(check, tmp_path):
    (tmp_path / 'docs').mkdir()
    (tmp_path / 'docs' / 'a.md').write_text('# One\n')
    page = 'docs' + '/a.md'
    assert check('links', 'x.py', "f('{0}, {0}#one')    # {0}#two\n".format(page)) == (
        1, ['1: %s#two is named: a.md has no heading #two' % page])


@pytest.mark.parametrize('script, name, content, message', [
    ('prose', 'gone.md', None, 'git lists no files: '),
    ('links', 'gone.md', None, 'there is no file gone.md'),
    ('prose', 'page.md', b'\xff', 'cannot read page.md as UTF-8: '),
    ('links', 'page.md', b'\xff', 'cannot read page.md as UTF-8: '),
    ('prose', 'x.py', b'def (', 'x.py:1: this is no Python: ')])
def test_what_cannot_be_checked_is_no_clean_file(root, tmp_path, monkeypatch, capsys, script, name, content, message):
    monkeypatch.syspath_prepend(str(root / '.ci'))
    monkeypatch.chdir(str(tmp_path))
    if content is not None:
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(sys, 'argv', [script, name])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(script).main()
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and len(lines) == 1 and lines[0].startswith('error: ' + message)
