"""toy_vid: the layout, labels that agree with the pictures, the same bytes every time, and safe regeneration."""
import json
import os
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from dff.errors import DataError
from lib.config.defaults import detection_defaults
from lib.dataset.registry import get_class_list, get_dataset
from lib.dataset.roidb import load_roidb
from lib.dataset.toy import toy_generator
from lib.dataset.toy.toy_generator import STORE, Size, ensure, generate
from lib.dataset.toy.toy_scene import HEIGHT, HIDDEN_BELOW, OCCLUDED_BELOW, WIDTH, Scene
from lib.dataset.toy.toy_shapes import CLASSES, PATCH, make_background, make_distractor, make_object

SMALL = Size(train_clips=2, train_length=4, stills=5, val_clips=2, val_length=3)


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """Folder of a small toy_vid."""
    folder = tmp_path_factory.mktemp('toy') / 'toy vid'
    generate(str(folder), SMALL)
    return folder


def config(folder, image_set='DET_train_toy+VID_train_15frames'):
    cfg = detection_defaults()
    cfg.dataset.dataset, cfg.dataset.NUM_CLASSES = 'ToyVID', 6
    cfg.dataset.dataset_path, cfg.dataset.root_path = str(folder), str(folder.parent / 'root')
    cfg.dataset.image_set = image_set
    return cfg


def test_layout(toy):
    lists = {name: (toy / 'ImageSets' / (name + '.txt')).read_text().splitlines()
             for name in ('DET_train_toy', 'VID_train_15frames', 'VID_val_frames', 'VID_val_videos')}
    assert lists['DET_train_toy'][4] == 'train/toy/toy_000004 5'
    assert lists['VID_train_15frames'] == ['train/toy_train_%03d 1 %d 4' % (clip, frame) for clip in range(2)
                                           for frame in range(4)]
    assert lists['VID_val_videos'] == ['val/toy_val_000 1 0 3', 'val/toy_val_001 4 0 3']
    assert lists['VID_val_frames'][5] == 'val/toy_val_001/000002 6' and len(lists['VID_val_frames']) == 6
    assert (toy / 'classes.txt').read_text().splitlines()[0] == 'toy01 ball'
    images, annotations = (toy / 'Data').glob('**/*.JPEG'), (toy / 'Annotations').glob('**/*.xml')
    assert len(list(images)) == len(list(annotations)) == 2 * 4 + 5 + 2 * 3


def test_it_is_a_data_set(toy):
    cfg = config(toy)
    assert get_class_list(cfg).names == ['__background__'] + list(CLASSES)
    records = load_roidb(cfg)
    assert records and all((record.height, record.width) == (HEIGHT, WIDTH) for record in records)
    assert len(get_dataset(cfg, 'VID_val_videos').clips()) == 2
    assert len(get_dataset(cfg, 'VID_val_frames').gt_roidb()) == 6


def test_the_same_bytes_from_one_or_two_processes(toy, tmp_path):
    generate(str(tmp_path / 'again'), SMALL, workers=2)
    assert STORE.checksums(str(tmp_path / 'again')) == STORE.checksums(str(toy))
    lines = ['%s  %s' % line for line in STORE.checksums(str(toy))]
    assert (toy / 'checksums.sha256').read_text().splitlines() == lines


def test_more_clips_do_not_change_the_first(toy, tmp_path):
    generate(str(tmp_path / 'more'), Size(train_clips=3, train_length=5, stills=6, val_clips=2, val_length=3))
    for path in ('VID/train/toy_train_001/000003', 'VID/val/toy_val_001/000002', 'DET/train/toy/toy_000003'):
        assert (tmp_path / 'more' / 'Data' / (path
                                              + '.JPEG')).read_bytes() == (toy / 'Data' / (path + '.JPEG')).read_bytes()


