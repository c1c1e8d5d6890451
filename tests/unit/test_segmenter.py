"""Segmentation in the key/current loop: against the networks run by hand."""
import contextlib
import functools

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError
from dff.frames import prepare
from lib.inference.segmenter import VideoSegmenter
from lib.operator_cxx import loader
from lib.symbols import operators
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny, tiny_seg
from tests.helpers.native_oracles import class_map


def segmenter(task, cfg=None, **options):
    cfg = cfg or tiny_seg.seg_config(task)
    return VideoSegmenter(cfg, get_symbol_instance(cfg), *tiny_seg.seg_params(cfg), mx.cpu(), **options)


@functools.lru_cache(maxsize=None)
def plain(task):
    """Segmenters keep nothing from clip to clip, so tests may share them."""
    return segmenter(task)


def forward(task, which, **inputs):
    """Outputs of a test symbol as the symbol class gives it."""
    cfg = tiny_seg.seg_config(task)
    arg_params, aux_params = tiny_seg.seg_params(cfg)
    symbol = getattr(get_symbol_instance(cfg), 'get_%stest_symbol' % which)(cfg)
    executor = symbol.simple_bind(mx.cpu(), grad_req='null', **{name: value.shape for name, value in inputs.items()})
    executor.copy_params_from(arg_params, aux_params, allow_extra_params=True)
    return [output.asnumpy()
            for output in executor.forward(**{name: mx.nd.array(value) for name, value in inputs.items()})]


def by_hand(frames):
    """Class maps of a clip of DFF with interval 3: argmax over the score maps that the original's networks give."""
    maps = []
    for index, frame in enumerate(frames):
        if index % 3 == 0:
            key = frame.tensor
            *_, feature, score = forward('dff_deeplab', 'key_', data=frame.tensor, data_key=frame.tensor,
                                         feat_key=np.zeros((1, 1, 1, 1), np.float32))
        else:
            *_, score = forward('dff_deeplab', 'cur_', data=frame.tensor, data_key=key, feat_key=feature)
        maps.append(score.argmax(axis=1)[0])
    return maps


def test_a_frame_between_two_key_frames():
    images = tiny.clip(6)
    frames = [prepare(image, plain('dff_deeplab').form) for image in images]
    networks = segmenter('dff_deeplab', tiny_seg.seg_config('dff_deeplab', TEST__KEY_FRAME_POLICY='both')).networks
    keys = [networks.key(frames[place])[1] for place in (0, 5)]
    for share, place in ((0.0, 0), (1.0, 1)):
        alone = networks.current(frames[2], keys[place]).values
        assert (networks.between(frames[2], *keys, share).values == alone).mean() > 0.999
    detector = segmenter('dff_deeplab', tiny_seg.seg_config('dff_deeplab', TEST__KEY_FRAME_POLICY='both'))
    found = list(detector.run(images))
    assert [result.is_key for result in found] == [False, True, False, False, True, False]
    inputs = {'data': frames[2].tensor, 'data_key': np.concatenate([frames[1].tensor, frames[4].tensor]),
              'feat_key': np.concatenate([networks.key(frames[place])[1].feature.asnumpy() for place in (1, 4)])}
    *_, score = forward('dff_deeplab', 'between_', key_share=np.array([1 / 3], np.float32), **inputs)
    assert same_share([found[2].labels], [score.argmax(axis=1)[0]]) > 0.999


def same_share(first, second):
    return np.mean([np.mean(a == b) for a, b in zip(first, second)])


def test_loop_equals_the_networks_by_hand():
    images = tiny.clip(5)
    found = list(plain('dff_deeplab').run(images))
    expected = by_hand([prepare(image, plain('dff_deeplab').form) for image in images])
    assert [result.is_key for result in found] == [True, False, False, True, False]
    assert all(result.labels.dtype == np.uint8 and result.labels.shape == (64, 96) for result in found)
    assert len(np.unique(expected)) > 1
    assert same_share([result.labels for result in found], expected) > 0.999     # rounding where two classes are even


def test_baseline_equals_its_network_by_hand():
    images = tiny.clip(2)
    found = list(plain('deeplab').run(images))
    assert [result.is_key for result in found] == [True, True]
    for result, image in zip(found, images):
        probability, = forward('deeplab', '', data=prepare(image, plain('deeplab').form).tensor)
        assert same_share([result.labels], [probability.argmax(axis=1)[0]]) > 0.999


def test_interval_1_is_the_baseline():
    every = [result.labels for result in segmenter('dff_deeplab', interval=1).run(tiny.clip(4))]
    baseline = [result.labels for result in plain('deeplab').run(tiny.clip(4))]
    assert same_share(every, baseline) > 0.999


