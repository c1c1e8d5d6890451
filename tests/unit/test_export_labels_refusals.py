"""Exports of labels that are refused, and what stays as it was."""
import json

import pytest

from dff.errors import ConfigError, DataError
from lib.dataset.exporters.exporter import export_labels
from tests.helpers.import_tools import image, run_import, video
from tests.unit.test_export_labels import HEIGHT, WIDTH, export, results


def set_at(tree, keys, value):
    for key in keys[:-1]:
        tree = tree[key]
    tree[keys[-1]] = value


BOX = ('frames', 0, 'detections', 0)


@pytest.mark.parametrize('keys, value, said', [
    (['classes'], 'dog', 'classes: expected a list'), (['classes'], ['a', 'b\n'], 'classes:'),
    (['classes'], [None, {}], 'classes:'), (['frames'], {}, 'frames: expected'), (['frames'], [], 'at least one'),
    (['frames', 0], 3, r'frames\[0\]: expected an object'), (['frames', 1, 'frame'], 0, 'a frame once'),
    (['frames', 0, 'frame'], -1, r'frames\[0\]\.frame'), (['frames', 0, 'frame'], True, r'frames\[0\]\.frame'),
    (['frames', 0, 'name'], None, r'frames\[0\]\.name'), (['frames', 0, 'name'], '000009', 'expected frame 0 to be'),
    (['frames', 3, 'frame'], 99, 'expected frame 99'), (['frames', 0, 'detections'], None, 'expected a list'),
    (BOX, [], 'an object'), (BOX + ('class',), '__background__', 'not the first'), (BOX + ('class',), [], r'\.class'),
    (BOX + ('score',), 'x', r'\.score'), (BOX + ('box',), [1, 2, 3], r'\.box'),
    (BOX + ('box',), [1, 2, float('nan'), 4], r'\.box'), (BOX + ('box',), [9, 2, 1, 4], 'x1 <= x2'),
    (BOX + ('box',), [1, 2, 10 ** 400, 4], r'\.box'), (BOX + ('box',), [1, 2, 200, 4], '96x64 pixels'),
    (BOX + ('track',), 'a', r'\.track'), (BOX + ('track',), 4, 'a track once')])
def test_bad_detections(tmp_path, keys, value, said):
    for at in range(5):
        image(tmp_path / 'walk' / ('%06d.jpg' % at), HEIGHT, WIDTH)
    path = results(tmp_path)
    tree = json.loads(path.read_text())
    set_at(tree, keys, value)
    path.write_text(json.dumps(tree))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=said) as caught:
        export(tmp_path, tmp_path / 'walk', 'cvat')
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 900
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize('text', ['', '[' * 10 ** 5, '[]', 'null', '{"frames": 1', '\x00'])
def test_no_results_file(tmp_path, text):
    image(tmp_path / 'walk' / '0.jpg', HEIGHT, WIDTH)
    (tmp_path / 'result.json').write_text(text)
    with pytest.raises(DataError, match='result.json'):
        export(tmp_path, tmp_path / 'walk', 'cvat')


def test_classes_of_pixels_are_refused(tmp_path):
    (tmp_path / 'result.json').write_text(json.dumps(
        {'classes': ['a', 'b'], 'frames': [{'frame': 0, 'name': 'a', 'key': True, 'pixels': {}}]}))
    image(tmp_path / 'walk' / 'a.jpg')
    with pytest.raises(DataError, match='use a detector'):
        export(tmp_path, tmp_path / 'walk', 'coco')


