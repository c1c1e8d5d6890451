"""The import as a whole: the command, the settings, what is never touched, names and sizes of unknown origin."""
import json
import os
import shutil
import struct
import zlib

import pytest

from dff.errors import ConfigError, DataError
from lib.config.defaults import detection_defaults
from lib.dataset.importers import layout
from lib.dataset.importers.frame_names import split_name
from lib.dataset.importers.paths import output_name, relative, unique
from lib.dataset.sets.toy_vid import ToyVID
from lib.dataset.toy.toy_generator import Size, generate
from tests.helpers.import_tools import image, mot_sequences, run_import, video
from tests.helpers.tiny import run_script
from tools.import_dataset import parse_arguments

@pytest.fixture
def src(tmp_path):
    return mot_sequences(tmp_path / 'my seqüences', 'a', 'b', 'c')


def test_a_flag_given_twice_adds_to_the_first(monkeypatch):
    monkeypatch.setattr('sys.argv', ['import_dataset.py', 'mot', 'src', 'dst', '--val_frames', 'a:1-2', '--val_frames',
                                     'b:3-4', 'b:7-8', '--classes', 'x', '--classes', 'y', '--val_clips', 'c',
                                     '--val_clips', 'd'])
    arguments = parse_arguments()
    assert arguments.val_frames == ['a:1-2', 'b:3-4', 'b:7-8']
    assert (arguments.classes, arguments.val_clips) == (['x', 'y'], ['c', 'd'])


@pytest.mark.slow
def test_command_line(src, tmp_path):
    out = tmp_path / 'my data'
    status, printed, errors = run_script('tools/import_dataset.py', 'mot', src, out, '--classes', 'car', 'pedestrian',
                                         'dog', '--val', 0.4)
    assert status == 0 and 'error' not in errors
    assert printed.splitlines()[:6] == [
        'training:   clips 2, frames 6, labelled 6, boxes 4', 'validation: clips 1, frames 3, labelled 3, boxes 2',
        '            clips a', 'classes:    car (boxes 2 + 1), pedestrian (boxes 2 + 1)', 'tracks:     3',
        'images:     9 linked']
    assert sorted(path.name for path in out.iterdir()) == [
        'Annotations', 'Data', 'ImageSets', 'classes.txt', 'contact_sheet.png', 'import.json',
        'my data_dff_rfcn.yaml', 'my data_rfcn.yaml'
    ]
    assert (out / 'classes.txt').read_text() == 'car\npedestrian\n'
    stamp = json.loads((out / 'import.json').read_text())
    assert (stamp['format'], stamp['source'], stamp['frames']) == ('mot', str(src), {'train': 6, 'val': 3})
    status, printed, errors = run_script('tools/import_dataset.py', 'mot', src, out)
    assert (status, printed, errors) == (
        2, '', 'error: %s exists already; --force replaces it, and all that was changed in it' % out)
    assert run_script('tools/import_dataset.py', 'mot', src, out, '--force', '--copy')[0] == 0
    assert not any(path.is_symlink() for path in out.rglob('*.JPEG')) and not list(tmp_path.glob('.my data*'))


def test_nothing_else_is_replaced(src, tmp_path):
    mine = tmp_path / 'mine'
    mine.mkdir()
    run_import('mot', src, mine)                       # an empty folder may be filled
    for path in (tmp_path / 'file', tmp_path / 'folder'):
        if path.name == 'file':
            path.write_text('precious')
        else:
            path.mkdir()
            (path / 'precious').write_text('')
        with pytest.raises(DataError, match='was not made by tools/import_dataset.py'):
            run_import('mot', src, path, force=True)
    for source, destination in ((src, src), (src, tmp_path), (src, src / 'out'), (mine / 'Data', mine)):
        with pytest.raises(DataError, match='are one inside the other'):
            run_import('mot', source, destination, force=True)
    assert (tmp_path / 'file').read_text() == 'precious' and (tmp_path / 'folder/precious').exists()
    assert (src / 'a/gt/gt.txt').exists()


