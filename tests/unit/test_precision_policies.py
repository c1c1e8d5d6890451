"""int8 with each key-frame policy: every network of it is calibrated, near to float32, and in the record."""
import json

import mxnet as mx
import numpy as np
import pytest

from lib.precision import precision
from lib.inference.detector import VideoDetector
from lib.inference.networks import Head, with_test_settings
from lib.inference.segmenter import SCORES, VideoSegmenter
from lib.operator_cxx import loader
from lib.symbols.outputs import layer_outputs
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny, tiny_seg

MAPS = 'rpn_cls_score', 'rpn_bbox_pred', 'rfcn_cls', 'rfcn_bbox'
# The maps of a detector before proposals are chosen, which small differences choose otherwise.
BEFORE_PROPOSALS = Head(lambda outputs: layer_outputs(mx.sym.Group(outputs), MAPS),
                        lambda frame: {'data': frame.tensor}, lambda height, width: {'data': (1, 3, height, width)},
                        lambda outputs: [output.asnumpy() for output in outputs])
LARGEST = 0.15     # of the difference: random parameters are worse in int8 than trained ones
BOTH, FLOW = {'TEST__KEY_FRAME_POLICY': 'both'}, {'TEST__KEY_FRAME_POLICY': 'flow', 'TEST__KEY_FRAME_MISMATCH': 1e9}
POLICIES = [
    ({'TEST__KEY_FRAME_POLICY': 'middle'}, ['current', 'key']), (FLOW, ['current', 'key']),
    (BOTH, ['between', 'current', 'key']), (dict(BOTH, network__FLOW_PASSES=2), ['between', 'current', 'key']),
    (dict(BOTH, **tiny.STRIDE_8), ['between', 'current', 'key'])]


@pytest.fixture
def int8_is_faster(monkeypatch):
    monkeypatch.setattr(precision, '_milliseconds', lambda networks, shapes: [2.0, 1.0, 0.5][:len(networks)])


@pytest.fixture(params=[True, False], ids=['native', 'onednn'])
def native(request, monkeypatch, int8_is_faster):
    """int8 is the fastest, by native layers or by oneDNN's."""
    if request.param and not loader.load():
        pytest.skip('the native library is not built')
    monkeypatch.setattr(precision, 'is_fast', lambda: request.param)


class MapsOfDetector(VideoDetector):
    """A detector whose results hold the maps themselves."""

    head = BEFORE_PROPOSALS

    def _post_process(self, values, frame):
        return values


class ScoresOfSegmenter(VideoSegmenter):
    """A segmenter whose results hold the scores themselves."""

    head = SCORES

    def _post_process(self, values, frame):
        return [values]


def detector(source='', **changes):
    cfg = tiny.tiny_config('dff_rfcn', **changes)
    return MapsOfDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu(), source=str(source))


def segmenter(source='', **changes):
    cfg = tiny_seg.seg_config('dff_deeplab', **changes)
    arg_params, aux_params = tiny_seg.seg_params(cfg)
    arg_params['Convolution5_weight'] *= 0.1        # else the flow is of many cells, and the scores are those of noise
    return ScoresOfSegmenter(cfg, get_symbol_instance(cfg), arg_params, aux_params, mx.cpu(), source=str(source))


def maps_of(predictor, frames):
    return [list(result[2]) for result in predictor.run(frames)]


def differences(found, wanted):
    """Mean difference of every map of every frame, relative to the mean size."""
    return np.array([[abs(a - b).mean() / abs(b).mean() for a, b in zip(*maps)] for maps in zip(found, wanted)])


def networks_in(record):
    """{inputs of a network: what is recorded of it}."""
    return {tuple(network['inputs']): network for network in json.loads(record.read_text())['networks'].values()}


@pytest.mark.parametrize('changes, kinds', POLICIES)
def test_detectors_are_near_to_float32(tmp_path, native, changes, kinds):
    int8 = detector(tmp_path / 'a.params', TEST__PRECISION='int8', **changes)
    found = maps_of(int8, tiny.clip(12))
    assert int8.arithmetic() == dict.fromkeys(kinds, 'int8')
    assert len(networks_in(tmp_path / 'a.int8.json')) == len(kinds)
    far = differences(found, maps_of(detector(**changes), tiny.clip(12)))
    assert far.shape == (12, 4) and (far > 0).all() and far.max() < LARGEST


