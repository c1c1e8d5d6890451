"""The data set itself: records, clips, caches, joining, mirroring and filtering."""
import logging
import os
import stat

import numpy as np
import pytest

from dff.errors import ConfigError, DataError
from lib.dataset.formats.classes import load_classes
from lib.dataset.formats.records import Clip
from lib.dataset.registry import get_class_list, get_dataset
from lib.dataset.roidb import load_roidb
from lib.dataset.sets import imagenet_vid
from lib.dataset.sets.imagenet_vid import ImageNetVID
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml

CAT = object_xml('cat', 1, 2, 30, 20)
DOG = object_xml('dog', 10, 5, 59, 39)


@pytest.fixture
def folder(tmp_path):
    """A data set with stills, a training clip and a validation clip, below a path with a space and a percent sign."""
    data = DatasetFolder(tmp_path / 'my data 100%d é')
    data.image_set('DET_train_30classes', 'train/a 1', 'train/b 2')
    data.image('DET', 'train/a', annotation(CAT, DOG))
    data.image('DET', 'train/b', annotation(DOG))
    data.image_set('VID_train_15frames', 'train/clip one 1 0 3', 'train/clip one 1 2 3')
    data.image_set('VID_val_videos', 'val/v 1 0 2')
    data.image_set('VID_val_frames', 'val/v/000000 1', 'val/v/000001 2')
    for path in ('train/clip one/000000', 'train/clip one/000002', 'val/v/000000', 'val/v/000001'):
        data.image('VID', path, annotation(CAT))
    return data


def messages(caplog):
    return '\n'.join(record.getMessage() for record in caplog.records)


@pytest.fixture(autouse=True)
def heard(caplog):
    """Let caplog hear the project's logger, which a run of create_logger may have cut off."""
    logger = logging.getLogger('dff')
    before = logger.propagate, logger.level
    logger.propagate = True
    caplog.set_level(logging.INFO, logger='dff')
    yield
    logger.propagate, logger.level = before


def test_still_records(folder):
    first, second = get_dataset(folder.config(''), 'DET_train_30classes').gt_roidb()
    assert first.image == str(folder.path / 'Data/DET/train/a.JPEG') and (first.height, first.width) == (40, 60)
    assert first.boxes.tolist() == [[1, 2, 30, 20], [10, 5, 59, 39]] and first.boxes.dtype == np.float32
    assert first.gt_classes.tolist() == [1, 2] and first.gt_classes.dtype == np.int32
    assert (first.pattern, first.frame_id, first.clip_length, first.flipped) == (None, 0, 1, False)
    assert first.frame_path(0) == first.image
    assert second.gt_classes.tolist() == [2]


def test_clip_records(folder):
    first, second = get_dataset(folder.config(''), 'VID_train_15frames').gt_roidb()
    assert (second.frame_id, second.clip_length) == (2, 3)
    assert second.frame_path(0) == first.image == str(folder.path / 'Data/VID/train/clip one/000000.JPEG')


def test_flip(folder):
    record = get_dataset(folder.config(''), 'DET_train_30classes').gt_roidb()[0]
    flipped = record.flip()
    assert flipped.boxes.tolist() == [[29, 2, 58, 20], [0, 5, 49, 39]] and flipped.flipped and not record.flipped
    assert flipped.flip().boxes.tolist() == record.boxes.tolist()


@pytest.mark.parametrize('image_set', ['VID_val_videos', 'VID_val_frames'])
def test_clips(folder, image_set):
    dataset = get_dataset(folder.config(''), image_set)
    clip, = dataset.clips()
    assert clip == Clip('val/v', str(folder.path / 'Data/VID/val/v/%06d.JPEG'), 1, 2)
    assert clip.frame_path(1) == str(folder.path / 'Data/VID/val/v/000001.JPEG')
    assert len(dataset.gt_roidb()) == 2


def test_a_list_of_frames_is_cut_where_frames_or_numbers_jump(folder):
    folder.image_set('VID_val_frames', 'v/000003 4', 'v/000004 5', 'v/000006 7', 'v/000007 9', 'w/000008 10')
    clips = get_dataset(folder.config(''), 'VID_val_frames').clips()
    assert [(c.name, c.first_number, c.length, c.first_frame) for c in clips] == [
        ('v', 4, 2, 3), ('v', 7, 1, 6), ('v', 9, 1, 7), ('w', 10, 1, 8)]
    assert clips[0].frame_path(1).endswith('/v/000004.JPEG')


@pytest.mark.parametrize('image_set, expected', [
    ('DET_train_30classes', 'DET_train_30classes.txt holds still images, not clips'),
    ('VID_train_15frames', 'VID_train_15frames.txt holds single training frames, not clips'),
])
def test_no_clips(folder, image_set, expected):
    with pytest.raises(DataError, match=expected):
        get_dataset(folder.config(''), image_set).clips()