def test_current_frames_use_the_last_key_frame():
    frames = tiny.clip(6)
    whole = list(plain('dff_deeplab').run(frames))
    other = list(plain('dff_deeplab').run([tiny.frame(40)] + frames[1:]))
    assert [np.array_equal(a.labels, b.labels) for a, b in zip(whole, other)] == [False] * 3 + [True] * 3


def test_from_key_equals_the_loop():
    frames = [prepare(image, plain('dff_deeplab').form) for image in tiny.clip(3)]
    loop = list(plain('dff_deeplab').run(tiny.clip(3)))
    apart = list(plain('dff_deeplab').from_key([frames[0], frames[2]]))
    assert [result.is_key for result in apart] == [True, False]
    np.testing.assert_array_equal(apart[0].labels, loop[0].labels)
    np.testing.assert_array_equal(apart[1].labels, loop[2].labels)


def test_class_maps_have_the_size_of_the_frame():
    """Scores are interpolated to the frame's pixels: between those of the network's input lie the
    classes of its neighbours."""
    small = tiny.clip(2)
    large = [np.kron(image, np.ones((2, 2, 1), np.uint8)) for image in small]
    found = [[result.labels for result in plain('dff_deeplab').run(images)] for images in (small, large)]
    assert found[1][0].shape == (128, 192)
    assert same_share(found[0], [labels[::2, ::2] for labels in found[1]]) > 0.95


def test_sizes_that_are_no_multiple_of_the_stride_and_padding():
    images = tiny.clip(3, 50, 90)
    assert [result.labels.shape for result in plain('dff_deeplab').run(images)] == [(50, 90)] * 3
    cfg = tiny_seg.seg_config('dff_deeplab', SCALES=[50, 90], network__IMAGE_STRIDE=32)
    assert [result.labels.shape for result in segmenter('dff_deeplab', cfg).run(images)] == [(50, 90)] * 3


@pytest.mark.parametrize('native', [True, False])
@pytest.mark.parametrize('size', [(5, 4, 6), (3, 1, 1), (2, 1, 7), (19, 9, 33)])
def test_class_map(size, native):
    if native and not loader.load():
        pytest.skip('the native operators are not built (sh init.sh builds them)')
    random = np.random.RandomState(0)
    arrays = {'score': random.randn(1, *size), 'rows': np.sort(random.uniform(-2, size[1] + 1, 40)),
              'columns': random.uniform(-2, size[2] + 1, 300)}
    with contextlib.nullcontext() if native else loader.built_in():
        symbol = operators.class_map(*[mx.sym.Variable(name) for name in arrays])
    executor = symbol.bind(mx.cpu(), {name: mx.nd.array(value) for name, value in arrays.items()})
    found = executor.forward()[0].asnumpy()
    assert found.dtype == np.uint8 and found.shape == (1, 40, 300)
    assert np.mean(found[0] == class_map(arrays['score'][0], arrays['rows'], arrays['columns'])) > 0.998


def test_class_map_refuses_other_shapes():
    if not loader.load():
        pytest.skip('the native operators are not built (sh init.sh builds them)')
    symbol = operators.class_map(*[mx.sym.Variable(name) for name in ('score', 'rows', 'columns')])
    with pytest.raises(mx.base.MXNetError, match=r'DFFClassMap: input score has shape \(2, 3, 4, 5\)'):
        symbol.infer_shape(score=(2, 3, 4, 5), rows=(8,), columns=(9,))
    with pytest.raises(mx.base.MXNetError, match='more than 255 classes'):
        symbol.infer_shape(score=(1, 256, 4, 5), rows=(8,), columns=(9,))


def test_another_interpolation_is_refused():
    cfg = tiny_seg.seg_config('deeplab')
    arg_params, aux_params = tiny_seg.seg_params(cfg)
    arg_params['upsampling_weight'] = arg_params['upsampling_weight'] * 2
    with pytest.raises(CheckpointError, match='some.params: upsampling_weight is not the bilinear interpolation'):
        VideoSegmenter(cfg, get_symbol_instance(cfg), arg_params, aux_params, mx.cpu(), source='some.params')


def test_parameters_of_another_number_of_classes():
    cfg = tiny_seg.seg_config('dff_deeplab', dataset__NUM_CLASSES=7)
    with pytest.raises(CheckpointError, match=r'score_weight has shape \(4, .*NUM_CLASSES'):
        VideoSegmenter(cfg, get_symbol_instance(cfg), *tiny_seg.seg_params(tiny_seg.seg_config('deeplab')), mx.cpu())
