"""Whole detectors with small real networks; the loops alone: test_key_frame_loop.py."""
import functools

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError, ConfigError, DataError
from dff.frames import prepare
from lib.inference.detector import VideoDetector
from lib.inference.key_frames import input_format
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny


@functools.lru_cache(maxsize=None)
def plain(task, batch=False):
    """Detectors keep nothing from clip to clip, so tests may share them."""
    return detector(task, tiny.tiny_config(task), batch=batch)


def detector(task, cfg, **options):
    return VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu(), **options)


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second):
        assert a.is_key == b.is_key
        assert len(a.detections) > 0
        np.testing.assert_allclose(a.detections, b.detections, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('length', [3, 4, 8])
def test_batch_equals_key_and_current_networks(length):
    one_by_one = list(plain('dff_rfcn').detect(tiny.clip(length)))
    assert_same(one_by_one, list(plain('dff_rfcn', batch=True).detect(tiny.clip(length))))


def test_batch_of_the_baseline_equals_single_frames():
    single = list(plain('rfcn').detect(tiny.clip(5)))
    batch = list(plain('rfcn', batch=True).detect(tiny.clip(5)))
    assert all(result.is_key for result in single)
    assert_same([result._replace(is_key=None) for result in single], [result._replace(is_key=None) for result in batch])


def test_splitting_a_clip_changes_nothing():
    baseline, dff = plain('rfcn'), plain('dff_rfcn')
    frames = tiny.clip(7)
    assert_same(list(baseline.detect(frames)), list(baseline.detect(frames[:2])) + list(baseline.detect(frames[2:])))
    # Of DFF: where the cut is before a key frame.
    assert_same(list(dff.detect(frames)), list(dff.detect(frames[:3])) + list(dff.detect(frames[3:])))


def test_current_frames_use_the_last_key_frame():
    frames = tiny.clip(6)
    whole = list(plain('dff_rfcn').detect(frames))
    other = list(plain('dff_rfcn').detect([tiny.frame(40)] + frames[1:]))
    for index, (a, b) in enumerate(zip(whole, other)):
        same = a.detections.shape == b.detections.shape and np.allclose(a.detections, b.detections)
        assert same == (index >= 3)


def test_clips_at_the_same_time_do_not_mix():
    dff = plain('dff_rfcn')
    first, second = tiny.clip(6), tiny.clip(6)[::-1]
    alone = list(dff.detect(first)), list(dff.detect(second))
    pairs = list(zip(dff.detect(first), dff.detect(second)))
    assert_same(alone[0], [a for a, _ in pairs])
    assert_same(alone[1], [b for _, b in pairs])


def test_frames_of_changing_size():
    frames = tiny.clip(4) + tiny.clip(4, 50, 96) + tiny.clip(4, 96, 64) + tiny.clip(2)
    dff = plain('dff_rfcn')
    together = list(detector('dff_rfcn', tiny.tiny_config('dff_rfcn')).detect(frames))
    assert [result.is_key for result in together] == [True, False, False, True] * 3 + [True, False]
    apart = [result for part in (frames[12:], frames[8:12], frames[4:8], frames[:4]) for result in dff.detect(part)]
    apart = apart[10:] + apart[6:10] + apart[2:6] + apart[:2]
    assert_same(together, apart)


def test_boxes_are_in_pixels_of_the_original_image():
    small, large = tiny.clip(1), tiny.clip(1, 128, 192)
    boxes = [list(plain('rfcn').detect(images))[0].detections[:, 2:] for images in (small, large)]
    assert boxes[0][:, 2].max() <= 95 and boxes[0][:, 3].max() <= 63
    assert 96 < boxes[1][:, 2].max() <= 191 and 64 < boxes[1][:, 3].max() <= 127


def test_boxes_of_every_class_when_not_class_agnostic():
    cfg = tiny.tiny_config('dff_rfcn', CLASS_AGNOSTIC=False)
    one_by_one = list(detector('dff_rfcn', cfg).detect(tiny.clip(4)))
    assert_same(one_by_one, list(detector('dff_rfcn', cfg, batch=True).detect(tiny.clip(4))))


def test_thresholds_and_limits():
    cfg = tiny.tiny_config('rfcn')
    every = list(detector('rfcn', cfg).detect(tiny.clip(1)))[0].detections
    middle = float(np.median(every[:, 1]))
    some = list(detector('rfcn', cfg, thresh=middle).detect(tiny.clip(1)))[0].detections
    assert 0 < len(some) < len(every) and some[:, 1].min() > middle
    cfg.TEST.max_per_image = 5
    best = list(detector('rfcn', cfg).detect(tiny.clip(1)))[0].detections
    np.testing.assert_array_equal(np.sort(best[:, 1]), np.sort(every[:, 1])[-5:])


def test_stride_padding():
    frame = prepare(tiny.frame(0, 50, 90),
                    input_format(tiny.tiny_config('rfcn', SCALES=[50, 90], network__IMAGE_STRIDE=32)))
    assert frame.tensor.shape == (1, 3, 64, 96) and frame.im_info.tolist() == [[64, 96, 1]]
    cfg = tiny.tiny_config('dff_rfcn', SCALES=[50, 90], network__IMAGE_STRIDE=32)
    assert len(list(detector('dff_rfcn', cfg).detect(tiny.clip(4, 50, 90)))) == 4


def test_an_error_while_reading_ends_the_clip():
    def images():
        yield tiny.frame(0)
        raise DataError('cannot decode image 000001.jpg')
    found = []
    with pytest.raises(DataError, match='000001.jpg'):
        for result in plain('rfcn').detect(images()):
            found.append(result)
    assert len(found) == 1


def test_bad_intervals():
    with pytest.raises(ConfigError, match='must be a whole number, 1 or more, found 0'):
        detector('dff_rfcn', tiny.tiny_config('dff_rfcn'), interval=0)
    with pytest.raises(ConfigError, match='interval of 2 or more, found 1'):
        detector('dff_rfcn', tiny.tiny_config('dff_rfcn'), interval=1, batch=True)


def test_parameters_of_another_network():
    cfg = tiny.tiny_config('dff_rfcn')
    arg_params, aux_params = tiny.tiny_params(cfg)
    del arg_params['flow_conv1_weight']
    with pytest.raises(CheckpointError, match='some.params: .*flow_conv1_weight'):
        VideoDetector(cfg, get_symbol_instance(cfg), arg_params, aux_params, mx.cpu(), source='some.params')
    cfg.dataset.NUM_CLASSES = 31
    with pytest.raises(CheckpointError, match='rfcn_cls_weight has shape .*NUM_CLASSES'):
        VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(tiny.tiny_config('rfcn')), mx.cpu())