def test_clips_of_frames_with_other_names(folder):
    folder.image_set('VID_val_frames', 'v/000003 4', 'v/last 5')
    with pytest.raises(DataError,
                       match="line 2: a frame of a clip is named with six digits, as in clip/000012; found 'v/last'"):
        get_dataset(folder.config(''), 'VID_val_frames').clips()


def test_missing_folder(folder):
    with pytest.raises(DataError, match=r'the data set folder .*nowhere \(dataset.dataset_path\) does not exist'):
        ImageNetVID('VID_val_videos', str(folder.path / 'nowhere'), load_classes())


def test_missing_image(folder):
    (folder.path / 'Data/DET/train/b.JPEG').unlink()
    with pytest.raises(DataError, match='DET_train_30classes.txt, line 2: the image .*b.JPEG does not exist'):
        get_dataset(folder.config(''), 'DET_train_30classes').gt_roidb()


def test_missing_annotation(folder):
    (folder.path / 'Annotations/DET/train/b.xml').unlink()
    with pytest.raises(DataError, match='DET_train_30classes.txt, line 2: the annotation .*b.xml does not exist'):
        get_dataset(folder.config(''), 'DET_train_30classes').gt_roidb()


def test_unknown_data_set(folder):
    cfg = folder.config('')
    cfg.dataset.dataset = 'ImageNetVId'
    with pytest.raises(ConfigError,
                       match="there is no data set called 'ImageNetVId'; choose from CamVid, CityScape, ImageNetVID, "):
        get_dataset(cfg, 'VID_val_videos')


def test_roidb_joins_and_mirrors(folder, caplog):
    cfg = folder.config('DET_train_30classes+VID_train_15frames')
    records = load_roidb(cfg)
    assert [record.flipped for record in records] == [False] * 4 + [True] * 4
    assert [os.path.basename(record.image)
            for record in records[:4]] == ['a.JPEG', 'b.JPEG', '000000.JPEG', '000002.JPEG']
    assert 'DET_train_30classes: 2 images, 3 boxes' in messages(caplog)
    assert '8 entries with the mirrored ones' in messages(caplog)
    cfg.TRAIN.FLIP = False
    assert len(load_roidb(cfg)) == 4


def test_filter_says_how_many_and_why(folder, caplog):
    folder.image_set('DET_own', 'x/a 1', 'x/b 2', 'x/c 3', 'x/d 4', 'x/e 5')
    outside = object_xml('cat', 70, 2, 80, 20)
    for path, objects in (('x/a', [CAT, outside, object_xml('cat', -4, 2, 30, 20)]), ('x/b', []),
                          ('x/c', [object_xml('cow', 1, 2, 3, 4)] * 2), ('x/d', [object_xml('elk', 1, 2, 3, 4)]),
                          ('x/e', [outside])):
        folder.image('DET', path, annotation(*objects))
    cfg = folder.config('DET_own')
    cfg.TRAIN.FLIP = False
    record, = load_roidb(cfg)
    assert record.boxes.tolist() == [[1, 2, 30, 20], [0, 2, 30, 20]]
    text = messages(caplog)
    assert 'DET_own: 1 boxes reached over the edge of their image and were clipped' in text
    assert 'DET_own: 2 boxes were empty or outside their image and were dropped' in text
    assert 'DET_own: 3 objects are of classes that the class list has not: cow (2), elk (1)' in text
    assert ('DET_own: filtered 4 entries, 5 -> 1 (2: only objects of classes that are not in the class list, '
            '1: no object annotated, 1: all boxes empty or outside the image)') in text


def test_nothing_left_stops_with_the_reasons(folder):
    cfg = folder.config('DET_train_30classes', classes=['cow'])
    with pytest.raises(DataError) as error:
        load_roidb(cfg)
    assert str(error.value) == ('DET_train_30classes: none of the 2 entries can be trained on (2: only objects of '
                                'classes that are not in the class list); check dataset.CLASSES against the <name> '
                                'elements of the annotations')


@pytest.fixture
def builds(monkeypatch):
    """Counts how often annotations are parsed instead of read from the cache."""
    calls = []
    original = imagenet_vid.read_annotations

    def counting(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)
    monkeypatch.setattr(imagenet_vid, 'read_annotations', counting)
    return calls


def roidb_of(cfg):
    return get_dataset(cfg, 'DET_train_30classes').gt_roidb()


def test_cache_is_used(folder, builds):
    first, second = roidb_of(folder.config('')), roidb_of(folder.config(''))
    assert len(builds) == 1
    for a, b in zip(first, second):
        assert a.boxes.tolist() == b.boxes.tolist() and a.gt_classes.tolist() == b.gt_classes.tolist()
        assert (a.height, a.width, a.why_empty) == (b.height, b.width, b.why_empty)
    names = os.listdir(str(folder.path.parent / 'root' / 'cache'))
    assert len(names) == 1 and names[0].startswith('DET_train_30classes_') and names[0].endswith('.npz')


