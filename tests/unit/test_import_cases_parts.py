"""Splits that the source brings, leaks between them, tracks, and names of clips."""
import pytest

from dff.errors import ConfigError, DataError
from lib.dataset.importers.frame_names import split_name, without_prefixes
from lib.dataset.importers.paths import part_of
from tests.helpers.import_tools import image, run_import, video
from tests.unit.test_import_cases_pairing import coco, cvat, write

BOX = '0 0.5 0.5 0.5 0.5\n'


def yolo(root, *names, text=BOX, grey=0):
    """Write images of YOLO and their labels; names hold %s for the folder images or labels."""
    write(root / 'classes.txt', 'cat\n')
    for i, name in enumerate(names):
        image(root / ((name % 'images' if '%' in name else name) + '.jpg'), grey=grey + i)
        write(root / ((name % 'labels' if '%' in name else name) + '.txt'), text)
    return root


def trained(data, image_set='DET_train_all'):
    """The names of the images to train on."""
    return sorted(path.partition('/')[2] for path in data.boxes(image_set))


@pytest.mark.parametrize('path, part', [('train/x', 'train'), ('images/train2017/x', 'train'),
                                        ('Valid/x', 'val'), ('obj_valid_data/x', 'val'),
                                        ('a/testing/x', 'test'), ('train_07/x', None),
                                        ('trains/x', None), ('evaluation/x', None)])
def test_folders_that_say_the_part(path, part):
    assert part_of(path) == part


@pytest.mark.parametrize(
    'yaml, lists',
    [('train: one/images\nval: two/images', {}),
     ('path: /home/me/set\ntrain: [one/images]\nval: [/home/me/set/two/images/]', {}),
     ('path: .\ntrain: a.txt\nval: b.txt', {
         'a.txt': './one/images/%d.jpg',
         'b.txt': '/x/src/two/images/%d.jpg'
     }), ('train: ../src/one/images\nval: ..\\src\\two\\images', {})])
def test_parts_of_data_yaml(tmp_path, yaml, lists):
    src = yolo(tmp_path / 'src',
               *('%s/%%s/%d' % (part, i) for part in ('one', 'two') for i in range(2)))
    write(src / 'data.yaml', 'names: [cat]\n%s\n' % yaml)
    for name, line in lists.items():
        write(src / name, '\n'.join(line % i for i in range(2)))
    data = run_import('yolo', src, tmp_path / 'out', val=0.9)
    assert trained(data) == ['one/0', 'one/1']
    assert data.clips() == [('val/two/0', 1), ('val/two/1', 1)]
    assert data.said('parts:      as the data set has them')


def test_parts_of_obj_data(tmp_path):
    """CVAT's YOLO 1.1: a folder a subset, lists beside."""
    src = yolo(tmp_path / 'src', 'obj_train_data/a', 'obj_train_data/b', 'obj_valid_data/a')
    (src / 'classes.txt').rename(src / 'obj.names')
    write(src / 'obj.data',
          'classes = 1\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n')
    write(src / 'train.txt', 'data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n')
    write(src / 'valid.txt', 'data/obj_valid_data/a.jpg\n')
    data = run_import('yolo', src, tmp_path / 'out')
    assert trained(data) == ['a', 'b'] and data.clips() == [('val/a', 1)]


def test_images_that_no_part_names_are_left_out(tmp_path):
    src = yolo(tmp_path / 'src', *('%%s/%d' % i for i in range(4)))
    write(src / 'data.yaml', 'names: [cat]\ntrain: train.txt\nval: val.txt\ntest: ../test/images')
    write(src / 'train.txt', 'images/0.jpg\n')
    write(src / 'val.txt', 'images/1.jpg\n')
    data = run_import('yolo', src, tmp_path / 'out')
    assert trained(data) == ['0']
    assert data.said('2 images: in none of the parts that data.yaml names')
    assert data.said('test of data.yaml names ../test/images, which is not in')


def test_a_list_that_leaks_is_an_error(tmp_path):
    src = yolo(tmp_path / 'src', *('%%s/%d' % i for i in range(3)))
    write(src / 'data.yaml', 'names: [cat]\ntrain: train.txt\nval: val.txt')
    write(src / 'train.txt', 'images/0.jpg\nimages/1.jpg\n')
    write(src / 'val.txt', 'images/1.jpg\nimages/2.jpg\n')
    with pytest.raises(DataError, match='data.yaml: .*images/1.jpg is in two parts, train and val'):
        run_import('yolo', src, tmp_path / 'out')
    write(src / 'data.yaml', 'names: [cat]\ntrain: images\nval: images')
    data = run_import('yolo', src, tmp_path / 'same', val=0.4)
    assert len(data.clips()) == 1 and data.said('train and val of data.yaml are the same images')


