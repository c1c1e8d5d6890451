"""Lists made from the files that are there."""
import pytest

from dff.errors import ConfigError, DataError
from lib.dataset.formats.image_set_maker import Options, make_image_sets, spread
from lib.dataset.formats.image_sets import read_image_set
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml
from tests.helpers.tiny import run_script

CAT, DOG = object_xml('cat', 1, 2, 30, 20), object_xml('dog', 1, 2, 30, 20)


def add_clip(folder, path, length, objects=CAT, empty=(), bare=()):
    """Frames of a clip: `empty` ones have an annotation without objects, `bare` ones none."""
    for i in range(length):
        xml = folder.image('VID', '%s/%06d' % (path, i), annotation('' if i in empty else objects))
        if i in bare:
            xml.unlink()


def lines(folder, name):
    return (folder.path / 'ImageSets' / (name + '.txt')).read_text(encoding='utf-8').splitlines()


@pytest.fixture
def folder(tmp_path):
    return DatasetFolder(tmp_path / 'data set é')


@pytest.mark.parametrize('length, count', [(300, 15), (31, 15), (16, 15), (15, 15), (4, 15), (464, 15), (7, 3), (5, 1)])
def test_frames_are_spread_over_the_clip(length, count):
    picked = spread(range(length), count)
    if length <= count:
        assert picked == list(range(length))
    else:
        assert picked == [int((i + 0.5) * length / count) for i in range(count)]


def test_the_original_list_has_these_frames():
    assert spread(range(300), 15) == list(range(10, 300, 20))


def test_columns_and_numbers(folder):
    add_clip(folder, 'train/a b/ü', 7)
    add_clip(folder, 'train/short', 2)
    add_clip(folder, 'val/one', 3)
    add_clip(folder, 'val/two', 2)
    folder.image('DET', 'train/x/1', annotation(CAT))
    names, report = make_image_sets(str(folder.path), Options(per_clip=3))
    assert names == ['VID_train_3frames', 'VID_val_videos', 'VID_val_frames', 'DET_train_all']
    assert lines(folder, 'VID_train_3frames') == ['train/a b/ü 1 1 7', 'train/a b/ü 1 3 7', 'train/a b/ü 1 5 7',
                                                  'train/short 1 0 2', 'train/short 1 1 2']
    assert lines(folder, 'VID_val_videos') == ['val/one 1 0 3', 'val/two 4 0 2']
    assert lines(folder, 'VID_val_frames') == ['val/one/000000 1', 'val/one/000001 2', 'val/one/000002 3',
                                                'val/two/000000 4', 'val/two/000001 5']
    assert lines(folder, 'DET_train_all') == ['train/x/1 1']
    assert report == ['VID_train_3frames: frames 5, clips 2', 'VID_val_videos: frames 5, clips 2',
                      'VID_val_frames: frames 5', 'DET_train_all: stills 1 of 1']
    sets = str(folder.path / 'ImageSets')
    by_video, by_frame = (read_image_set(sets, name).entries for name in ('VID_val_videos', 'VID_val_frames'))
    assert [(e.path, e.number) for e in by_video] == [(e.path, e.number) for e in by_frame]


def test_frames_and_clips_without_objects(folder):
    add_clip(folder, 'train/half', 8, empty=range(4))
    add_clip(folder, 'train/none', 3, objects='')
    add_clip(folder, 'train/sparse', 9, bare=[i for i in range(9) if i % 4])
    names, report = make_image_sets(str(folder.path), Options(per_clip=2))
    assert lines(folder, 'VID_train_2frames') == ['train/half 1 5 8', 'train/half 1 7 8', 'train/sparse 1 0 9',
                                                  'train/sparse 1 8 9']
    assert report == ['VID_train_2frames: frames 4, clips 2, clips without objects, left out 1']
    make_image_sets(str(folder.path), Options(per_clip=2, with_empty=True, force=True))
    assert lines(folder, 'VID_train_2frames')[:4] == ['train/half 1 2 8', 'train/half 1 6 8', 'train/none 1 0 3',
                                                      'train/none 1 2 3']
    make_image_sets(str(folder.path), Options(per_clip=0, with_empty=True))
    assert len(lines(folder, 'VID_train_allframes')) == 8 + 3 + 3


def test_a_cap_for_every_class(folder):
    for i in range(20):
        folder.image('DET', 'train/%02d' % i, annotation(CAT, DOG if i % 5 == 0 else ''))
    folder.image('DET', 'train/empty', annotation())
    make_image_sets(str(folder.path), Options(per_class=6))
    chosen = lines(folder, 'DET_train_6perclass')
    assert len(chosen) == 6 and [line.split()[1] for line in chosen] == list('123456')
    # the rare class is whole
    assert {line.split()[0] for line in chosen} >= {'train/00', 'train/05', 'train/10', 'train/15'}
    make_image_sets(str(folder.path), Options(per_class=6, force=True))
    assert lines(folder, 'DET_train_6perclass') == chosen
    make_image_sets(str(folder.path), Options(per_class=6, seed=1, force=True))
    assert lines(folder, 'DET_train_6perclass') != chosen


def test_validation_frames_without_annotation(folder):
    add_clip(folder, 'val/a', 4, bare=[1, 2])
    _, report = make_image_sets(str(folder.path))
    assert lines(folder, 'VID_val_frames') == ['val/a/000000 1', 'val/a/000003 4']
    assert report[-1].startswith('warning: 2 frames in Data/VID/val have no annotation')


def test_lists_are_not_replaced_unasked(folder):
    add_clip(folder, 'train/a', 2)
    add_clip(folder, 'val/a', 2)
    mine = folder.image_set('VID_val_videos', 'mine')
    with pytest.raises(DataError, match=r'VID_val_videos\.txt exists already; --force replaces it'):
        make_image_sets(str(folder.path))
    assert mine.read_text() == 'mine\n' and len(list(mine.parent.iterdir())) == 1
    make_image_sets(str(folder.path), Options(force=True))
    assert mine.read_text() == 'val/a 1 0 2\n'


def test_what_is_wrong_is_said(folder, tmp_path):
    with pytest.raises(DataError, match='found neither clips'):
        make_image_sets(str(folder.path))
    with pytest.raises(DataError, match='none does not exist'):
        make_image_sets(str(tmp_path / 'none'))
    with pytest.raises(ConfigError, match='must be 0'):
        make_image_sets(str(folder.path), Options(per_clip=-1))
    add_clip(folder, 'train/gap', 4)
    (folder.path / 'Data/VID/train/gap/000001.JPEG').unlink()
    with pytest.raises(DataError, match=r'gap holds 3 frames, but 000001\.JPEG is missing'):
        make_image_sets(str(folder.path))


def test_a_path_that_a_list_cannot_hold(folder):
    add_clip(folder, 'train/two\nlines', 1)
    with pytest.raises(DataError, match='line breaks'):
        make_image_sets(str(folder.path))


def test_command_line(folder):
    add_clip(folder, 'train/a', 2)
    assert run_script('tools/make_image_sets.py', folder.path) == (
        0,
        'VID_train_15frames: frames 2, clips 1\nwritten: %s\n' % (folder.path / 'ImageSets/VID_train_15frames.txt'), '')
    status, printed, errors = run_script('tools/make_image_sets.py', folder.path)
    assert (status, printed) == (2, '') and errors.startswith('error: ') and errors.endswith('--force replaces it')