@pytest.mark.parametrize('seed, speed', [(0, 'slow'), (1, 'medium'), (2, 'fast'), (11, 'fast')])
def test_boxes_are_tight_around_what_is_visible(seed, speed):
    scene = Scene(np.random.RandomState(seed), speed, seed)
    for t in range(6):
        frame = scene.render(t)
        assert frame.image.shape == (HEIGHT, WIDTH, 3) and frame.image.dtype == np.uint8
        assert frame.ids.shape == (HEIGHT, WIDTH)
        for thing in frame.things:
            x1, y1, x2, y2 = thing.box
            mask = frame.ids == thing.track + 1
            assert 0 <= x1 < x2 < WIDTH and 0 <= y1 < y2 < HEIGHT
            assert mask.sum() == mask[y1:y2 + 1, x1:x2 + 1].sum()
            assert mask[y1].any() and mask[y2].any() and mask[:, x1].any() and mask[:, x2].any()
            assert thing.class_index == scene.classes[thing.track]


def test_occluded_and_hidden_objects():
    scene = Scene(np.random.RandomState(4), 'slow', 0)
    own = [sprite for sprite in scene.sprites if sprite.track >= 0][:1]
    cover = [sprite for sprite in scene.sprites if sprite.track < 0][:1]
    scene.classes = scene.classes[:1]
    own[0].track, own[0].start, own[0].velocity = 0, np.array([160.0, 96.0]), np.zeros(2)
    cover[0].levels, cover[0].size, cover[0].velocity = [np.ones((PATCH, PATCH, 4), np.float32)], 110, np.zeros(2)
    cover[0].swell, cover[0].angle, cover[0].turn, cover[0].aspect = 0, 0, 0, 1
    scene.sprites = own + cover
    seen = []
    for x in range(20, 161, 5):
        cover[0].start = np.array([float(x), 96.0])
        seen.append([thing.occluded for thing in scene.render(0).things])
    assert 0 < HIDDEN_BELOW < OCCLUDED_BELOW < 1
    assert seen[0] == [False] and [True] in seen and seen[-1] == []


def test_objects_move_and_are_sized_as_documented(toy):
    boxes = {}
    for t, frame in enumerate(iter_frames(5, 'fast', 12)):
        for thing in frame.things:
            boxes.setdefault(thing.track, {})[t] = thing.box
    shifts = [max(abs(track[max(track)][k] - track[min(track)][k]) for k in range(4)) for track in boxes.values()]
    assert max(shifts) >= 5
    records = load_roidb(config(toy))
    sides = np.concatenate([np.max(record.boxes[:, 2:] - record.boxes[:, :2] + 1, axis=1) for record in records])
    assert 20 <= np.median(sides) <= 110 and sides.max() <= 170


def iter_frames(seed, speed, count):
    scene = Scene(np.random.RandomState(seed), speed, seed)
    return [scene.render(t) for t in range(count)]


def test_classes_take_turns_and_colours_say_nothing():
    scenes = [Scene(np.random.RandomState(i), 'slow', i) for i in range(25)]
    counts = np.bincount([c for scene in scenes for c in scene.classes], minlength=len(CLASSES))
    assert counts.min() >= 0.5 * counts.max()
    for class_index in range(len(CLASSES)):
        patches = [make_object(np.random.RandomState(i), class_index) for i in range(8)]
        assert all(patch.shape == (PATCH, PATCH, 4) and 0.2 < patch[..., 3].mean() < 0.85 for patch in patches)
        means = np.array([patch[patch[..., 3] > 0.5][:, :3].mean(axis=0) for patch in patches])
        assert (means.std(axis=0) > 10).all()


def test_distractors_and_backgrounds():
    patch = make_distractor(np.random.RandomState(0))
    assert patch.shape == (PATCH, PATCH, 4) and patch[..., 3].max() == 1
    background = make_background(np.random.RandomState(0), 60, 80)
    assert background.shape == (60, 80, 3) and background.std() > 10


def test_images_survive_the_disk(toy):
    image = cv2.imread(str(toy / 'Data/VID/val/toy_val_000/000000.JPEG'))
    drawn = Scene(np.random.RandomState([1, 0]), 'slow', 0).render(0).image
    # JPEG keeps half the resolution of the colours, which are strong here.
    assert image.shape == drawn.shape and np.abs(image.astype(int) - drawn).mean() < 8


