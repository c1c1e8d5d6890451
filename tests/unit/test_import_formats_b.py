"""Label Studio's JSON."""
import json

import pytest

from dff.errors import DataError
from tests.helpers.import_tools import image, run_import, video


def write(path, tree):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree), encoding='utf-8')
    return path


def key(frame, x, enabled=True, **more):
    return dict({'frame': frame, 'enabled': enabled, 'rotation': 0, 'x': x, 'y': 25, 'width': 25,
                 'height': 50, 'time': frame / 25}, **more)


def region(*keys, label='Car', count=6, **more):
    return dict({'value': {'framesCount': count, 'duration': 0.6, 'sequence': list(keys),
                           'labels': [label]},
                 'id': 'r%s' % (keys[0]['frame'] if keys else '',), 'from_name': 'box',
                 'to_name': 'video', 'type': 'videorectangle', 'origin': 'manual'}, **more)


def task(identity, data, *results, **more):
    return dict({'id': identity, 'data': data, 'predictions': [], 'annotations': [
        {'id': identity, 'was_cancelled': False, 'ground_truth': False,
         'result': list(results)}]}, **more)


def rectangle(x, y, width, height, label='Car', **more):
    rotation = more.pop('rotation', 0)
    return dict({'original_width': 60, 'original_height': 40, 'image_rotation': 0, 'value': {
        'x': x, 'y': y, 'width': width, 'height': height, 'rotation': rotation,
        'rectanglelabels': [label]}, 'id': 'x%s%s' % (x, y), 'type': 'rectanglelabels'}, **more)


def all_boxes(data, clip, length):
    found = data.boxes('VID_val_frames')
    return [found.get('%s/%06d' % (clip, i), []) for i in range(length)]


def test_video_tracks(tmp_path):
    """Interpolated, kept to the end, gone behind the key that switches off; frames count from 1."""
    video(tmp_path / 'src/1a2b3c4d-walk.mp4', 6)
    file = write(tmp_path / 'src/project.json', [task(
        7, {'video': '/data/upload/3/1a2b3c4d-walk.mp4'},
        region(key(1, 0), key(3, 50), key(4, 50, False)),
        region(key(5, 25), label='Man'))])
    data = run_import('label-studio', file, tmp_path / 'out', val=1)
    car = [('car', x, 16, x + 23, 47) for x in (0, 24, 48, 48)]
    names = [name.split()[0] for name in data.classes]
    assert names == ['Car', 'Man'] and data.clips() == [('val/walk', 6)]
    assert [[(n.lower(), *b) for n, *b in boxes] for boxes in all_boxes(data, 'val/walk', 6)] == [
        [box] for box in car] + [[('man', 24, 16, 47, 47)]] * 2
    tracks = [data.xml('VID/val/walk/%06d' % i) for i in range(6)]
    assert ['<trackid>0<' in text for text in tracks] == [True] * 4 + [False] * 2
    assert ['<generated>1<' in text for text in tracks] == [False, True] + [False] * 3 + [True]


def test_video_at_another_rate(tmp_path):
    """Label Studio took 24 frames for 12: boxes are placed by their time, and it is said."""
    video(tmp_path / 'src/walk.mp4', 12)
    file = write(tmp_path / 'src/a.json', [task(1, {'video': 's3://x/walk.mp4'}, region(
        key(1, 0), key(21, 50), key(23, 50, False), count=24))])
    data = run_import('label-studio', file, tmp_path / 'out', val=1)
    lefts = [boxes[0][1] if boxes else None for boxes in all_boxes(data, 'val/walk', 12)]
    assert lefts == [0, 4.8, 9.6, 14.4, 19.2, 24, 28.8, 33.6, 38.4, 43.2, 48, 48]
    assert data.said('labelled at another frame rate')
    write(file, [task(1, {'video': 'walk.mp4'}, region(key(1, 0), count=10 ** 9))])
    with pytest.raises(DataError, match='framesCount is not of this video'):
        run_import('label-studio', file, tmp_path / 'other', val=1)


