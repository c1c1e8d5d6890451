"""The format `auto`: what a data set is, by its files' content."""
import json
import shutil

import cv2
import numpy as np
import pytest

from dff.errors import DataError
from lib.dataset.exporters.exporter import export_labels
from lib.dataset.importers.importer import import_dataset, recognise
from lib.dataset.importers.model import IMPORTERS, SIGNS, Options
from tests.helpers.import_tools import image, video
from tests.helpers.tiny import run_here
from tools import import_dataset as import_command

COCO = {'images': [], 'annotations': [], 'categories': []}
TRACK = '<annotations><version>1.1</version><meta/><track id="0" label="a"></track></annotations>'
IMAGE = '<annotations><version>1.1</version><meta/><image name="a.jpg"></image></annotations>'
# {format: {file: content}}
SOURCES = {
    'coco': {'annotations/instances_val.json': json.dumps(dict(COCO, videos=[]))},
    'coco-vid': {'labels.json': json.dumps(dict(COCO, videos=[{'id': 1}]))},
    'cvat': {'walk.xml': TRACK},
    'cvat-images': {'deep/er/walk.xml': IMAGE},
    'voc': {'Annotations/a.xml': '<annotation><filename>a.jpg</filename></annotation>'},
    'yolo': {'classes.txt': 'dog\n', 'labels/a.txt': '', 'labels/b.txt': '0 .5 .5 .1 .2\n',
             'README.txt': 'of 5 dogs\n'},
    'mot': {'walk/gt/gt.txt': '1,1,10,20,30,40,1,1,1\n', 'walk/gt/labels.txt': 'dog\n', 'train.txt': 'walk\n'}}


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.mark.parametrize('name', sorted(SOURCES))
def test_each_format(tmp_path, name):
    found, line = recognise(str(write(tmp_path, SOURCES[name])))
    assert found == name
    file = next(file for file in SOURCES[name] if file not in ('classes.txt', 'labels/a.txt'))
    assert line == 'format:     %s, by %s: %s' % (name, tmp_path / file, SIGNS.get(name).looks_for)


@pytest.mark.parametrize('name', ['coco-vid', 'cvat', 'cvat-images'])
def test_a_file(tmp_path, name):
    file, = SOURCES[name]
    assert recognise(str(write(tmp_path, SOURCES[name]) / file))[0] == name


def test_every_format_can_be_recognised():
    # labelimg is voc, x-anylabeling is labelme
    assert set(SIGNS.names()) | {'labelimg', 'x-anylabeling'} == set(IMPORTERS.names())


@pytest.mark.parametrize('one, other', [
    ('cvat', 'cvat-images'), ('voc', 'mot'), ('coco', 'yolo'), ('cvat', 'coco-vid')])
def test_two_fit(tmp_path, one, other):
    for name in (one, other):
        write(tmp_path / name, SOURCES[name])
    if 'coco' in (one, other):
        (tmp_path / 'classes.txt').write_text('dog\n')
        (tmp_path / 'coco' / 'annotations').rename(tmp_path / 'annotations')
    with pytest.raises(DataError, match='several formats fit') as caught:
        recognise(str(tmp_path))
    for name in (one, other):
        assert '%s, by %s' % (name, tmp_path) in str(caught.value)


@pytest.mark.parametrize('files', [
    {}, {'a.txt': 'hello\n'}, {'a.xml': '<html/>'}, {'a.xml': ''}, {'a.json': '[]'}, {'a.json': '{"images": 3}'},
    {'a.txt': b'\xff\xfe\x00'}, {'a.xml': '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'},
    {'a.txt': '0 nan .5 .1 .2\n', 'classes.txt': 'dog'}, {'a.json': '[' * 10 ** 5}, {'a.xml': b'\0' * 100}])
def test_none_fits(tmp_path, files):
    with pytest.raises(DataError, match='no format fits') as caught:
        recognise(str(write(tmp_path, files)))
    said = str(caught.value)
    assert '\n' not in said
    for name, sign in SIGNS.items():
        assert '%s (%s)' % (name, sign.looks_for) in said
    assert ', '.join(IMPORTERS.names()) in said


def test_why_a_file_was_not_taken(tmp_path):
    with pytest.raises(DataError, match='found no class names'):
        recognise(str(write(tmp_path, {'a.txt': '0 .5 .5 .1 .2\n'})))
    with pytest.raises(DataError, match='is not valid JSON'):
        recognise(str(write(tmp_path, {'b.json': '{'})))


