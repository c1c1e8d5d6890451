"""Segmentation data sets of folders, and CamVid: what belongs together, and every error with its text."""
import numpy as np
import pytest

from dff.errors import ConfigError, DataError
from lib.dataset.registry import get_class_list, get_dataset
from lib.dataset.roidb import load_roidb
from tests.helpers.seg_tools import HEIGHT, WIDTH, frame, label, seg_config


@pytest.fixture
def folder(tmp_path):
    """A data set: two stills, a clip of five frames with labels for the second and fourth,
    and another of two with one label."""
    path = tmp_path / 'my data'
    path.mkdir()
    (path / 'classes.txt').write_text('road\ntraffic light 250 170 30\n')
    for name in ('a.jpg', 'b.png'):
        frame(path / 'train' / name)
        label(path / 'trainannot' / (name[0] + '.png'), [[0, 1, 255]])
    for i in range(5):
        frame(path / 'train' / 'clip10' / ('img%d.jpg' % (8 + i)))
    for i in (9, 11):
        label(path / 'trainannot' / 'clip10' / ('img%d.png' % i))
    for name in ('000001', '000002'):
        frame(path / 'train' / 'clip9' / (name + '.jpeg'))
    label(path / 'trainannot' / 'clip9' / '000002.png')
    return path


def dataset(path, image_set='train', num_classes=2, **settings):
    return get_dataset(seg_config('SegFolder', path, num_classes, **settings), image_set)


def places(path, records):
    return [(record.image[len(str(path)) + 1:], len(record.frames), record.index) for record in records]


def test_stills_clips_and_their_labels(folder):
    data = dataset(folder)
    records = data.segdb()
    assert places(folder, records) == [('train/a.jpg', 1, 0), ('train/b.png', 1, 0), ('train/clip9/000002.jpeg', 2, 1),
                                       ('train/clip10/img9.jpg', 5, 1), ('train/clip10/img11.jpg', 5, 3)]
    assert data.classes == ['road', 'traffic light'] and data.palette.tolist() == [[0, 0, 0], [250, 170, 30]]
    assert data.num_classes == 2 and data.ignore_label == 255
    ids = data.read_label(records[0])
    assert ids.shape == (HEIGHT, WIDTH) and ids.dtype == np.uint8 and ids[0, :4].tolist() == [0, 1, 255, 0]
    np.testing.assert_array_equal(ids, data.read_label(records[0].label))
    assert data.name_of(records[3].image) == 'train/clip10/img9'


def test_records_know_their_clip(folder):
    records = dataset(folder).segdb()
    record = records[4]
    names = [record.frame_path(offset).rsplit('/', 1)[1] for offset in (-9, -1, 0, 1, 9)]
    assert names == ['img8.jpg', 'img10.jpg', 'img11.jpg', 'img12.jpg', 'img12.jpg']
    assert records[3].frames is record.frames
    mirrored = record.flip()
    assert mirrored.flipped and not mirrored.flip().flipped and mirrored.frame_path(-1) == record.frame_path(-1)
    clips = dataset(folder).clips()
    assert [(len(clip.frames), len(clip.records)) for clip in clips] == [(1, 1), (1, 1), (2, 1), (5, 2)]


def test_parts_of_clips(folder):
    assert places(folder, dataset(folder, 'train_first3').segdb()) == [
        ('train/a.jpg', 1, 0), ('train/b.png', 1, 0), ('train/clip9/000002.jpeg', 2, 1),
        ('train/clip10/img9.jpg', 3, 1)]
    assert places(folder, dataset(folder, 'train_from2').segdb()) == [('train/clip10/img11.jpg', 5, 3)]
    with pytest.raises(DataError,
                       match=r"image set 'train_from9': no labelled frame is left in .*train; no clip is that long"):
        dataset(folder, 'train_from9').segdb()
    frame(folder / 'day_from2' / 'x.jpg')
    label(folder / 'day_from2annot' / 'x.png')
    assert places(folder, dataset(folder, 'day_from2').segdb()) == [('day_from2/x.jpg', 1, 0)]


