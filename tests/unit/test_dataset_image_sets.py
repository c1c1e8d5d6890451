"""The four image-set formats: what their lines mean, round trips, and what is said about malformed ones."""
import pytest

from dff.errors import ConfigError, DataError
from lib.dataset.formats.image_sets import Entry, read_image_set, write_image_set

SAMPLES = {
    'stills': ('DET_train_30classes', ['train/ILSVRC2013_train/n02691156/n02691156_10034 1', 'train/two words/x 2']),
    'training': ('VID_train_15frames',
                 ['train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000 1 10 300', 'train/clip é 1 0 1']),
    'frames': ('VID_val_frames', ['val/ILSVRC2015_val_00000000/000000 1', 'val/ILSVRC2015_val_00000000/000001 2']),
    'videos': ('VID_val_videos', ['val/ILSVRC2015_val_00000000 1 0 464', 'val/ILSVRC2015_val_00000001 465 0 3']),
}


def write(folder, name, *lines):
    (folder / (name + '.txt')).write_bytes('\n'.join(lines).encode('utf-8'))
    return str(folder)


@pytest.mark.parametrize('kind', SAMPLES)
def test_round_trip(tmp_path, kind):
    name, lines = SAMPLES[kind]
    image_set = read_image_set(write(tmp_path, name, *lines), name)
    assert image_set.kind == kind and image_set.tree == name[:3]
    file = write_image_set(str(tmp_path / 'copy'), name, kind, image_set.entries)
    with open(file, encoding='utf-8') as stream:
        assert stream.read() == '\n'.join(lines) + '\n'


def test_meaning_of_the_columns(tmp_path):
    folder = write(tmp_path, 'VID_train_15frames', 'train/a b/clip 1 10 300')
    assert read_image_set(folder,
                          'VID_train_15frames').entries == [Entry('train/a b/clip/000010', 1, 'train/a b/clip', 10,
                                                                  300, 1)]
    folder = write(tmp_path, 'VID_val_videos', 'val/a 1 0 2', 'val/b 3 0 1')
    assert read_image_set(folder, 'VID_val_videos').entries == [
        Entry('val/a/000000', 1, 'val/a', 0, 2, 1), Entry('val/a/000001', 2, 'val/a', 1, 2, 1),
        Entry('val/b/000000', 3, 'val/b', 0, 1, 2)]
    folder = write(tmp_path, 'VID_val_frames', 'val/a/000000 1', 'val/a/000001 2', 'val/odd/name 3')
    assert read_image_set(folder, 'VID_val_frames').entries == [
        Entry('val/a/000000', 1, 'val/a', 0, 2, 1), Entry('val/a/000001', 2, 'val/a', 1, 2, 2),
        Entry('val/odd/name', 3, None, 0, 1, 3)]
    folder = write(tmp_path, 'DET_x', 'train/a 7')
    assert read_image_set(folder, 'DET_x').entries == [Entry('train/a', 7, None, 0, 1, 1)]


def test_blank_lines_carriage_returns_and_byte_order_mark(tmp_path):
    (tmp_path / 'DET_x.txt').write_bytes('\ufeffa 1\r\n\r\nb 2\r\n\n'.encode('utf-8'))
    assert [(e.path, e.line) for e in read_image_set(str(tmp_path), 'DET_x').entries] == [('a', 1), ('b', 3)]


@pytest.mark.parametrize('name, lines, expected', [
    ('DET_x', ['a 1', 'b'],
     "DET_x.txt, line 2: expected 'path index', fields split by blanks, numbers below 1e9; found 'b'"),
    ('DET_x', ['a 1 10 300'],
     "line 1: expected 'path index', fields split by blanks, numbers below 1e9; there are more numbers than "
     "that; found 'a 1 10 300'"),
    ('VID_train_15frames', ['a 1 0 5', 'a 1 2'],
     "line 2: expected 'clip_dir 1 frame_id clip_length', fields split by blanks, numbers below 1e9; found 'a 1 2'"),
    ('VID_train_15frames', ['a 1 5 5'],
     "fields split by blanks, numbers below 1e9; frame_id must be below clip_length; found 'a 1 5 5'"),
    ('VID_val_frames', ['a/000000 1', 'a/000001 x'], "line 2: expected 'path frame_number'"),
    ('VID_val_frames', ['a/000000 1', 'a 1 10 300'], "line 2: expected 'path frame_number'"),
    ('VID_val_frames', ['a/000000 1', 'a/000001 1'],
     'line 2: frame number 1 is already on line 1; every frame needs its own'),
    ('VID_val_videos', ['a 1 0 5', 'b 5 0 5'], 'line 2: frame number 5 is already on line 1'),
    ('VID_val_videos', ['a 1'], "line 1: expected 'clip_dir first_number 0 clip_length'"),
    ('VID_val_videos', ['a 1 3 5'], "the third field must be 0, the fourth at least 1; found 'a 1 3 5'"),
    ('VID_val_videos', ['a 1 0 0'], "the fourth at least 1; found 'a 1 0 0'"),
    ('VID_x', ['', ''], 'VID_x.txt is empty'),
])
def test_malformed(tmp_path, name, lines, expected):
    with pytest.raises(DataError) as error:
        read_image_set(write(tmp_path, name, *lines), name)
    assert expected in str(error.value)


def test_missing_file_lists_those_that_exist(tmp_path):
    write(tmp_path, 'VID_val_videos', 'a 1 0 5')
    with pytest.raises(DataError, match='VID_val.txt does not exist; there are VID_val_videos'):
        read_image_set(str(tmp_path), 'VID_val')
    with pytest.raises(DataError, match='does not exist; there is none in its folder'):
        read_image_set(str(tmp_path / 'nowhere'), 'VID_val')


def test_name_of_no_tree(tmp_path):
    for name in ('train', 'VID', 'VOC_train'):
        with pytest.raises(ConfigError, match="image set '%s': the name must start with DET_ or VID_" % name):
            read_image_set(str(tmp_path), name)


def test_not_text(tmp_path):
    (tmp_path / 'DET_x.txt').write_bytes(b'\xff\xfe\x00a')
    with pytest.raises(DataError, match='DET_x.txt cannot be read as UTF-8 text'):
        read_image_set(str(tmp_path), 'DET_x')