@pytest.mark.parametrize('failure', [KeyboardInterrupt(), OSError(28, 'No space left on device')])
def test_an_import_that_stops_leaves_nothing_and_keeps_the_old(src, tmp_path, monkeypatch, failure):
    out = tmp_path / 'out'
    run_import('mot', src, out)
    before = sorted(out.rglob('*'))
    write = layout.Layout._annotation

    def stop(self, tree, path, *rest):
        if path == 'train/c/000001':
            raise failure
        write(self, tree, path, *rest)
    monkeypatch.setattr(layout.Layout, '_annotation', stop)
    with pytest.raises((KeyboardInterrupt, DataError), match='No space left' if isinstance(failure, OSError) else None):
        run_import('mot', src, out, force=True, val_clips=['a'])
    assert sorted(out.rglob('*')) == before and sorted(os.listdir(str(tmp_path))) == ['my seqüences', 'out']


def test_what_is_wrong_is_said(src, tmp_path):
    for message, options in (('there is no clip x; there are a, b, c', {'val_clips': ['x']}),
                             ('--val is a share', {'val': 2}),
                             ('no box of any class could be imported; --classes lists dog', {'classes': ['dog']}),
                             ('--frames: expected a folder of images', {'frames': 'none'})):
        with pytest.raises((ConfigError, DataError), match=message):
            run_import('mot', src, tmp_path / 'out', **options)
    with pytest.raises(ConfigError, match="there is no format called 'voc2'; choose from .*coco, coco-vid, cvat"):
        run_import('voc2', src, tmp_path / 'out')
    with pytest.raises(DataError, match='none does not exist'):
        run_import('mot', tmp_path / 'none', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


# ---- the settings

def test_toy_vid_through_mot_and_back(tmp_path):
    """What the project's reader reads from toy_vid it reads again after an export to MOT Challenge and an import."""
    toy = tmp_path / 'toy_vid'
    generate(str(toy), Size(train_clips=0, stills=0, val_clips=2, val_length=4), workers=1)
    cfg = detection_defaults()
    cfg.dataset.dataset, cfg.dataset.NUM_CLASSES = 'ToyVID', 6
    dataset = ToyVID('VID_val_videos', str(toy), ToyVID.class_list(cfg), None)
    names = dataset.classes
    for clip in dataset.clips():
        folder = tmp_path / 'mot' / clip.name
        (folder / 'gt').mkdir(parents=True)
        (folder / 'img1').mkdir()
        (folder / 'gt/labels.txt').write_text('\n'.join(names[1:]) + '\n')
        rows = []
        for i in range(clip.length):
            shutil.copyfile(clip.frame_path(i), str(folder / 'img1' / ('%06d.jpg' % (i + 1))))
            record = dataset.gt_roidb()[clip.first_number - 1 + i]
            rows += ['%d,%d,%g,%g,%g,%g,1,%d,1' % (i + 1, k, x1 + 1, y1 + 1, x2 - x1 + 1, y2 - y1 + 1, c)
                     for k, (c, (x1, y1, x2, y2)) in enumerate(zip(record.gt_classes, record.boxes.tolist()))]
        (folder / 'gt/gt.txt').write_text('\n'.join(rows))
    data = run_import('mot', tmp_path / 'mot', tmp_path / 'out', val=1)
    expected = {entry.path: [(names[c],) + tuple(box) for c, box in zip(record.gt_classes, record.boxes.tolist())]
                for entry, record in zip(dataset.image_set.entries, dataset.gt_roidb())}
    assert data.boxes('VID_val_videos') == expected and sum(map(len, expected.values())) > 5


# ---- names and sizes of unknown origin

@pytest.mark.parametrize('name', ['../a', '/a', 'a/../../b', '..', '', '.', 'C:/a', '\\a', 'a\\..\\b', 'a\0b'])
def test_names_that_lead_outside(name):
    with pytest.raises(DataError, match='x.json: the file name .* is refused'):
        relative(name, 'x.json')


@pytest.mark.parametrize('name, expected', [
    ('a b/ü', 'a b/ü'), ('a\nb', 'a_b'), ('.hidden/x', '_hidden/x'), ('../../a', 'a'), ('/a//b/', 'a/b'),
    (' a / b ', 'a/b'), ('...', 'clip'), ('a\\b:c', 'a/b_c'), ('%06d', '%06d'), ('\u202ea', '_a'), ('\udcff', '_')])
def test_names_to_write(name, expected):
    assert output_name(name) == expected


def test_names_are_made_unique():
    taken = set()
    assert [unique(name, taken) for name in ('a', 'a', 'b', 'a')] == ['a', 'a_2', 'b', 'a_3']


def test_odd_names_work_end_to_end(tmp_path):
    src = mot_sequences(tmp_path / 's', 'clip %06d 日本', 'two\nlines', '-x', 'a')
    data = run_import('mot', src, tmp_path / 'öut put', val_clips=['a'])
    assert set(path.rsplit('/', 1)[0] for path in data.boxes('VID_train_15frames')) == {
        'train/clip %06d 日本', 'train/two_lines', 'train/-x'}


@pytest.mark.parametrize('name, expected', [
    ('walk/frame_000012', ('walk', 12)), ('walk_12', ('walk', 12)), ('walk/12', ('walk', 12)),
    ('walk2/IMG-3', ('walk2', 3)), ('frame7', ('', 7)), ('pilgrimage_1', ('pilgrimage', 1)),
    ('a 1.mp4_5', ('a 1.mp4', 5)), ('walk', None), ('_' * 20000 + 'x', None), ('x' + '_' * 20000 + '1', ('x', 1))])
def test_names_of_frames(name, expected):
    assert split_name(name) == expected


def test_names_that_are_no_unicode_and_links_in_circles(src, tmp_path):
    (src / 'a/img1/000002.jpg').rename(src / 'a/img1/x')
    (src / 'a/img1').rename(src / 'a/img1x')
    odd = os.fsencode(str(src / 'a')) + b'/odd\xff'
    os.rename(os.fsencode(str(src / 'a/img1x')), odd)
    os.symlink(odd, os.fsencode(str(src / 'a/img1')))
    os.symlink(str(src), str(src / 'b/circle'))
    os.rename(os.fsencode(str(src / 'c')), os.fsencode(str(src)) + b'/c\xff')
    data = run_import('mot', src, tmp_path / 'out', val_clips=['b'])
    assert data.clips() == [('val/b', 3)]
    assert set(path.split('/')[1] for path in data.boxes('VID_train_15frames')) == {'a', 'c_'}
    assert all(line.encode('utf-8') for line in data.lines)


def bomb(path, width, height):
    """A PNG that declares a size and holds nothing."""
    head = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + head + struct.pack('>I', zlib.crc32(head))
                     + struct.pack('>I', 0) + b'IDAT' + struct.pack('>I', zlib.crc32(b'IDAT')))