def test_images(tmp_path):
    """Percent of the image; a turned rectangle becomes the box around it; other regions counted."""
    for name in ('0a0b0c0d-a.jpg', 'b.jpg', 'c.jpg', 'd.jpg'):
        image(tmp_path / 'src/files' / name)
    brush = {'id': 'z', 'type': 'brushlabels', 'value': {'rle': [1], 'brushlabels': ['Car']}}
    apart = [rectangle(0, 0, 50, 50, id='p', type='rectangle'),
             {'id': 'p', 'type': 'labels', 'value': {'labels': ['Dog', 'Old']}}]
    del apart[0]['value']['rectanglelabels']
    write(tmp_path / 'src/a.json', [
        task(1, {'image': '/data/upload/1/0a0b0c0d-a.jpg'}, rectangle(10, 25, 50, 50), brush),
        task(2, {'image': '/data/local-files/?d=files/b.jpg'},
             rectangle(50, 25, 20, 50, rotation=90)),
        task(3, {'image': 'https://host/x/c.jpg?token=1'}, *apart, file_upload='c.jpg'),
        task(4, {'image': 'd.jpg'}, rectangle(0, 0, 10, 10, image_rotation=90))])
    data = run_import('label-studio', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {
        'train/a': [('Car', 6, 10, 35, 29)], 'train/files/b': [('Car', 10, 10, 29, 21)],
        'train/x/c': [('Dog', 0, 0, 29, 19)]}
    for text in ('1 results: brushlabels, not boxes', 'turned rectangles became', 'several labels',
                 '1 boxes: of a video, or of an image that was turned'):
        assert data.said(text)


def test_which_annotation(tmp_path):
    """Skipped ones are left out; ground truth goes before the newest, which goes before others."""
    def made(x, **more):
        return dict({'result': [rectangle(x, 0, 10, 10)], 'was_cancelled': False}, **more)
    for name in 'abcd':
        image(tmp_path / ('src/%s.jpg' % name))
    old, new = {'updated_at': '2024-01-02T00:00:00Z'}, {'updated_at': '2025-01-02T00:00:00Z'}
    file = write(tmp_path / 'src/x.json', [
        {'id': 1, 'data': {'image': 'a.jpg'}, 'annotations': [made(10, **new), made(20, **old)]},
        {'id': 2, 'data': {'image': 'b.jpg'}, 'predictions': [{}], 'annotations': [
            made(10, **old, ground_truth=True), made(20, **new)]},
        {'id': 3, 'data': {'image': 'c.jpg'}, 'annotations': [made(0, was_cancelled=True)]},
        {'id': 4, 'data': {'image': 'd.jpg'}, 'annotations': []}])
    data = run_import('label-studio', file, tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {name: [('Car', 6, 0, 11, 3)] for name in (
        'train/a', 'train/b')}
    for text in ('2 annotations: another one', '1 annotations: skipped or cancelled',
                 '1 tasks: not annotated', '1 predictions'):
        assert data.said(text)


def test_same_names_behind_their_prefixes(tmp_path):
    for head in ('0a0b0c0d', '1a1b1c1d'):
        image(tmp_path / ('src/%s-1.jpg' % head))
    file = write(tmp_path / 'src/x.json', [
        task(i, {'image': '/data/upload/1/%s-1.jpg' % head}, rectangle(0, 0, 50, 50))
        for i, head in enumerate(('0a0b0c0d', '1a1b1c1d'))])
    data = run_import('label-studio', file, tmp_path / 'out', val=0)
    assert sorted(data.boxes('DET_train_all')) == ['train/0a0b0c0d-1', 'train/1a1b1c1d-1']


@pytest.mark.parametrize('tree, text', [
    ({'image': 'a.jpg'}, "'data' and 'annotations'; export the project as JSON, not as JSON-MIN"),
    ([1], 'a.json, entry 0: expected an object, found int'),
    ('x', 'a.json: expected a list of objects, found str'),
    ([{'id': 5, 'data': {'image': 'a.jpg'}, 'annotations': 3}], 'task 5, annotations: expected'),
    ([task(1, {'image': '../../../etc/a.jpg'}, rectangle(0, 0, 9, 9))], 'none of the 1 images'),
    ([task(1, {'video': '/etc/passwd.mp4'}, region(key(1, 1)))], 'none of the 1 videos'),
    ([task(1, {'image': 'a\0.jpg'}, rectangle(0, 0, 9, 9))], 'refused'),
    ([task(1, {'text': 3})], 'none of the 0 images'),
    ([], 'none of the 0 images'),
])
def test_bad_files(tmp_path, tree, text):
    file = write(tmp_path / 'src/a.json', tree)
    with pytest.raises(DataError) as error:
        run_import('label-studio', file, tmp_path / 'out', val=0)
    assert text in str(error.value).replace('\n', ' ') and not (tmp_path / 'out').exists()


def test_damaged_text(tmp_path):
    file = tmp_path / 'a.json'
    for text in (b'[{"id": 1', b'\xff\xfe\x00', b'[' * 100000, b'[' + b'9' * 5000 + b']'):
        file.write_bytes(text)
        with pytest.raises(DataError):
            run_import('label-studio', file, tmp_path / 'out')


def test_wrong_values_are_counted(tmp_path):
    """Numbers out of bounds, other types: the box is left out, the rest is imported."""
    video(tmp_path / 'src/walk.mp4', 3)
    bad = [key(1, 'x'), key(1, None), key(1, 1e308), key(1, 0, rotation='q'), key(1, [1])]
    results = [region(key(1, 0), count=3)] + [region(each, count=3) for each in bad]
    results += [region(count='x'), region({'frame': None}), region({'frame': 10 ** 400}),
                {'type': {}, 'value': 3}, region(key(1, 0), key(10 ** 17, 50), count=3)]
    file = write(tmp_path / 'src/a.json', [task([1] * 99, {'video': 'walk.mp4'}, *[
        dict(result, id=index) for index, result in enumerate(results)])])
    data = run_import('label-studio', file, tmp_path / 'out', val=1)
    assert [len(boxes) for boxes in all_boxes(data, 'val/walk', 3)] == [2, 2, 2]
    for text in ('a coordinate is no number', 'tracks: without key frames', 'without frame number',
                 'frames: labelled, but the clip does not have them', 'results: {}, not boxes'):
        assert data.said(text)