def test_other_files_do_not_matter(tmp_path):
    """A damaged file of another kind beside the labels, and files that are no labels."""
    write(tmp_path, dict(SOURCES['cvat'], **{'notes.json': '{', 'readme.txt': 'of\xe9\n', 'b.csv': '1,2'}))
    assert recognise(str(tmp_path))[0] == 'cvat'


def test_links_that_lead_out_are_refused(tmp_path):
    write(tmp_path / 'other', SOURCES['cvat'])
    (tmp_path / 'src').mkdir()
    (tmp_path / 'src' / 'a.xml').symlink_to(tmp_path / 'other' / 'walk.xml')
    with pytest.raises(DataError, match='is a link to'):
        recognise(str(tmp_path / 'src'))
    with pytest.raises(DataError, match='does not exist'):
        recognise(str(tmp_path / 'none'))


@pytest.mark.parametrize('name', ['coco', 'cvat', 'mot', 'yolo'])
def test_own_exports(tmp_path, name):
    clip = video(tmp_path / 'walk.mp4', 2)
    (tmp_path / 'a.json').write_text(json.dumps({'classes': ['__background__', 'dog'], 'frames': [
        {'frame': 0, 'name': '000000', 'detections': [{'class': 'dog', 'score': 1, 'box': [1, 2, 30, 40]}]}]}))
    export_labels(str(tmp_path / 'a.json'), str(clip), name, str(tmp_path / 'fix'))
    assert recognise(str(tmp_path / 'fix'))[0] == name


def test_the_command(tmp_path):
    """It says which format, then imports; the line stays where the import fails."""
    src = write(tmp_path / 'src', {'a.xml': '<annotation><size><width>96</width><height>64</height></size><object>'
                '<name>dog</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>'
                '</annotation>'})

    words = 'auto', src, tmp_path / 'out', '--val', 0
    failed = run_here(import_command.main, *words)
    assert failed.returncode == 2 and 'format:     voc, by %s' % src in failed.stderr
    assert failed.stderr.startswith('error: ')
    image(src / 'a.jpg', 64, 96)
    done = run_here(import_command.main, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('format:     voc') and 'classes:    dog' in done.stdout
    assert json.loads((tmp_path / 'out' / 'import.json').read_text())['format'] == 'voc'


FRAME = {'name': 'a.jpg', 'videoName': 'v', 'frameIndex': 0, 'labels': []}
NEW = {
    'labelme': ('a.json', {'shapes': [], 'imagePath': 'a.jpg'}),
    'label-studio': ('a.json', [{'id': 1, 'data': {'image': 'a.jpg'}, 'annotations': []}]),
    'youtube-vis': ('a.json', {'videos': [{'id': 1, 'file_names': ['v/0.jpg']}], 'annotations': [], 'categories': []}),
    'bdd100k': ('a.json', [FRAME]),
    'datumaro': ('annotations/train.json', {'categories': {'label': {'labels': []}}, 'items': []}),
    'visdrone': ('annotations/s.txt', '1,2,3,4,5,6,1,1,0,0\n'),
    'kitti': ('label_02/0000.txt', '0 1 Car 0 0 -1 1 2 3 4 1 1 1 0 0 0 0\n'),
    'mot': ('s/gt/gt.txt', '1,2,3,4,5,6,1,-1,-1,-1\n'),
}


@pytest.mark.parametrize('name', sorted(NEW))
def test_each_format_is_told_from_all_others(tmp_path, name):
    file, content = NEW[name]
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    found, line = recognise(str(tmp_path))
    assert found == name and file in line


def test_an_archive_is_recognised_by_what_is_in_it(tmp_path):
    folder = tmp_path / 'src'
    folder.mkdir()
    cv2.imwrite(str(folder / 'a.jpg'), np.zeros((40, 60, 3), np.uint8))
    shape = {'label': 'cat', 'shape_type': 'rectangle', 'points': [[1, 2], [30, 20]]}
    (folder / 'a.json').write_text(json.dumps({'shapes': [shape], 'imagePath': 'a.jpg'}))
    archive = shutil.make_archive(str(tmp_path / 'a'), 'zip', str(folder))
    lines = import_dataset('auto', archive, str(tmp_path / 'out'), Options(val=0.0, small=True, devices=0))
    assert lines[0].startswith('format:     labelme, by %s' % archive)
    assert 'classes:    cat (boxes 1 + 0)' in lines