@pytest.mark.parametrize('format_name', ['coco', 'yolo', 'labelme'])
def test_a_shorter_video_leaves_nothing(tmp_path, format_name):
    results(tmp_path)
    clip = video(tmp_path / 'walk.mp4', 3)
    with pytest.raises(DataError, match='1 frames of the detections are not in the video, the first is 4'):
        export(tmp_path, clip, format_name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['result.json', 'walk.mp4']


def test_what_is_there_stays(tmp_path):
    results(tmp_path)
    clip = video(tmp_path / 'walk.mp4', 5)
    dst = export(tmp_path, clip, 'yolo')
    with pytest.raises(DataError, match='--force replaces it'):
        export(tmp_path, clip, 'coco')
    assert (dst / 'classes.txt').is_file()
    export(tmp_path, clip, 'mot', force=True)
    assert not (dst / 'classes.txt').exists() and (dst / 'walk' / 'gt' / 'gt.txt').is_file()
    (dst / '.export.json').unlink()
    with pytest.raises(DataError, match='was not made by'):
        export(tmp_path, clip, 'mot', force=True)
    with pytest.raises(DataError, match='one inside the other'):
        export_labels(str(tmp_path / 'result.json'), str(clip), 'mot', str(tmp_path), force=True)


def test_other_refusals(tmp_path):
    results(tmp_path)
    with pytest.raises(ConfigError, match='coco, cvat, labelme, mot, yolo'):
        export(tmp_path, tmp_path, 'voc')
    with pytest.raises(DataError, match='--frames: expected a folder'):
        export(tmp_path, tmp_path / 'none', 'coco')
    for name in ('000000.jpg', '000000.png'):
        image(tmp_path / 'walk' / name)
    with pytest.raises(DataError, match='several'):
        export(tmp_path, tmp_path / 'walk', 'coco')


def test_an_image_named_like_a_list_of_yolo(tmp_path):
    image(tmp_path / 'walk' / 'classes.jpg', HEIGHT, WIDTH)
    path = results(tmp_path, {0: [('dog', .9, [1, 2, 3, 4], 1)]})
    path.write_text(path.read_text().replace('000000', 'classes'))
    with pytest.raises(DataError, match='rename it'):
        export(tmp_path, tmp_path / 'walk', 'yolo')


def test_several_corrected_clips_are_one_data_set(tmp_path):
    """As docs/custom-dataset.md has it: every clip into a folder of fix/, fix/ imported."""
    results(tmp_path)
    for name in ('walk', 'run'):
        clip = video(tmp_path / 'more' / (name + '.mp4'), 5)
        export_labels(str(tmp_path / 'result.json'), str(clip), 'cvat', str(tmp_path / 'fix' / name))
    data = run_import('cvat', tmp_path / 'fix', tmp_path / 'out', frames=str(tmp_path / 'more'), val=.5)
    assert len(data.clips()) == 1 and data.classes == ['dog', 'red_&_"panda" red & "panda"']


def test_no_name_is_not_the_working_folder(tmp_path, monkeypatch):
    """An empty name, as of a shell's variable that is not set, must not replace what is there."""
    results(tmp_path)
    clip = video(tmp_path / 'walk.mp4', 5)
    (tmp_path / 'here').mkdir()
    (tmp_path / 'here' / 'precious').write_text('x')
    monkeypatch.chdir(tmp_path / 'here')
    for force in (False, True):
        with pytest.raises(DataError, match='--output: expected the name'):
            export_labels(str(tmp_path / 'result.json'), str(clip), 'cvat', '', force=force)
        with pytest.raises(DataError, match='was not made by'):
            export_labels(str(tmp_path / 'result.json'), str(clip), 'cvat', '.', force=force)
        with pytest.raises(DataError, match='DST: expected the name'):
            run_import('cvat', tmp_path / 'result.json', '', force=force)
    assert (tmp_path / 'here' / 'precious').read_text() == 'x'


def test_what_appears_meanwhile_stays(tmp_path, monkeypatch):
    results(tmp_path)
    clip = video(tmp_path / 'walk.mp4', 5)

    def flush():
        (tmp_path / 'labels').mkdir()
        (tmp_path / 'labels' / 'precious').write_text('x')
    monkeypatch.setattr('lib.dataset.destination.flush_all', flush)
    with pytest.raises(DataError, match='cannot write'):
        export(tmp_path, clip, 'cvat')
    assert sorted(path.name for path in (tmp_path / 'labels').iterdir()) == ['precious']
