"""Detections as labels: what our own importers read of them is what was detected."""
import json
import re

import pytest

from lib.dataset.exporters.exporter import export_labels
from lib.dataset.exporters.results import read_results
from lib.dataset.importers.model import IMPORTERS, Options, Report
from tests.helpers.import_tools import image, run_import, video

WIDTH, HEIGHT = 96, 64
CLASSES = ['__background__', 'dog', 'red & "panda"']
# {frame: [(class, score, box, track)]}
SEEN = {
    0: [('dog', .9, [10, 20, 29, 39], 3), ('red & "panda"', .8, [50.25, 5, 70.5, 30.75], 4)],
    1: [('dog', .9, [12, 20, 31, 39], 3)],
    2: [],
    4: [('dog', .6, [0, 0, 95, 63], 3), ('dog', .3, [40, 40, 45, 45], None)]}


def results(tmp_path, seen=None, name='%06d', **more):
    seen = SEEN if seen is None else seen
    frames = [{'frame': at, 'name': name % at, 'key': True, 'detections': [
        dict({'class': label, 'score': score, 'box': box}, **({} if track is None else {'track': track}))
        for label, score, box, track in found]} for at, found in seen.items()]
    path = tmp_path / 'result.json'
    path.write_text(json.dumps(dict({'classes': CLASSES, 'frames': frames}, **more)), encoding='utf-8')
    return path


@pytest.fixture(params=['images', 'video'])
def frames(request, tmp_path):
    """The folder that holds the frames, and the clip in it."""
    if request.param == 'video':
        return tmp_path / 'clips', video(tmp_path / 'clips' / 'walk.mp4', 5)
    for at in range(5):
        image(tmp_path / 'clips' / 'walk' / ('%06d.jpg' % at), HEIGHT, WIDTH)
    return tmp_path / 'clips', tmp_path / 'clips' / 'walk'


def export(tmp_path, frames, format_name, **options):
    dst = tmp_path / 'labels'
    export_labels(str(tmp_path / 'result.json'), str(frames), format_name, str(dst), **options)
    return dst


def read(format_name, src, **options):
    """{(clip, frame): [(class, box, track)]} as the importer sees the labels, without empty frames."""
    report, found = Report(), {}
    source = IMPORTERS.get(format_name)(str(src), Options(**options), report)
    for clip in source.clips:
        labels = clip.open_labels()
        for number in getattr(clip.media, 'numbers', range(clip.media.length)):
            boxes = labels.boxes(number, HEIGHT, WIDTH)
            if boxes:
                found[clip.name, number] = [
                    (box.name, [round(float(side), 4) for side in box[1:5]], box.track) for box in boxes]
    assert not report.failures
    return found, source.classes


def expected(track=lambda track: track, clip='walk'):
    return {(clip, at): [(label, box, track(number)) for label, _, box, number in found]
            for at, found in SEEN.items() if found}


@pytest.mark.parametrize('format_name', ['cvat', 'mot'])
def test_tracks_come_back(tmp_path, frames, format_name):
    results(tmp_path)
    dst = export(tmp_path, frames[1], format_name)
    found, classes = read(format_name, dst, frames=str(frames[0]))
    assert found == expected(lambda track: track or 5)      # what was not tracked is one more object
    assert classes == CLASSES[1:]


def test_coco_comes_back(tmp_path, frames):
    results(tmp_path)
    dst = export(tmp_path, frames[1], 'coco')
    if frames[1].is_dir():
        found, classes = read('coco', dst, frames=str(frames[1]), clips=True)
        assert found == expected(clip='labels')
    else:
        found, classes = read('coco', dst, clips=True)
        assert found == expected()
        assert len(list((dst / 'images').iterdir())) == len(SEEN)
    assert classes == CLASSES[1:]
    tree = json.loads((dst / 'annotations.json').read_text())
    assert [entry['id'] for entry in tree['images']] == [1, 2, 3, 5]
    assert {(entry['width'], entry['height']) for entry in tree['images']} == {(WIDTH, HEIGHT)}
    assert [entry['attributes'] for entry in tree['annotations']] == [
        {'track_id': 3}, {'track_id': 4}, {'track_id': 3}, {'track_id': 3}, {}]
    assert tree['annotations'][1] == {
        'id': 2, 'image_id': 1, 'category_id': 2, 'bbox': [50.25, 5, 21.25, 26.75], 'iscrowd': 0,
        'area': 568.44, 'segmentation': [], 'score': .8, 'attributes': {'track_id': 4}}


def test_yolo_comes_back(tmp_path, frames):
    results(tmp_path)
    dst = export(tmp_path, frames[1], 'yolo')
    own = {'frames': str(frames[1])} if frames[1].is_dir() else {}
    found, classes = read('yolo', dst, clips=True, **own)
    assert found == expected(lambda track: None, 'labels' if own else 'walk')
    assert classes == CLASSES[1:]
    first, = dst.glob('*000001.txt')
    assert first.read_text() == '0 0.22916667 0.46875000 0.20833333 0.31250000\n'
    empty, = dst.glob('*000002.txt')
    assert empty.read_text() == ''