@pytest.mark.parametrize('changes, kinds', POLICIES[1:3])
def test_segmenters_are_near_to_float32(tmp_path, native, changes, kinds):
    int8 = segmenter(tmp_path / 'a.params', TEST__PRECISION='int8', **changes)
    found = maps_of(int8, tiny.clip(12))
    assert int8.arithmetic() == dict.fromkeys(kinds, 'int8')
    assert len(networks_in(tmp_path / 'a.int8.json')) == len(kinds)
    far = differences(found, maps_of(segmenter(**changes), tiny.clip(12)))
    assert far.shape == (12, 1) and (far > 0).all() and far.max() < LARGEST


@pytest.mark.parametrize('policy, kinds', [('fixed', ['current', 'key']), ('both', ['between', 'current', 'key'])])
def test_tracks_leave_int8_as_it_is(tmp_path, int8_is_faster, policy, kinds):
    """The flow that they follow is an output of its own, of layers that the network has already."""
    cfg = tiny.tiny_config('dff_rfcn', TEST__PRECISION='int8', TEST__TRACK=True, TEST__KEY_FRAME_POLICY=policy)
    tracker, float32 = (VideoDetector(each, get_symbol_instance(each), *tiny.tiny_params(each), mx.cpu(),
                                      source=str(tmp_path / 'a.params'))
                        for each in (cfg, with_test_settings(cfg, PRECISION='float32')))
    assert all(len(result.track_ids) == len(result.detections) for result in tracker.run(tiny.clip(8)))
    assert tracker.arithmetic() == dict.fromkeys(kinds, 'int8')
    key, other, frame = (tracker.prepare(tiny.frame(t)) for t in (0, 6, 3))
    flows = []
    for networks in tracker.networks, float32.networks:
        keys = [networks.key(each)[1] for each in (key, other)]
        flows.append([networks.current(frame, keys[0]).flow])
        if policy == 'both':
            flows[-1].append(networks.between(frame, *keys, 0.5).flow)
    assert differences([flows[0]], [flows[1]]).max() < LARGEST


def test_a_record_of_one_key_frame_serves_both_sides(tmp_path, int8_is_faster, monkeypatch, caplog):
    source, record = tmp_path / 'a.params', tmp_path / 'a.int8.json'
    maps_of(detector(source, TEST__PRECISION='int8'), tiny.clip(8))
    before = networks_in(record)
    caplog.clear()
    first = maps_of(detector(source, TEST__PRECISION='int8', **BOTH), tiny.clip(8))
    after = networks_in(record)
    added = [inputs for inputs in after if inputs not in before]
    assert added == [('data', 'data_key', 'feat_key', 'key_share')] and len(after[added[0]]['errors']) > 10
    assert {inputs: after[inputs] for inputs in before} == before
    assert [line for line in caplog.messages if 'measured' in line] == [
        'int8: ranges of the network with inputs data, data_key, feat_key, key_share measured; 0 of %d layers '
        'stay float' % len(after[added[0]]['errors'])]

    monkeypatch.setattr(precision, 'layer_errors', None)      # would be called to calibrate
    written = record.read_bytes()
    again = detector(source, TEST__PRECISION='int8', **BOTH)
    assert differences(maps_of(again, tiny.clip(8)), first).max() < 1e-5
    for policy in 'fixed', 'middle':
        maps_of(detector(source, TEST__PRECISION='int8', TEST__KEY_FRAME_POLICY=policy), tiny.clip(8))
    assert record.read_bytes() == written


def test_the_network_of_one_key_frame_is_measured_as_without_both_sides(tmp_path, int8_is_faster):
    """And beyond: frames with one side are few, and what is recorded of them serves other policies, too."""
    ranges = {}
    for policy in 'fixed', 'both':
        maps_of(detector(tmp_path / (policy + '.params'), TEST__PRECISION='int8', TEST__KEY_FRAME_POLICY=policy),
                tiny.clip(12))
        ranges[policy] = networks_in(tmp_path / (policy + '.int8.json'))['data', 'data_key', 'feat_key']['ranges']
    assert set(ranges['fixed']) == set(ranges['both'])
    for name, (low, high) in ranges['fixed'].items():
        assert ranges['both'][name][0] <= low and high <= ranges['both'][name][1], name


def test_a_clip_without_a_frame_between_leaves_its_network_in_float32(tmp_path, int8_is_faster):
    short = detector(tmp_path / 'a.params', TEST__PRECISION='int8', **BOTH)
    assert len(maps_of(short, tiny.clip(3))) == 3
    assert short.arithmetic() == {'key': 'int8', 'current': 'int8', 'between': 'float32'}
    assert len(maps_of(short, tiny.clip(8))) == 8