def test_cache_keeps_the_count_of_unknown_classes(folder, builds, caplog):
    for _ in range(2):
        caplog.clear()
        roidb_of(folder.config('', classes=['cat']))
        assert '2 objects are of classes that the class list has not: dog (2)' in messages(caplog)
    assert len(builds) == 1


def test_cache_is_rebuilt_when_an_annotation_changes(folder, builds):
    roidb_of(folder.config(''))
    file = folder.image('DET', 'train/a', annotation(object_xml('cat', 1, 2, 30, 21), DOG))   # same length
    os.utime(str(file), ns=(1, 1))
    assert roidb_of(folder.config(''))[0].boxes[0].tolist() == [1, 2, 30, 21]
    assert len(builds) == 2


def test_cache_is_rebuilt_when_the_image_set_or_the_classes_change(folder, builds):
    roidb_of(folder.config(''))
    folder.image_set('DET_train_30classes', 'train/b 1')
    assert len(roidb_of(folder.config(''))) == 1
    assert roidb_of(folder.config('', classes=['dog', 'cat']))[0].gt_classes.tolist() == [1]
    assert len(builds) == 3


def test_damaged_cache_is_rebuilt(folder, builds):
    roidb_of(folder.config(''))
    cache = folder.path.parent / 'root' / 'cache'
    file = cache / os.listdir(str(cache))[0]
    for damage in (b'', b'not a zip', file.read_bytes()[:200], file.read_bytes()[:-30]):
        file.write_bytes(damage)
        assert len(roidb_of(folder.config(''))[0].boxes) == 2
    assert len(builds) == 5


def test_disk_that_refuses_the_cache(folder, caplog):
    cfg = folder.config('')
    (folder.path.parent / 'root').write_text('a file where the folder should be')
    assert len(roidb_of(cfg)) == 2
    assert 'annotations are not cached: cannot write ' in messages(caplog)


@pytest.mark.skipif(os.name != 'posix' or os.geteuid() == 0, reason='root may write anywhere')
def test_read_only_disk(folder, caplog):
    root = folder.path.parent / 'root'
    root.mkdir()
    root.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert len(roidb_of(folder.config(''))) == 2
    assert 'annotations are not cached: cannot write ' in messages(caplog)


def test_default_classes():
    classes = load_classes()
    assert len(classes) == 31 and classes.names[:2] == ['__background__', 'airplane']
    assert classes.ids[:2] == ['__background__', 'n02691156']
    assert (classes.names[-1], classes.ids[-1]) == ('zebra', 'n02391049')
    assert len(set(classes.ids)) == len(set(classes.names)) == 31


def test_classes_of_a_file_and_a_list(tmp_path):
    file = tmp_path / 'my classes.txt'
    file.write_text('n01 domestic cat\n\nperson\nb búho\n', encoding='utf-8')
    for setting in (str(file), ['n01 domestic cat', 'person', 'b búho']):
        classes = load_classes(setting)
        assert classes.names == ['__background__', 'domestic cat', 'person', 'búho']
        assert classes.ids == ['__background__', 'n01', 'person', 'b']


@pytest.mark.parametrize('text, expected', [
    ('cat\ncat\n', "line 2: the class 'cat' is listed twice"),
    ('a cat\nb cat\n', "line 2: the class 'b cat' is listed twice"),
    ('\n', 'holds no class; expected `id name` lines'),
])
def test_malformed_class_lists(tmp_path, text, expected):
    (tmp_path / 'classes.txt').write_text(text)
    with pytest.raises(DataError, match=expected):
        load_classes(str(tmp_path / 'classes.txt'))
    with pytest.raises(ConfigError, match='dataset.CLASSES.*%s' % expected):
        load_classes([line for line in text.split('\n')])


def test_missing_class_list(tmp_path):
    with pytest.raises(DataError,
                       match='class list .*none.txt does not exist; expected a text file of `id name` lines'):
        load_classes(str(tmp_path / 'none.txt'))


def test_number_of_classes_must_agree(folder):
    cfg = folder.config('')
    cfg.dataset.NUM_CLASSES = 31
    with pytest.raises(ConfigError) as error:
        get_class_list(cfg)
    assert str(error.value) == ('dataset.NUM_CLASSES is 31, but the class list (dataset.CLASSES) has 2 classes, which '
                                'make 3 with the background; set dataset.NUM_CLASSES to 3 or correct dataset.CLASSES')
    cfg.dataset.CLASSES, cfg.dataset.NUM_CLASSES = None, 3
    with pytest.raises(ConfigError,
                       match=r'is 3, but the class list \(the default of ImageNetVID\) has 30 classes, which make 31'):
        get_dataset(cfg, 'VID_val_videos')
