"""Every snippet of docs/python-api.md is run, with a model that computes nothing."""
import re
import shlex
import sys
import types

import cv2
import pytest

import dff
from dff.runtime import command
from dff.writers import open_writer
from tests.helpers.fake_model import clip, fake_model, frame


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what the snippets name; dff.load gives a fake."""
    with open_writer(str(tmp_path / 'video.mp4')) as write:
        for t, image in enumerate(clip(3)):
            write(image, str(t))
    cv2.imwrite(str(tmp_path / 'image.jpg'), frame(0))
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setattr(dff, 'load', lambda *words, **options: fake_model())
    monkeypatch.setitem(sys.modules, 'supervision', types.SimpleNamespace(Detections=dict))
    return tmp_path


def snippets(root, language):
    """The blocks of a language in the document."""
    text = (root / 'docs' / 'python-api.md').read_text(encoding='utf-8')
    return re.findall(r'```%s\n(.*?)```' % language, text, re.DOTALL)


def test_python_snippets(root, place, capsys):
    found, names = snippets(root, 'python'), {'camera': clip(3)}
    assert len(found) >= 5
    for snippet in found:
        exec(compile(snippet, 'docs/python-api.md', 'exec'), names)
    assert names['challenge'].startswith('1,-1,') and names['picture'].shape == (96, 160, 3)
    assert set(names['detections']) == {'xyxy', 'confidence', 'class_id', 'tracker_id', 'data'}
    assert "['square'] [1]" in capsys.readouterr().out


def test_commands_of_the_document(root, place):
    first, second = snippets(root, 'sh')[0].strip().splitlines()
    command.main(shlex.split(first)[1:])
    assert len((place / 'out.txt').read_text().splitlines()) == 3
    assert command.parser().parse_args(shlex.split(second)[1:]).show
