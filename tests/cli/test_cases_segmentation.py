"""Segmentation data as users have it: what would make a figure worthless stops the run;
tools/check_dataset.py looks through all of it."""


import cv2
import numpy as np
import pytest

from dff.errors import DataError
from lib.dataset.check.check_seg import check_segmentation
from lib.dataset.registry import get_dataset
from lib.dataset.segdb import load_segdb
from lib.train.callback import _loss
from lib.train.metric import segmentation_metrics
from tests.helpers.own_seg import found, make_folder, settings
from tests.helpers.seg_tools import frame, label, write
from tools.labels_to_ids import ids_of_values


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path)


def before_a_test(folder):
    dataset = get_dataset(settings(folder), 'val')
    dataset.check(dataset.segdb(), 'test')


def test_good_data(folder, caplog):
    report = check_segmentation(settings(folder), decode=True, workers=1)
    assert report.problems.clean and dict(report.problems.counts) == {'unlabelled frames': 1}
    lines = report.lines()
    assert lines[0].startswith(
        'train (training): 4 labelled frames of 1 clips and 2 stills, 6 frames in all; 6 of 20 x '
        '12'
    )
    assert lines[1].startswith(
        'val (test): 2 labelled frames of 0 clips and 2 stills, 2 frames in all; 2 of 20 x 12; 0 '
        'pixels ignored'
    )
    counts = {name: values.tolist() for name, values in report.counts.items()}
    assert counts == {'training': [2 * 120 + 2 * 84, 2 * 120 + 2 * 84], 'test': [240, 240]}
    load_segdb(settings(folder))
    before_a_test(folder)
    assert 'suspicious' not in caplog.text


def test_processes_find_the_same(folder):
    assert (
        check_segmentation(settings(folder), workers=2).lines()
        == check_segmentation(settings(folder), workers=1).lines()
    )


def test_black_and_white_masks_stop_both(folder):
    for part in ('train', 'val'):
        for path in (folder / (part + 'annot')).rglob('*.png'):
            label(path, [[0, 255]])
    for run, name, count in (
        (lambda: load_segdb(settings(folder)), 'train', 4),
        (lambda: before_a_test(folder), 'val', 2),
    ):
        with pytest.raises(DataError) as error:
            run()
        assert str(error.value).startswith(
            "image set '%s': all %d label maps hold only 0 and 255. 255 means pixels to ignore, "
            "so that class 'object' never occurs"
            % (name, count)
        )
        assert '--values 0 255' in str(error.value)
    assert len(found(folder)['0/255 masks']) == 2


def test_masks_become_ids(folder):
    path = label(folder / 'm.png', [[0, 255, 7]])
    assert np.unique(ids_of_values(path, [0, 255], ignore=True)).tolist() == [0, 1, 255]
    with pytest.raises(
        DataError, match='m.png, row 0, column 2: the value 7 is not one of --values'
    ):
        ids_of_values(path, [0, 255])
    with pytest.raises(DataError, match='is not grey'):
        ids_of_values(write(folder / 'c.png', np.zeros((3, 3, 3), np.uint8)), [0, 255])


def test_a_class_that_never_occurs_is_suspicious(folder, caplog):
    (folder / 'classes.txt').write_text('ground\nobject\nzebra\n')
    cfg = settings(folder, 3)
    load_segdb(cfg)
    assert (
        "train: suspicious: class never labelled (image set 'train': class 'zebra' (id 2) occurs "
        "in none of the 4 label maps)"
        in caplog.text
    )


def test_maps_of_nothing_but_ignore(folder, caplog):
    label(folder / 'trainannot' / 'a.png', [[255]])
    load_segdb(settings(folder))
    assert (
        'train: suspicious: label of nothing (all pixels of %s are ignored (255))'
        % (folder / 'trainannot' / 'a.png')
        in caplog.text
    )
    for path in (folder / 'trainannot').rglob('*.png'):
        label(path, [[255]])
    with pytest.raises(
        DataError,
        match="image set 'train': no pixel of its labels has a class, all are ignored .255. in all 4 label maps",
    ):
        load_segdb(settings(folder))


def test_a_batch_of_ignored_labels_only_is_no_nan():
    import mxnet as mx

    symbol = mx.sym.SoftmaxOutput(
        mx.sym.Variable('data'),
        mx.sym.Variable('label'),
        multi_output=True,
        normalization='valid',
        use_ignore=True,
        ignore_label=255,
    )
    network = symbol.simple_bind(mx.cpu(), data=(1, 2, 8, 8), label=(1, 8, 8))
    network.arg_dict['label'][:] = 255
    network.forward(is_train=True, data=mx.nd.random.normal(shape=(1, 2, 8, 8)))
    network.backward()
    assert (network.grad_dict['data'].asnumpy() == 0).all()
    metrics = segmentation_metrics()
    metrics.update_dict({'label': mx.nd.full((1, 1, 8, 8), 255)}, {'softmax': network.outputs[0]})
    assert _loss(metrics.get_name_value()) == 0 and not any(
        metric.alarm for metric in metrics.metrics
    )


def test_labels_are_looked_at_until_every_class_was_seen(folder, monkeypatch):
    for i in range(40):
        frame(folder / 'train' / ('s%02d.jpg' % i))
        label(folder / 'trainannot' / ('s%02d.png' % i), [[0, 1]])
    read = []
    dataset = get_dataset(settings(folder), 'train')
    original = dataset.read_label
    monkeypatch.setattr(
        dataset, 'read_label', lambda record: read.append(record.label) or original(record)
    )
    dataset.check(dataset.segdb(), 'training')
    assert len(read) == len(set(read)) == 20
    assert cv2.imread(read[0], -1) is not None
