"""TEST.FLIP and TEST.SCALES: the boxes of all passes, merged before NMS."""
import sys

import cv2
import mxnet as mx
import numpy as np
import pytest

import dff
from dff.boxes import greedy_nms
from dff.errors import ConfigError
from dff.frames import Shown
from dff.networks import Outputs
from lib.boxes.passes import nms_of_boxes
from lib.config.config import update_from_settings
from lib.config.defaults import detection_defaults
from lib.inference.detector import VideoDetector
from lib.inference.networks import PassNetworks
from dff.tracking.whole_clip import WholeClip
from lib.boxes.seq_nms import selection_of
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny
from tests.helpers.onnx_tools import export_tiny
from tools import benchmark, export_model

CLIP = tiny.clip(5)
SIZES = [(48, 72), (64, 96)]


def detector(task, thresh=0.05, whole=False, **changes):
    cfg = tiny.tiny_config(task, **changes)
    whole_clip = WholeClip(selection_of(cfg, thresh)) if whole else None
    return VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu(), thresh=thresh,
                         whole_clip=whole_clip)


def found(task, clip=CLIP, **changes):
    return [result.detections for result in detector(task, **changes).run(clip)]


def raw(task, clip, **changes):
    """Boxes before NMS with a score above .05, of the passes of their own."""
    return [boxes[boxes[:, 1] > np.float32(0.05)] for boxes in found(task, clip, whole=True, **changes)]


def mirrored(boxes):
    boxes = boxes.copy()
    boxes[:, [2, 4]] = 95 - boxes[:, [4, 2]]
    return boxes


def merged(*passes):
    """The detections of each frame, by a plain NMS over the boxes of the passes."""
    frames = []
    for parts in zip(*passes):
        boxes, kept = np.concatenate(parts), []
        for label in range(1, 4):
            own = boxes[boxes[:, 0] == label]
            own = own[np.argsort(-own[:, 1], kind='stable')]
            kept.append(own[greedy_nms(own[:, 2:], 0.3)])
        frames.append(np.concatenate(kept))
    return frames


def assert_equal(one, other):
    assert sum(len(frame) for frame in one) > 20
    for a, b in zip(one, other):
        np.testing.assert_allclose(a, b, atol=2e-3)


@pytest.mark.parametrize('task', ['rfcn', 'dff_rfcn'])
def test_the_boxes_of_a_mirrored_frame_join_in(task):
    both = merged(raw(task, CLIP), map(mirrored, raw(task, [frame[:, ::-1] for frame in CLIP])))
    assert_equal(found(task, TEST__FLIP=True), both)
    assert any(len(a) != len(b) for a, b in zip(both, found(task))), 'it changes something'


@pytest.mark.parametrize('task', ['rfcn', 'dff_rfcn'])
def test_several_sizes_in_place_of_scales(task):
    apart = [raw(task, CLIP, SCALES=size) for size in SIZES]
    assert_equal(found(task, SCALES=(32, 48), TEST__SCALES=SIZES), merged(*apart))
    assert_equal(found(task, SCALES=(32, 48), TEST__SCALES=SIZES[1:]), found(task))


def test_both_together_with_padding_and_ids():
    cfg = {'TEST__FLIP': True, 'TEST__SCALES': SIZES, 'network__IMAGE_STRIDE': 32}
    results = list(detector('dff_rfcn', TEST__TRACK=True, **cfg).run(CLIP))
    assert all(len(result.track_ids) == len(result.detections) for result in results)
    flat = np.concatenate([result.detections for result in results])
    assert len(flat) and flat[:, 2:].min() >= 0
    once = found('dff_rfcn', **cfg)
    assert [len(frame) for frame in once] == [len(result.detections) for result in results]


def test_frames_between_two_key_frames():
    policy = {'TEST__KEY_FRAME_POLICY': 'both'}
    both = merged(raw('dff_rfcn', CLIP, **policy),
                  map(mirrored, raw('dff_rfcn', [frame[:, ::-1] for frame in CLIP], **policy)))
    assert_equal(found('dff_rfcn', TEST__FLIP=True, **policy), both)


def test_every_pass_is_joined_with_its_own():
    class Recursive:
        pools, joins_key_frames = {}, True

        def key(self, frame, before):
            return Outputs(frame), (frame, before)
    networks = PassNetworks(Recursive())
    first = networks.key(Shown(None, None, None, (), (1, 2)), None)[1]
    outputs, second = networks.key(Shown(None, None, None, (), (3, 4)), first)
    assert outputs.values == [3, 4] and second == ((3, (1, None)), (4, (2, None)))


def test_frames_that_turn_are_key_frames():
    clip = [CLIP[0], CLIP[1], np.ascontiguousarray(CLIP[2].transpose(1, 0, 2)), CLIP[3]]
    results = list(detector('dff_rfcn', TEST__FLIP=True, TEST__SCALES=SIZES).run(clip))
    assert [result.is_key for result in results] == [True, False, True, True]