@pytest.mark.parametrize('frame', ['key', 'cur'])
def test_recorded_outputs_give_the_recorded_detections(reference, frame):
    recorded = np.load(str(reference / 'dff_rfcn_180x320.npz'))
    outputs = [recorded['%s/%s_output' % (frame, name)] for name in ('rois', 'cls_prob_reshape', 'bbox_pred_reshape')]
    from dff.boxes import frame_detections
    ours = frame_detections(outputs[0], outputs[1][0], outputs[2][0], recorded['im_info'], 0.03, 0.3, 0)
    expected = recorded['%s/detections' % frame]
    ours = ours[:, [0, 2, 3, 4, 5, 1]]
    order = [rows[np.lexsort((rows[:, 1], -rows[:, 5], rows[:, 0]))] for rows in (ours, expected)]
    np.testing.assert_allclose(order[0], order[1], atol=2e-4)


def test_key_frames_by_mismatch():
    def keys(limit, frames, interval=4):
        cfg = tiny.tiny_config('dff_rfcn', TEST__KEY_FRAME_POLICY='flow', TEST__KEY_FRAME_MISMATCH=limit)
        return list(detector('dff_rfcn', cfg, interval=interval).detect(frames))
    frames = tiny.clip(6)
    never, always = keys(1e9, frames), keys(1e-9, frames)
    assert [result.is_key for result in never] == [True, False, False, False, True, False]
    assert all(result.is_key for result in always)
    fixed = list(detector('dff_rfcn', tiny.tiny_config('dff_rfcn'), interval=4).detect(frames))
    assert_same(never, fixed)
    assert_same(always, list(detector('dff_rfcn', tiny.tiny_config('dff_rfcn'), interval=1).detect(frames)))


def test_key_frames_in_the_middle():
    frames = tiny.clip(6)
    middle = list(detector('dff_rfcn', tiny.tiny_config('dff_rfcn', TEST__KEY_FRAME_POLICY='middle'),
                           interval=4).detect(frames))
    assert [result.is_key for result in middle] == [False, False, True, False, False, True]
    assert all(result.image is image for result, image in zip(middle, frames))
    # The first four are what they are in a clip that begins with their key frame.
    order = [2, 0, 1, 3]
    fixed = list(detector('dff_rfcn', tiny.tiny_config('dff_rfcn'),
                          interval=4).detect([frames[index] for index in order]))
    assert_same([middle[index] for index in order], fixed)


def test_mismatches_are_measured_and_limit_the_interval(monkeypatch):
    def settings(limit):
        return tiny.tiny_config('dff_rfcn', TEST__KEY_FRAME_POLICY='flow', TEST__KEY_FRAME_MISMATCH=limit)
    one, found = detector('dff_rfcn', settings(1e9), interval=9), []
    current = one.networks.current
    monkeypatch.setattr(one.networks, 'current', lambda *given: found.append(current(*given)) or found[-1])
    list(one.detect(tiny.clip(3)))
    mismatches = [outputs.mismatch for outputs in found]
    assert len(mismatches) == 2 and min(mismatches) > 0
    limited = detector('dff_rfcn', settings(max(mismatches) * 1.01), interval=9)
    assert [result.is_key for result in limited.detect(tiny.clip(3))] == [True, False, True]


def test_batches_have_no_key_frames_by_mismatch():
    with pytest.raises(ConfigError, match='TEST.KEY_FRAME_POLICY must be fixed, found flow'):
        detector('dff_rfcn', tiny.tiny_config('dff_rfcn', TEST__KEY_FRAME_POLICY='flow'), batch=True)