def test_tasks_are_not_mixed_up(folder):
    with pytest.raises(ConfigError,
                       match="'SegFolder' has labels for segmentation, but detection is to be done; for that there are "
                             "Image"):
        load_roidb(seg_config('SegFolder', folder, 2))
    with pytest.raises(ConfigError,
                       match="'ToyVID' has labels for detection, but segmentation is to be done; for that there are "
                             "CamV"):
        get_dataset(seg_config('ToyVID', folder, 2), 'train', 'segmentation')


def remove(name):
    return lambda path: (path / name).unlink()


def empty(*folders):
    def change(path):
        for name in folders:
            for file in sorted((path / name).glob('**/*'), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
    return change


@pytest.mark.parametrize('change, message', [
    (remove('trainannot/b.png'),
     r'frame \S+ data/train/b.png has no label: .*trainannot/b.png does not exist \(frames of a clip'),
    (remove('train/b.png'), r'label .*trainannot/b.png has no frame: there is no JPEG or PNG file b in .*train'),
    (remove('train/clip10/img10.jpg'),
     r'clip .*clip10: after frame img9 comes img11, but the others are 1 apart; add the missing frames'),
    (lambda path: frame(path / 'train' / 'a.png'), r'train holds a.jpg and a.png; remove one of them'),
    (lambda path: frame(path / 'trainannot' / 'c.jpg'),
     r'label .*trainannot/c.jpg is no PNG file; JPEG changes pixels'),
    (empty('train'), r"image set 'train': there are no frames in .*train"),
    (empty('trainannot'), r"image set 'train': there are no label PNGs in .*trainannot"),
    (lambda path: (path / 'train').rename(path / 'Train'),
     r"the folder .*train, for its frames, does not exist; data/README.md describes"),
    (lambda path: (path / 'trainannot').rename(path / 'valannot'),
     r'trainannot, for its label PNGs, does not exist; .*: val'),
    (remove('classes.txt'),
     r'class list .*classes.txt does not exist; expected a text file of `name \[red green blue\]` lines'),
])
def test_what_is_missing_or_odd_is_named(folder, change, message):
    change(folder)
    with pytest.raises(DataError, match=message):
        dataset(folder).segdb()


@pytest.mark.parametrize('names', [['1', '2', '4', '7', '11'], ['17010', '17043', '17077', '17110'], ['a1', 'b2', 'b9'],
                                   ['x', 'y2', 'y9'], ['000000', '000002', '000004'], ['1', '01', '001']])
def test_names_that_do_not_count_evenly_are_taken_as_they_are(tmp_path, names):
    (tmp_path / 'classes.txt').write_text('a\nb\n')
    for name in names:
        frame(tmp_path / 'val' / 'clip' / (name + '.jpg'))
    label(tmp_path / 'valannot' / 'clip' / (names[-1] + '.png'))
    assert len(dataset(tmp_path, 'val').segdb()[0].frames) == len(names)


def test_a_missing_data_set(tmp_path):
    message = r'the data set folder .*none \(dataset.dataset_path\) does not exist; data/README.md says'
    with pytest.raises(DataError, match=message):
        dataset(tmp_path / 'none')


@pytest.mark.parametrize('lines, names, palette', [
    (['road', '', 'traffic light 1 2 3', ' car  '], ['road', 'traffic light', 'car'],
     [[0, 0, 0], [1, 2, 3], [0, 128, 0]]),
    (['way 7', 'b 0 0 255'], ['way 7', 'b'], [[0, 0, 0], [0, 0, 255]]),
])
def test_class_files(tmp_path, lines, names, palette):
    (tmp_path / 'list.txt').write_text('\ufeff' + '\r\n'.join(lines), encoding='utf-8')
    for setting in (str(tmp_path / 'list.txt'), lines):
        classes = get_class_list(seg_config('SegFolder', tmp_path, len(names), CLASSES=setting))
        assert classes.names == names and classes.palette.tolist() == palette and classes.palette.dtype == np.uint8


@pytest.mark.parametrize('text, message', [
    ('road\nroad 1 2 3\n', "line 2: the class 'road' is listed twice"),
    ('road 1 2 256\nb\n', "line 1: red, green and blue are 0 to 255; found 'road 1 2 256'"),
    ('road\n', r'holds 1 classes; expected 2 to 254 `name \[red green blue\]` lines, in the order of the ids'),
    ('\n'.join('c%d' % i for i in range(255)), 'holds 255 classes; expected 2 to 254'),
    (b'\xff\xfe\x00', 'cannot be read as UTF-8 text'),
])
def test_class_files_with_errors(tmp_path, text, message):
    (tmp_path / 'classes.txt').write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match='classes.txt.* ?' + message):
        get_class_list(seg_config('SegFolder', tmp_path, 2))
    if not isinstance(text, bytes):
        with pytest.raises(ConfigError, match='dataset.CLASSES.* ?' + message):
            get_class_list(seg_config('SegFolder', tmp_path, 2, CLASSES=text.split('\n')))