def test_boxes_before_nms_hold_all_passes():
    whole = raw('rfcn', CLIP, TEST__FLIP=True)
    parts = raw('rfcn', CLIP), [mirrored(one) for one in raw('rfcn', [frame[:, ::-1] for frame in CLIP])]
    assert [len(frame) for frame in whole] == [len(a) + len(b) for a, b in zip(*parts)]


def test_nms_of_no_boxes_and_of_the_best():
    assert nms_of_boxes(np.empty((0, 6), np.float32), 0.3, 300).shape == (0, 6)
    boxes = np.array([[1, .9, 0, 0, 9, 9], [1, .8, 0, 0, 9, 9], [3, .7, 0, 0, 9, 9], [3, .95, 20, 0, 29, 9]],
                     np.float32)
    assert nms_of_boxes(boxes, 0.3, 300)[:, :2].round(2).tolist() == np.float32(
        [[1, .9], [3, .95], [3, .7]]).round(2).tolist()
    assert nms_of_boxes(boxes, 0.3, 2)[:, 0].tolist() == [1, 3]


@pytest.mark.parametrize('setting, message', [
    ('TEST.SCALES=[[800, 480]]', "'TEST.SCALES' must be at most 8 different sizes"),
    ('TEST.SCALES=600', 'as in \\[\\[480, 800\\], \\[600, 1000\\]\\], or \\[\\] for SCALES; found 600'),
    ('TEST.SCALES=[[480, 800], [480, 800]]', 'different sizes'), ('TEST.SCALES=[[480, 800, 3]]', 'different sizes'),
    ('TEST.SCALES=[[480, 200000]]', 'all of TEST.SCALES must be at least 1 and at most 100000, found 200000'),
    ('TEST.FLIP=2', "'TEST.FLIP' must be true or false")])
def test_settings_that_cannot_be(setting, message):
    with pytest.raises(ConfigError, match=message):
        update_from_settings(detection_defaults(), [setting])


def test_settings_that_can_be():
    cfg = detection_defaults()
    assert (cfg.TEST.FLIP, cfg.TEST.SCALES) == (False, [])
    for text, sizes in (('[[480, 800], [600, 1000]]', [(480, 800), (600, 1000)]), ('[480, 800]', [(480, 800)]),
                        ('[]', [])):
        update_from_settings(cfg, ['TEST.SCALES=' + text])
        assert cfg.TEST.SCALES == sizes


def test_where_there_is_one_pass_only():
    with pytest.raises(ConfigError, match='TEST.FLIP is True, but TEST.PRECISION is int8'):
        detector('rfcn', TEST__FLIP=True, TEST__PRECISION='int8')
    cfg = tiny.tiny_config('dff_rfcn', TEST__SCALES=SIZES)
    with pytest.raises(ConfigError, match=r'sees each frame once: leave it out, or --set TEST.SCALES=\[\]'):
        VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu(), batch=True)


def test_exporting_and_loading_say_so(tmp_path, monkeypatch):
    settings = tmp_path / 'flip_rfcn.yaml'
    settings.write_text('symbol: resnet_v1_rfcn\nTEST: {FLIP: true}\n')
    words = ['export_model.py', 'rfcn', '--cfg', str(settings), '--output', str(tmp_path / 'm')]
    monkeypatch.setattr(sys, 'argv', words)
    with pytest.raises(ConfigError, match='an exported model sees each frame once: leave it out'):
        export_model.main()
    assert not (tmp_path / 'm').exists()
    with pytest.raises(ConfigError, match='dff.load and `dff run` show each frame to the network once'):
        dff.load(str(tmp_path / 'prefix'), cfg=str(settings))


def test_the_benchmark_says_so(tmp_path, monkeypatch):
    settings = tmp_path / 'flip_rfcn.yaml'
    settings.write_text('symbol: resnet_v1_rfcn\ngpus: cpu\n')
    words = ['benchmark.py', '--cfg', str(settings), '--set', 'TEST.SCALES=[480, 800]']
    monkeypatch.setattr(sys, 'argv', words)
    with pytest.raises(ConfigError, match='TEST.SCALES is .*, but one pass over a frame is timed'):
        benchmark.make_job(benchmark.parse_arguments(), str(tmp_path))


def test_a_demo_of_an_exported_model_says_so(tmp_path, capsys):
    export_tiny('rfcn', str(tmp_path / 'model'))
    cv2.imwrite(str(tmp_path / '0.png'), CLIP[0])
    with pytest.raises(SystemExit):
        tiny.run_demo_here('rfcn', '--model', tmp_path / 'model', '--input', tmp_path / '0.png', '--output',
                           tmp_path / 'out', '--set', 'TEST.FLIP=true')
    assert 'an exported model sees each frame once' in capsys.readouterr().err