@pytest.mark.parametrize('size', [(60000, 60000), (12000, 10000)])
def test_images_of_huge_declared_size(src, tmp_path, size):
    (src / 'a/img1/000002.jpg').unlink()
    bomb(src / 'a/img1/000002.jpg', *size)
    data = run_import('mot', src, tmp_path / 'out', val_clips=['b'])
    assert data.said('1 images: unreadable (') and len(list((data.path / 'Data/VID/train/a').iterdir())) == 2


def test_empty_and_truncated_images_and_videos(src, tmp_path):
    (src / 'a/img1/000002.jpg').write_bytes(b'')
    assert run_import('mot', src, tmp_path / 'one', val_clips=['b']).said('1 images: unreadable')
    (tmp_path / 'v').mkdir()
    (tmp_path / 'v/w.txt').write_text('1,1,11,6,20,30,1,1,1' + '\n')
    (tmp_path / 'v/w.mp4').write_bytes(b'no video')
    with pytest.raises(DataError, match='cannot decode .*w.mp4 as video'):
        run_import('mot', tmp_path / 'v', tmp_path / 'two', val=0)
    video(tmp_path / 'v/w.mp4', 8)
    assert run_import('mot', tmp_path / 'v', tmp_path / 'three', val=0).said('8 decoded from video')


def test_a_damaged_png_is_left_out(src, tmp_path):
    (src / 'a/img1/000002.jpg').unlink()
    data = image(src / 'a/img1/000002.png').read_bytes()
    (src / 'a/img1/000002.png').write_bytes(data[:len(data) // 2])
    imported = run_import('mot', src, tmp_path / 'out', val_clips=['b'])
    assert imported.said('1 images: unreadable (cannot decode image') and imported.said('images:     8 linked')
