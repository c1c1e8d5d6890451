"""TEST.FLIP and TEST.SCALES of segmentation: the mean of the probabilities of all passes at the frame's pixels."""
import json
from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest

from dff.errors import ConfigError
from dff.frames import Frame, InputFormat, Pass, prepare_passes
from lib.config.config import update_from_file
from lib.config.defaults import segmentation_defaults
from lib.inference import testing
from lib.inference.segmenter import VideoSegmenter, merged_classes
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny, tiny_seg

TASKS = ['deeplab', 'dff_deeplab']
CLIP = tiny.clip(2)
SIZES = [(48, 72), (64, 96)]


def segmenter(task, **changes):
    cfg = tiny_seg.seg_config(task, **changes)
    return VideoSegmenter(cfg, get_symbol_instance(cfg), *tiny_seg.seg_params(cfg), mx.cpu())


def maps(task, clip=CLIP, **changes):
    return [result.labels for result in segmenter(task, **changes).run(clip)]


def enlarged(scores, height, width, frame):
    """Scores [C, h, w] at the pixels of a frame of this size: every cell has a hat two cells wide."""
    scale = frame.im_info[0, 2]
    hats = []
    for size, cells in ((height, scores.shape[1]), (width, scores.shape[2])):
        places = np.clip((np.arange(size) + .5) * scale / 16 - .5, 0, cells - 1)
        hats.append(np.maximum(1 - abs(places[:, None] - np.arange(cells)), 0))
    return np.einsum('yv,xu,cvu->cyx', *hats, scores, optimize=True)


def probabilities(scores):
    powers = np.exp(scores - scores.max(axis=0))
    return powers / powers.sum(axis=0)


def test_the_mean_of_probabilities_by_its_definition():
    image = np.random.RandomState(0).randint(0, 256, (37, 50, 3)).astype(np.uint8)
    passes = [Pass(InputFormat(scales, 32, (0, 0, 0)), mirrored) for scales in SIZES for mirrored in (False, True)]
    shown = prepare_passes(image, passes)
    sizes = [(frame.tensor.shape[2] // 16, frame.tensor.shape[3] // 16) for frame in shown.frames]
    scores = [np.random.RandomState(i).randn(3, *size).astype(np.float32) * 3 for i, size in enumerate(sizes)]
    mean = 0
    for each, one, frame in zip(scores, passes, shown.frames):
        found = probabilities(enlarged(each, 37, 50, frame))
        mean = mean + (found[:, :, ::-1] if one.mirrored else found) / 4
    best = np.sort(mean, axis=0)
    sure = best[-1] - best[-2] > 1e-5
    assert sure.mean() > 0.99
    assert (merged_classes(scores, shown) == mean.argmax(axis=0))[sure].all()
    logits = sum(enlarged(each, 37, 50, frame)[:, :, ::-1 if one.mirrored else 1]
                 for each, one, frame in zip(scores, passes, shown.frames))
    assert (logits.argmax(axis=0) != mean.argmax(axis=0)).any(), 'it is not the mean of the scores'


def test_a_frame_that_is_higher_than_what_is_held_at_a_time():
    image = np.zeros((150, 20, 3), np.uint8)
    frame = Frame(image, np.zeros((1, 3, 150, 20), np.float32), np.array([[150, 20, 1]], np.float32))
    shown = SimpleNamespace(image=image, passes=[Pass(InputFormat((20, 150), 0, (0, 0, 0)), False)], frames=[frame])
    scores = np.zeros((2, 10, 2), np.float32)
    scores[1, 5:] = 1           # cells 4 and 5 meet at the row 5 * 16
    assert merged_classes([scores - 0.5 * (np.arange(2) == 1)[:, None, None]], shown)[:, 7].tolist() == (
        [0] * 80 + [1] * 70)


@pytest.mark.parametrize('task', TASKS)
def test_one_pass_by_the_way_of_several(task):
    for one, other in zip(maps(task), maps(task, SCALES=(32, 48), TEST__SCALES=SIZES[1:])):
        assert (one == other).mean() > 0.999 and len(np.unique(one)) > 1


@pytest.mark.parametrize('task', TASKS)
def test_every_frame_joins_its_passes(task):
    """Of DFF key frames and others, each pass with its own key frame's feature."""
    both = segmenter(task, TEST__SCALES=SIZES).networks
    expected, states, one = [], {}, segmenter(task, TEST__FLIP=True, TEST__SCALES=SIZES)
    for index, image in enumerate(CLIP):
        mean = 0
        for size in SIZES:
            for mirrored in (False, True):
                picture = np.ascontiguousarray(image[:, ::-1]) if mirrored else image
                shown = prepare_passes(picture, [Pass(one.form._replace(scales=size), False)])
                if index == 0 or task == 'deeplab':
                    outputs, states[size, mirrored] = both.key(shown)
                else:
                    outputs = both.current(shown, states[size, mirrored])
                found = probabilities(enlarged(outputs.values[0].astype(float), *image.shape[:2], shown.frames[0]))
                mean = mean + (found[:, :, ::-1] if mirrored else found)
        expected.append(mean.argmax(axis=0))
    found = list(one.run(CLIP))
    for result, labels in zip(found, expected):
        assert (result.labels == labels).mean() > 0.999
    assert [result.is_key for result in found] == [task == 'deeplab' or index == 0 for index in range(2)]
    assert any((labels != other).any() for labels, other in zip(expected, maps(task))), 'it changes something'


def test_a_mirrored_clip_has_mirrored_maps():
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in CLIP]
    for one, other in zip(maps('dff_deeplab', TEST__FLIP=True), maps('dff_deeplab', mirrored, TEST__FLIP=True)):
        assert (one == other[:, ::-1]).mean() > 0.999


@pytest.mark.parametrize('task', TASKS)
def test_a_test_run(tmp_path, task):
    """Frames reach the networks in all passes; the results have a folder and a record of their own."""
    tiny_seg.make_folder(tmp_path / 'set', clips=1, length=3)
    path = tiny_seg.write_experiment(tmp_path, task, TEST__FLIP=True, TEST__SCALES=[list(size) for size in SIZES],
                                     TEST__KEY_FRAME_INTERVAL=2)
    cfg = segmentation_defaults()
    update_from_file(cfg, str(path))
    found = testing.test_net(tiny.fresh_task(task), cfg, str(path))
    (file,) = (tmp_path / 'output').rglob('results.json')
    assert file.parent.name.endswith('_flip_scales48_64')
    made = json.loads((file.parent / 'made_with.json').read_text())
    assert made['TEST'] == {'FLIP': True, 'SCALES': [[48, 72], [64, 96]], 'PRECISION': 'float32'}
    assert 0 < found['mIoU'] < 1


def test_int8_has_one_pass():
    with pytest.raises(ConfigError, match='TEST.FLIP is True, but TEST.PRECISION is int8, whose ranges are measured at '
                                          'one size: leave it out, or --set TEST.FLIP=false'):
        segmenter('deeplab', TEST__FLIP=True, TEST__PRECISION='int8')
