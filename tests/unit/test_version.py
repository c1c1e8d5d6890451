"""The version is in one place, and what states it agrees: the changelog, CITATION.cff, the doctor, `dff --version`."""
import re

import pytest
import yaml

import dff
from dff.runtime.command import parser


def test_the_version_is_semantic():
    assert re.match(r'\d+\.\d+\.\d+$', dff.__version__)


def test_pyproject_reads_it(root):
    text = (root / 'pyproject.toml').read_text(encoding='utf-8')
    assert 'version = {attr = "dff.__version__"}' in text and 'dynamic = ["version"]' in text
    assert dff.__version__ not in text


def test_the_command_prints_it(capsys):
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(['--version'])
    assert ended.value.code == 0 and capsys.readouterr().out == dff.__version__ + '\n'


def test_the_doctor_names_it(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / 'tools'))
    import doctor
    assert doctor.CHECKS['Deep Feature Flow']()[0].text == dff.__version__
    assert next(iter(doctor.CHECKS)) == 'Deep Feature Flow'


def test_the_changelog_begins_with_it(root):
    text = (root / 'CHANGELOG.md').read_text(encoding='utf-8')
    headings = re.findall(r'^## (.*)$', text, re.MULTILINE)
    assert headings[0] == 'Unreleased'
    assert re.match(r'%s - \d{4}-\d\d-\d\d$' % re.escape(dff.__version__), headings[1])
    assert set(re.findall(r'^### (.*)$', text, re.MULTILINE)) <= {
        'Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'}


def test_the_citation_is_of_this_version_and_cites_the_paper(root):
    tree = yaml.safe_load((root / 'CITATION.cff').read_text(encoding='utf-8'))
    assert tree['cff-version'] == '1.2.0' and tree['message'] and tree['title'] and tree['authors']
    assert str(tree['version']) == dff.__version__
    changelog = (root / 'CHANGELOG.md').read_text(encoding='utf-8')
    assert '## %s - %s\n' % (dff.__version__, tree['date-released']) in changelog
    paper, = tree['references']
    assert paper['title'] == 'Deep Feature Flow for Video Recognition' and paper['year'] == 2017
    assert [author['family-names'] for author in paper['authors']] == ['Zhu', 'Xiong', 'Dai', 'Yuan', 'Wei']


@pytest.mark.parametrize('name', ['bug', 'feature'])
def test_issue_forms_ask_for_the_doctor(root, name):
    form = yaml.safe_load((root / '.github' / 'ISSUE_TEMPLATE' / (name + '.yml')).read_text(encoding='utf-8'))
    assert form['name'] and form['description']
    fields = {field['id']: field for field in form['body']}
    assert len(fields) == len(form['body']) and all(field['attributes']['label'] for field in fields.values())
    assert 'python tools/doctor.py --json' in fields['doctor']['attributes']['description']
    assert name == 'feature' or fields['doctor']['validations'] == {'required': True}