def test_made_on_first_use_and_kept(tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(STORE, 'generate', lambda folder, size, replace: calls.append(folder))
    ensure(str(tmp_path / 'new'))
    assert calls == [str(tmp_path / 'new')]
    (tmp_path / 'old').mkdir()
    (tmp_path / 'old' / 'toy_vid.json').write_text(json.dumps({'version': toy_generator.VERSION, 'stills': 3}))
    ensure(str(tmp_path / 'old'))
    assert len(calls) == 1
    (tmp_path / 'old' / 'toy_vid.json').write_text(json.dumps({'version': 0}))
    assert capsys.readouterr().out == ''
    ensure(str(tmp_path / 'old'))
    assert len(calls) == 2
    assert capsys.readouterr().out == 'toy_vid at %s is of version 0: drawing version %d, in the default size\n' % (
        tmp_path / 'old', toy_generator.VERSION)


def test_another_process_may_be_first(tmp_path, monkeypatch):
    size = Size(0, 1, 1, 0, 1)
    generate(str(tmp_path / 'first'), size)
    original = STORE.write

    def write(*args):
        original(*args)
        os.rename(str(tmp_path / 'first'), str(tmp_path / 'toy'))
        (tmp_path / 'toy' / 'mark').touch()
    monkeypatch.setattr(STORE, 'write', write)
    ensure(str(tmp_path / 'toy'), size)
    assert os.listdir(str(tmp_path)) == ['toy'] and (tmp_path / 'toy' / 'mark').exists()


def test_two_at_once_draw_once(tmp_path, monkeypatch):
    size, original, calls = Size(0, 1, 1, 0, 1), STORE.write, []

    def write(*args):
        calls.append(args)
        time.sleep(0.5)         # long enough for the other to come
        original(*args)
    monkeypatch.setattr(STORE, 'write', write)
    others = [threading.Thread(target=ensure, args=(str(tmp_path / 'toy'), size)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert len(calls) == 1 and os.listdir(str(tmp_path)) == ['toy'] and (tmp_path / 'toy' / 'toy_vid.json').exists()


def test_a_link_keeps_pointing_to_its_disk(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'toy').symlink_to(tmp_path / 'disk')
    ensure(str(tmp_path / 'toy'), Size(0, 1, 1, 0, 1))
    assert (tmp_path / 'toy').is_symlink() and (tmp_path / 'disk' / 'toy_vid.json').exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / 'thesis.txt').write_text('mine')
    with pytest.raises(DataError, match='is not empty and was not made by the toy generator'):
        ensure(str(tmp_path))
    assert os.listdir(str(tmp_path)) == ['thesis.txt']


def test_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(toy_generator, '_write_lists', fail)
    with pytest.raises(DataError, match='cannot make toy_vid at .*toy: No space left on device'):
        generate(str(tmp_path / 'toy'), Size(0, 1, 1, 0, 1))
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.slow
def test_command_line(root, tmp_path):
    command = [sys.executable, '-m', 'lib.dataset.toy.toy_generator', str(tmp_path / 'toy'), '--train_clips', '1',
               '--train_length', '2', '--stills', '1', '--val_clips', '1', '--val_length', '2']
    pipes = dict(cwd=str(root), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    for _ in range(2):     # the second time it replaces the first
        done = subprocess.run(command, **pipes)
        assert (done.returncode, done.stdout, done.stderr) == (0, 'toy_vid is at %s\n' % (tmp_path / 'toy'), '')
    done = subprocess.run(command[:3] + [str(root / 'lib')], **pipes)
    assert done.returncode == 2
    assert done.stderr == 'error: %s is not empty and holds no toy_vid; give another folder\n' % (root / 'lib')
    for flag, value, least in (('--stills', '-1', 0), ('--val_length', '0', 1)):
        done = subprocess.run(command[:4] + [flag, value], **pipes)
        assert done.returncode == 2
        assert done.stderr.endswith("error: argument %s: expected a whole number of %d or more, found '%s'\n"
                                    % (flag, least, value))
