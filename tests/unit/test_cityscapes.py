"""Cityscapes: names, label files of three kinds, snippets, and what may be missing."""
import numpy as np
import pytest

from dff.errors import DataError
from lib.dataset.registry import get_class_list, get_dataset
from tests.helpers.seg_tools import frame, label, seg_config

STEM = 'bochum_000000_000313'


def name(number, sequence='bochum_000000'):
    return '%s_%06d_leftImg8bit.png' % (sequence, number)


@pytest.fixture
def folder(tmp_path):
    """Two cities with a labelled frame each, and the sequence of one with a frame too many at either end."""
    frame(tmp_path / 'leftImg8bit' / 'train' / 'bochum' / name(313))
    frame(tmp_path / 'leftImg8bit' / 'train' / 'bochum' / (STEM + '_leftImg8bit_flip.png'))
    label(tmp_path / 'gtFine' / 'train' / 'bochum' / (STEM + '_gtFine_trainIds.png'), [[0, 18, 255]])
    label(tmp_path / 'gtFine' / 'train' / 'bochum' / (STEM + '_gtFine_labelIds.png'), [[7, 33, 0]])
    frame(tmp_path / 'leftImg8bit' / 'train' / 'aachen' / name(19, 'aachen_000003'))
    label(tmp_path / 'gtFine' / 'train' / 'aachen' / 'aachen_000003_000019_gtFine_labelTrainIds.png', [[1]])
    return tmp_path


@pytest.fixture
def sequences(folder):
    """`folder` with leftImg8bit_sequence."""
    for number in range(293, 325):
        frame(folder / 'leftImg8bit_sequence' / 'train' / 'bochum' / name(number))
    for number in range(30):
        frame(folder / 'leftImg8bit_sequence' / 'train' / 'aachen' / name(number, 'aachen_000003'))
    return folder


def dataset(folder, image_set='leftImg8bit_train', **settings):
    return get_dataset(seg_config('CityScape', folder, 19, **settings), image_set)


def test_stills_where_there_is_no_sequence(folder, caplog):
    with caplog.at_level('INFO', 'dff'):
        data = dataset(folder)
        records = data.segdb()
    assert ('leftImg8bit_sequence/train does not exist: '
            'each labelled frame is a still, which is its own reference') in caplog.text
    assert [record.label.rsplit('/', 1)[1] for record in records] == [
        'aachen_000003_000019_gtFine_labelTrainIds.png', STEM + '_gtFine_trainIds.png']
    assert all(record.frames == [record.image] and record.index == 0 for record in records)
    assert data.read_label(records[1])[0, :3].tolist() == [0, 18, 255]
    assert data.name_of(records[1].image) == 'leftImg8bit/train/bochum/' + STEM + '_leftImg8bit'


def test_the_classes_of_the_benchmark(folder):
    classes = get_class_list(seg_config('CityScape', folder, 19))
    assert len(classes) == 19 and classes.names[6] == 'traffic light' and classes.palette[13].tolist() == [0, 0, 142]


def test_label_ids_become_train_ids(folder):
    data = dataset(folder)
    stem = folder / 'gtFine' / 'train' / 'bochum' / STEM
    (folder / 'gtFine' / 'train' / 'bochum' / (STEM + '_gtFine_trainIds.png')).unlink()
    record = data.segdb()[1]
    assert record.label == '%s_gtFine_labelIds.png' % stem
    assert data.read_label(record)[0, :3].tolist() == [0, 18, 255]
    label(record.label, [[8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 4, 29, 255]])
    assert data.read_label(record)[0].tolist() == list(range(1, 18)) + [255] * 3
    label(record.label, [[34]])
    with pytest.raises(DataError, match='labelIds.png holds ids that are no class: 34 .* or 255 for pixels to ignore'):
        data.read_label(record)


def test_snippets(sequences):
    records = dataset(sequences).segdb()
    assert [(len(record.frames), record.index) for record in records] == [(30, 19), (30, 19)]
    record = records[1]
    assert record.frames[19] == record.image and '/leftImg8bit/' in record.image
    assert record.frame_path(-4).endswith('leftImg8bit_sequence/train/bochum/' + name(309))
    assert record.frame_path(-99).endswith(name(294)) and record.frame_path(99).endswith(name(323))
    assert len(dataset(sequences).clips()) == 2


def test_a_few_frames_before_are_enough(sequences):
    for number in list(range(309)) + list(range(314, 400)):
        path = sequences / 'leftImg8bit_sequence' / 'train' / 'bochum' / name(number)
        if path.exists():
            path.unlink()
    record = dataset(sequences).segdb()[1]
    assert (len(record.frames), record.index) == (5, 4) and np.isin(record.image, record.frames)


@pytest.mark.parametrize('missing', [312, 300, 318])
def test_missing_sequence_frames_are_named(sequences, missing):
    path = sequences / 'leftImg8bit_sequence' / 'train' / 'bochum' / name(missing)
    path.unlink()
    with pytest.raises(DataError) as error:
        dataset(sequences).segdb()
    assert str(error.value) == ('the sequence frame %s does not exist; unpack leftImg8bit_sequence_trainvaltest.zip '
                                'again, or take the folder %s away to use stills only' % (path, path.parent.parent))


def test_a_city_without_sequence(sequences):
    city = sequences / 'leftImg8bit_sequence' / 'train' / 'aachen'
    for file in city.iterdir():
        file.unlink()
    with pytest.raises(DataError, match='the sequence frame .*aachen_000003_000018_leftImg8bit.png does not exist'):
        dataset(sequences).segdb()


def test_missing_labels(folder):
    for file in (folder / 'gtFine' / 'train' / 'bochum').iterdir():
        file.unlink()
    with pytest.raises(DataError,
                       match=r'frame \S+313_leftImg8bit.png has no label: \S+gtFine/train/bochum holds none of '
                                        r'bochum_000000_000313_gtFine_trainIds.png, \S+_labelTrainIds.png, '
                                        r'\S+_labelIds.png; unpack'):
        dataset(folder).segdb()
    with pytest.raises(DataError, match=r'gtCoarse/train/aachen holds none of \S+_gtCoarse_trainIds.png'):
        dataset(folder, annotation_prefix='gtCoarse').segdb()


@pytest.mark.parametrize('image_set, message', [
    ('leftImg8bit_val',
     r"image set 'leftImg8bit_val': expected leftImg8bit_<split>, where <split> is a folder in \S+leftImg8bit; there "
                        r"are empty, train$"),
    ('train', "image set 'train': expected leftImg8bit_<split>"),
    ('leftImg8bit_', "image set 'leftImg8bit_': expected leftImg8bit_<split>"),
    ('leftImg8bit_empty',
     r"image set 'leftImg8bit_empty': there is no <city>/<city>_<sequence>_<frame>_leftImg8bit.png in \S+empty"),
])
def test_wrong_image_sets(folder, image_set, message):
    (folder / 'leftImg8bit' / 'empty').mkdir()
    with pytest.raises(DataError, match=message):
        dataset(folder, image_set).segdb()