def test_an_image_in_two_coco_files_is_an_error(tmp_path):
    for part, names in (('train', ['0.jpg', '1.jpg']), ('val', ['1.jpg'])):
        coco(tmp_path / ('src/annotations/instances_%s.json' % part), names)
    for i in range(2):
        image(tmp_path / ('src/images/%d.jpg' % i))
    with pytest.raises(DataError, match='1.jpg is in two parts, train and val'):
        run_import('coco', tmp_path / 'src', tmp_path / 'out')


@pytest.mark.parametrize('train, val, leaks', [
    ((0, 2, 4), (1, 3), True), ((0, 1, 2), (3, 4), True), ((0, 1, 2), (0, 1), False)])
def test_frames_of_one_clip_in_two_parts(tmp_path, train, val, leaks):
    """Numbers that go on belong to one clip; those that begin anew, with other pictures, to two."""
    src = yolo(tmp_path / 'src', *('train/%%s/walk_%d' % i for i in train),
               *('val/%%s/walk_%d' % i for i in val))
    if leaks:
        with pytest.raises(DataError,
                           match='frames of walk are both for training and for validation'):
            run_import('yolo', src, tmp_path / 'out', clips=True)
        data = run_import('yolo', src, tmp_path / 'out', clips=True, val_frames=['walk:3-4'])
        assert data.clips() == [('val/walk', 2)] and len(data.boxes('VID_train_15frames')) == 3
    else:
        data = run_import('yolo', src, tmp_path / 'out', clips=True)
        assert data.clips() == [('val/walk', len(val))]


def test_unlabelled_frames_are_not_those_of_another_part(tmp_path):
    """Frames of a split by lists lie in one folder: those for validation are none of the training
    clip.
    """
    src = yolo(tmp_path / 'src',
               *('%%s/%s_%d' % (clip, i) for clip in ('a', 'b') for i in range(3)))
    write(src / 'data.yaml', 'names: [cat]\ntrain: train.txt\nval: val.txt')
    write(src / 'train.txt', '\n'.join('images/a_%d.jpg' % i for i in range(3)))
    write(src / 'val.txt', '\n'.join('images/b_%d.jpg' % i for i in range(3)))
    data = run_import('yolo', src, tmp_path / 'out', clips=True)
    assert trained(data, 'VID_train_15frames') == ['a/00000%d' % i for i in range(3)]
    assert data.clips() == [('val/b', 3)]


def test_subsets_of_cvat(tmp_path):
    for name, subset in (('a', 'Train'), ('b', 'Validation'), ('c', 'Test')):
        video(tmp_path / 'src' / (name + '.mp4'), 5)
        cvat(tmp_path / 'src' / (name + '.xml'),
             name + '.mp4',
             subset='<subset>%s</subset>' % subset)
    data = run_import('cvat', tmp_path / 'src', tmp_path / 'out')
    assert data.clips() == [('val/b', 5)] and len(data.boxes('VID_train_15frames')) == 5
    assert data.said('1 clips: of the test part of the source (c)')
    cvat(tmp_path / 'src/b.xml', 'a.mp4', subset='<subset>Validation</subset>')
    (tmp_path / 'src/b.mp4').unlink()
    with pytest.raises(DataError,
                       match='a.mp4 are both for training and for validation, as a and as b'):
        run_import('cvat', tmp_path / 'src', tmp_path / 'leak')


PROJECT = '''<annotations><meta><project><id>1</id><tasks>%s</tasks><labels>
<label><name>cat</name></label></labels></project></meta>%s</annotations>'''
TASK = '''<task><id>%d</id><name>%s</name><size>3</size><subset>%s</subset><original_size>
<width>96</width><height>64</height></original_size><source>%s.mp4</source></task>'''