def test_labelme(tmp_path, frames):
    results(tmp_path)
    dst = export(tmp_path, frames[1], 'labelme')
    files = sorted(dst.glob('[!.]*.json'))
    assert [file.stem[-6:] for file in files] == ['000000', '000001', '000002', '000004']
    tree = json.loads(files[0].read_text())
    assert (dst / tree['imagePath']).is_file()
    assert (tree['imageHeight'], tree['imageWidth'], tree['imageData']) == (HEIGHT, WIDTH, None)
    assert tree['shapes'] == [
        {'label': 'dog', 'points': [[10, 20], [30, 40]], 'group_id': 3, 'shape_type': 'rectangle', 'flags': {}},
        {'label': 'red & "panda"', 'points': [[50.25, 5], [71.5, 31.75]], 'group_id': 4,
         'shape_type': 'rectangle', 'flags': {}}]
    assert json.loads(files[3].read_text())['shapes'][1]['group_id'] is None


def test_labelme_comes_back(tmp_path, frames):
    results(tmp_path)
    dst = export(tmp_path, frames[1], 'labelme')
    own = {'frames': str(frames[1])} if frames[1].is_dir() else {}
    found, _ = read('labelme', dst, clips=True, **own)
    assert found == expected(clip='labels' if own else 'walk')


def test_cvat_has_key_frames_and_outside(tmp_path):
    for at in range(6):
        image(tmp_path / 'walk' / ('%d.png' % at), HEIGHT, WIDTH)
    line = [10, 12, 14, 30, 32]       # the fourth is off the line
    results(tmp_path, {at: [('dog', .9, [x, 5, x + 9, 20], 7)] for at, x in enumerate(line)}, '%d')
    text = (export(tmp_path, tmp_path / 'walk', 'cvat') / 'walk.xml').read_text()
    assert re.findall(r'frame="(\d)" outside="(\d)" occluded="0" keyframe="(\d)" xtl="([\d.]+)"', text) == [
        ('0', '0', '1', '10.00'), ('1', '0', '0', '12.00'), ('2', '0', '1', '14.00'), ('3', '0', '1', '30.00'),
        ('4', '0', '1', '32.00'), ('5', '1', '1', '32.00')]
    assert '<size>6</size>' in text and '<stop_frame>5</stop_frame>' in text


@pytest.mark.parametrize('numbers', [(0, 5, 10), (1, 2, 3), (10, 11, 12), (7, 9, 30)])
@pytest.mark.parametrize('format_name', ['cvat', 'mot'])
def test_images_of_any_numbers(tmp_path, format_name, numbers):
    for number in numbers:
        image(tmp_path / 'clips' / 'walk' / ('f%d.jpg' % number), HEIGHT, WIDTH)
    path = results(tmp_path, {1: [('dog', .5, [1, 2, 3, 4], 1)], 2: [('dog', .5, [2, 2, 4, 4], 1)]})
    path.write_text(path.read_text().replace('000001', 'f%d' % numbers[1]).replace('000002', 'f%d' % numbers[2]))
    dst = export(tmp_path, tmp_path / 'clips' / 'walk', format_name)
    source = IMPORTERS.get(format_name)(str(dst), Options(frames=str(tmp_path / 'clips')), Report())
    labels = source.clips[0].open_labels()
    boxes = [labels.boxes(number, HEIGHT, WIDTH) for number in source.clips[0].media.numbers]
    assert [[box[1:5] for box in each] for each in boxes] == [[], [(1, 2, 3, 4)], [(2, 2, 4, 4)]]


def test_a_track_that_changes_its_class_is_two(tmp_path):
    video(tmp_path / 'clips' / 'walk.mp4', 3)
    results(tmp_path, {0: [('dog', .5, [1, 2, 3, 4], 1)], 1: [(CLASSES[2], .5, [1, 2, 3, 4], 1)]})
    dst = export(tmp_path, tmp_path / 'clips' / 'walk.mp4', 'cvat')
    assert read('cvat', dst, frames=str(tmp_path / 'clips'))[0] == {
        ('walk', 0): [('dog', [1, 2, 3, 4], 1)], ('walk', 1): [(CLASSES[2], [1, 2, 3, 4], 2)]}


def test_import_to_train_on(tmp_path):
    video(tmp_path / 'clips' / 'walk.mp4', 5)
    results(tmp_path)
    dst = export(tmp_path, tmp_path / 'clips' / 'walk.mp4', 'cvat', thresh=.5)
    data = run_import('cvat', dst, tmp_path / 'out', frames=str(tmp_path / 'clips'), val=0)
    assert data.boxes('VID_train_15frames')['train/walk/000004'] == [('dog', 0, 0, 95, 63)]


def test_both_programs_write_what_is_read(tmp_path):
    """The file of `dff run` has more keys for a live source."""
    path = results(tmp_path)
    tree = json.loads(path.read_text())
    tree['frames'][0].update(latency=.1, dropped=0)
    path.write_text(json.dumps(tree))
    found = read_results(str(path), .7)
    assert found.classes == CLASSES[1:] and [len(frame.detections) for frame in found.frames] == [2, 1, 0, 0]