def test_number_of_classes(folder):
    with pytest.raises(ConfigError,
                       match=r'dataset.NUM_CLASSES is 3, but the class list \(.*my data/classes.txt\) has 2 classes; '
                             r'set'):
        dataset(folder, num_classes=3)
    with pytest.raises(ConfigError,
                       match=r'dataset.NUM_CLASSES is 19, but the class list \(the default of CamVid\) has 11 classes'):
        get_class_list(seg_config('CamVid', folder, 19))
    assert dataset(folder, num_classes=3, CLASSES=['a', 'b', 'c']).classes == ['a', 'b', 'c']


def test_camvid_layout(tmp_path):
    for number in (30, 60, 62, 63, 90):
        frame(tmp_path / 'val' / ('0016E5_%05d.jpg' % number))
    frame(tmp_path / 'val' / '0006R0_00092.jpg')
    for name in ('0016E5_00030', '0016E5_00063', '0016E5_00090', '0006R0_00092'):
        label(tmp_path / 'valannot' / (name + '.png'), [[0, 10, 11, 255]])
    data = get_dataset(seg_config('CamVid', tmp_path, 11), 'val')
    records = data.segdb()
    assert places(tmp_path / 'val', records) == [('0006R0_00092.jpg', 1, 0), ('0016E5_00030.jpg', 1, 0),
                                                 ('0016E5_00063.jpg', 3, 2), ('0016E5_00090.jpg', 1, 0)]
    assert data.read_label(records[0])[0, :4].tolist() == [0, 10, 255, 255]
    assert data.classes[8] == 'car' and data.palette[8].tolist() == [64, 0, 128]


def test_camvid(camvid):
    cfg = seg_config('CamVid', camvid / 'seg', 11)
    stills = get_dataset(cfg, 'train').segdb()
    assert len(stills) == 367 and all(record.frames == [record.image] for record in stills)
    first, later = get_dataset(cfg, 'val_first50').segdb(), get_dataset(cfg, 'val_from50')
    assert [record.index for record in first] == list(range(50)) and len(first[0].frames) == 50
    tested = later.segdb()
    assert [record.index for record in tested] == list(range(50, 101)) and len(later.clips()) == 1
    assert tested[0].image.endswith('0016E5_08059.jpg') and tested[0].frame_path(-1).endswith('0016E5_08057.jpg')
    assert not set(record.image for record in first) & set(record.image for record in tested)
    ids = later.read_label(tested[0])
    assert ids.shape == (360, 480) and set(np.unique(ids)) <= set(range(11)) | {255}