@pytest.mark.parametrize('format_name', ['cvat', 'cvat-images'])
def test_a_project_of_cvat(tmp_path, format_name):
    """Its tasks are clips of their own, with their own frames, boxes and subsets."""
    tasks = ''.join(TASK % task
                    for task in ((3, 'walk', 'Train', 'walk'), (4, 'run', 'Validation', 'run')))
    if format_name == 'cvat':
        shapes = ''.join(
            '<track id="0" label="cat" task_id="%d"><box frame="1" outside="0" xtl="%d" ytl="1" '
            'xbr="30" ybr="30"/></track>' % (task, task) for task in (3, 4))
    else:
        shapes = ''.join(
            '<image id="%d" name="frame_%06d" subset="%s" task_id="%d" width="96" height="64">'
            '<box label="cat" xtl="%d" ytl="1" xbr="30" ybr="30"/></image>'
            % (i, i, subset, task, task) for task, subset in ((3, 'Train'), (4, 'Validation'))
            for i in (0, 1))
    write(tmp_path / 'src/annotations.xml', PROJECT % (tasks, shapes))
    for name in ('walk', 'run'):
        video(tmp_path / 'src' / (name + '.mp4'), 3)
    data = run_import(format_name, tmp_path / 'src', tmp_path / 'out', clips=True)
    assert data.boxes('VID_train_15frames')['train/walk/000001'] == [('cat', 3, 1, 29, 29)]
    assert data.boxes('VID_val_frames')['val/run/000001'] == [('cat', 4, 1, 29, 29)]
    assert data.clips() == [('val/run', 3)]


# ---- stretches

def test_stretches_of_a_video(tmp_path):
    """Frames as MOT numbers them, from 1; what remains before and after trains as two clips."""
    video(tmp_path / 'src/a.mp4', 8)
    write(tmp_path / 'src/a.txt',
          ''.join('%d,1,%d,6,20,30,1,1,1\n' % (i, i + 10) for i in range(1, 9)))
    data = run_import('mot', tmp_path / 'src', tmp_path / 'out', val_frames=['a:4-5'])
    lefts = {path: boxes[0][1] for path, boxes in data.boxes('VID_train_15frames').items()}
    assert lefts == {'train/%s/00000%d' % (clip, i): first + i
                     for clip, first in (('a', 10), ('a_2', 15)) for i in range(3)}
    assert {path: boxes[0][1] for path, boxes in data.boxes('VID_val_frames').items()} == {
        'val/a/000000': 13, 'val/a/000001': 14}
    assert data.said('parts:      as --val_clips and --val_frames say')
    assert not data.said('left out')


def test_stretches_of_images_beside_whole_clips(tmp_path):
    src = yolo(tmp_path / 'src', *('%%s/%s_%d' % (clip, i) for clip in 'abc' for i in range(4)))
    out = tmp_path / 'out'
    data = run_import('yolo', src, out, clips=True, val_frames=['a:2-3'], val_clips=['b'])
    assert data.clips() == [('val/a', 2), ('val/b', 4)]
    assert trained(data, 'VID_train_15frames') == [
        'a/000000', 'a/000001', 'c/000000', 'c/000001', 'c/000002', 'c/000003']


@pytest.mark.parametrize(
    'text, kind, message',
    [('a', ConfigError, "expected CLIP:FIRST-LAST, such as walk:501-795; found 'a'"),
     ('a:3-2', ConfigError, 'expected CLIP'),
     ('x:1-2', DataError, 'there is no clip x; there are a'),
     ('a:2-9', DataError, 'a:2-9: expected frames from 0 to 3, which the clip has')])
def test_stretches_that_cannot_be(tmp_path, text, kind, message):
    src = yolo(tmp_path / 'src', *('%%s/a_%d' % i for i in range(4)))
    with pytest.raises(kind, match=message):
        run_import('yolo', src, tmp_path / 'out', clips=True, val_frames=[text])


# ---- names

HASH = 'bc4e69093cdfd6aa4aaacd2f8ed0e730'


@pytest.mark.parametrize('name, expected',
                         [('train/walk1_mp4-0001_jpg.rf.' + HASH, ('train/walk1', 1)),
                          ('img_0042_png.rf.' + HASH, ('', 42)),
                          ('frame_000007_jpg.rf.' + HASH, ('', 7)), ('walk_' + HASH, None),
                          ('cat_jpg.rf.' + HASH, None),
                          ('walk_20240101123456', ('walk', 20240101123456)),
                          ('walk_mp4_3', ('walk_mp4', 3))])
def test_digits_of_checksums_are_no_frames(name, expected):
    assert split_name(name) == expected


def test_checksums_before_names():
    """Label Studio's, where they differ; a date that all frames share stays."""
    assert without_prefixes(['a/0a1b2c3d-walk_1', 'a/1f1b2c3d-walk_2']) == ['a/walk_1', 'a/walk_2']
    assert without_prefixes(['20240101-walk_1',
                             '20240101-walk_2']) == ['20240101-walk_1', '20240101-walk_2']
    assert without_prefixes(['0a1b2c3d-walk_1', 'walk_2']) == ['0a1b2c3d-walk_1', 'walk_2']
