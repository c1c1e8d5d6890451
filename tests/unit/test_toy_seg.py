"""toy_seg: the layout, labels that agree with the pictures, the same bytes every time."""
import subprocess
import sys

import numpy as np
import pytest

from dff.image import read_image
from lib.dataset.registry import get_class_list, get_dataset
from lib.dataset.toy import toy_seg_generator
from lib.dataset.toy.toy_scene import HEIGHT, WIDTH, Frame, Scene, Thing
from lib.dataset.toy.toy_seg_generator import SCALE, SEEDS, SIZES, STORE, Size, label_map
from lib.dataset.toy.toy_shapes import CLASSES
from tests.helpers.seg_tools import seg_config

SMALL = Size(train_clips=2, train_length=10, stills=3, val_clips=2, val_length=4)


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """Folder of a small toy_seg."""
    folder = tmp_path_factory.mktemp('toy') / 'toy seg'
    STORE.generate(str(folder), SMALL)
    return folder


def test_image_sets(toy):
    cfg = seg_config('ToySeg', toy, 6)
    records = {name: get_dataset(cfg, name).segdb() for name in ('train', 'stills', 'val')}
    assert [(len(record.frames), record.index) for record in records['train']] == [(10, 4), (10, 9)] * 2
    assert [(len(record.frames), record.index) for record in records['stills']] == [(1, 0)] * 3
    assert [(len(record.frames), record.index) for record in records['val']] == [(4, i) for i in range(4)] * 2
    assert get_dataset(cfg, 'val').name_of(records['val'][0].image) == 'val/clip_000/000000'


def test_labels_are_those_of_the_scene(toy):
    data = get_dataset(seg_config('ToySeg', toy, 6), 'val')
    scene = Scene(np.random.RandomState([SEEDS['val'], 1]), 'medium', 1, SCALE, SIZES)
    for t, record in enumerate(data.segdb()[4:]):
        drawn = scene.render(t)
        np.testing.assert_array_equal(data.read_label(record), label_map(drawn, scene.classes))
        image = read_image(record.image)
        assert image.shape == (HEIGHT, WIDTH, 3) and np.abs(image.astype(int) - drawn.image).mean() < 8


def test_ids_of_classes_and_of_slivers():
    ids = np.array([[0, 1, 2, 3]], np.uint8)
    things = [Thing(0, 4, (1, 0, 1, 0), False), Thing(2, 0, (3, 0, 3, 0), False)]
    assert label_map(Frame(None, ids, things), [4, 2, 0]).tolist() == [[0, 5, 255, 1]]


def test_classes_come_without_the_data(toy, tmp_path):
    classes = get_class_list(seg_config('ToySeg', tmp_path / 'none', 6))
    assert classes.names == ['background'] + list(CLASSES) and classes.palette[0].tolist() == [0, 0, 0]
    own = get_class_list(seg_config('SegFolder', toy, 6))           # the same folder is a data set of plain folders
    assert own.names == classes.names and (own.palette == classes.palette).all()


def test_every_class_can_be_learned():
    labels = []
    for index in range(10):
        scene = Scene(np.random.RandomState([SEEDS['train'], index]), 'slow', index, SCALE, SIZES)
        labels.append(label_map(scene.render(0), scene.classes))
    share = np.bincount(np.concatenate(labels).ravel(), minlength=256) / np.size(labels)
    assert 0.6 < share[0] < 0.9 and share[1:6].min() > 0.005 and share[255] < 0.05


def test_the_same_bytes_from_one_or_two_processes(toy, tmp_path):
    STORE.generate(str(tmp_path / 'again'), SMALL, workers=2)
    assert STORE.checksums(str(tmp_path / 'again')) == STORE.checksums(str(toy))
    assert len(STORE.checksums(str(toy))) == 2 * 10 + 2 * 2 + 3 * 2 + 2 * 4 * 2 + 1


def test_made_on_first_use(tmp_path, monkeypatch):
    monkeypatch.setattr(toy_seg_generator, 'Size', lambda: SMALL)
    assert len(get_dataset(seg_config('ToySeg', tmp_path / 'data' / 'toy_seg', 6), 'train').segdb()) == 4


def test_command_line(root, tmp_path):
    command = [sys.executable, '-m', 'lib.dataset.toy.toy_seg_generator', str(tmp_path / 'toy'), '--train_clips', '0',
               '--stills', '1', '--val_clips', '0']
    done = subprocess.run(command, cwd=str(root), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, 'toy_seg is at %s\n' % (tmp_path / 'toy'), '')
    assert sorted(path.name
                  for path in (tmp_path / 'toy').iterdir()) == ['checksums.sha256', 'classes.txt', 'stills',
                                                                'stillsannot', 'toy_seg.json']
