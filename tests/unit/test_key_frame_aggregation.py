"""Key frames whose features are joined, and frames that take those of two key frames, against their definitions."""
import functools

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError, ConfigError
from dff.frames import prepare
from lib.inference.detector import VideoDetector
from lib.inference.exported import export_model, load_exported
from lib.inference.key_frames import input_format, require_trained
from lib.symbols.registry import get_symbol_instance
from lib.symbols.warp import EMBEDDING
from lib.tasks.task import check_network
from tests.helpers import tiny
from tests.helpers.aggregation import joined

RECURSIVE = {'TEST__AGGREGATE': 'recursive', 'TRAIN__AGGREGATE': 'recursive', 'network__EMBED_DIM': 16}
CHANNELS = 32


def params_of(cfg):
    """Random parameters, with embeddings."""
    arg_params, aux_params = tiny.tiny_params(cfg)
    random = np.random.RandomState(3)
    shapes = [(4, CHANNELS, 1, 1), (4, 4, 3, 3), (16, 4, 1, 1)]
    for layer, shape in enumerate(shapes, 1):
        arg_params['em_conv%d_weight' % layer] = mx.nd.array(random.standard_normal(shape))
        arg_params['em_conv%d_bias' % layer] = mx.nd.array(random.standard_normal(shape[0]))
    return arg_params, aux_params


def make_detector(**settings):
    cfg = tiny.tiny_config('dff_rfcn', **settings)
    return VideoDetector(cfg, get_symbol_instance(cfg), *params_of(cfg), mx.cpu(), interval=4)


@functools.lru_cache(maxsize=None)
def shared_detector(policy='fixed', recursive=False, track=False, sharpness=1.0):
    """Detectors keep nothing from clip to clip, so tests may share them."""
    return make_detector(TEST__KEY_FRAME_POLICY=policy, TEST__TRACK=track, network__EMBED_SHARPNESS=sharpness,
                         **(RECURSIVE if recursive else {}))


def frames_of(count):
    form = input_format(tiny.tiny_config('dff_rfcn'))
    return [prepare(image, form) for image in tiny.clip(3 * count)[::3]]


@functools.lru_cache(maxsize=None)
def bound(network, names, recursive=False, sharpness=1.0):
    """An executor for layers of the network that the method `network` makes."""
    cfg = tiny.tiny_config('dff_rfcn', network__EMBED_SHARPNESS=sharpness, **(RECURSIVE if recursive else {}))
    inner = getattr(get_symbol_instance(cfg), network)(cfg).get_internals()
    chosen = mx.sym.Group([inner[name + '_output'] for name in names])
    keys, image, feature = (2 if 'between' in network else 1), (3, 64, 96), (CHANNELS, 4, 6)
    shapes = {'data': (1,) + image, 'data_ref': (1,) + image, 'data_old': (1,) + image, 'data_key': (keys,) + image,
              'feat_key': (keys,) + feature, 'key_share': (1,), 'eq_flag': (1,), 'old_flag': (1,)}
    executor = chosen.simple_bind(mx.cpu(), grad_req='null', **{
        name: shape for name, shape in shapes.items() if name in chosen.list_arguments()})
    arg_params, aux_params = params_of(cfg)
    executor.copy_params_from(arg_params, aux_params, allow_extra_params=True)
    return executor


def layers(executor, **inputs):
    """Outputs of a bound network, NumPy arrays."""
    return [output.asnumpy() for output in executor.forward(**{name: mx.nd.array(value)
                                                               for name, value in inputs.items()})]


def embedded(feature):
    """Embeddings by the definition: convolutions of 1x1, 3x3 and 1x1, the first two with ReLU."""
    arg_params = params_of(tiny.tiny_config('dff_rfcn'))[0]
    for layer in (1, 2, 3):
        weight, bias = (arg_params['em_conv%d_%s' % (layer, kind)].asnumpy() for kind in ('weight', 'bias'))
        reach = weight.shape[2] // 2
        padded = np.pad(feature, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
        height, width = feature.shape[2:]
        feature = sum(np.einsum('oi,nihw->nohw', weight[:, :, y, x], padded[:, :, y:y + height, x:x + width])
                      for y in range(weight.shape[2]) for x in range(weight.shape[3])) + bias[:, None, None]
        feature = np.maximum(feature, 0) if layer < 3 else feature
    return feature


def carried_from(frame, key, feature):
    """What plain DFF carries to `frame` from the frame `key` with its `feature`."""
    return layers(bound('get_cur_test_symbol', ('warping_feat',)), data=frame.tensor, data_key=key.tensor,
                  feat_key=feature)[0]


def feature_of(frame):
    """The feature that plain DFF has of a key frame."""
    return layers(bound('get_key_test_symbol', ('feat_conv_3x3_relu',)), data=frame.tensor)[0]


@pytest.mark.parametrize('sharpness, lowest, below', [(1.0, 0.1, 0.49), (100.0, 0, 0.01)])
def test_a_key_frame_is_joined_with_those_before(sharpness, lowest, below):
    networks = shared_detector(recursive=True, sharpness=sharpness).networks
    state, feature, before = None, None, None
    for frame in frames_of(3):
        own = feature_of(frame)
        if before is None:
            feature = own
        else:
            both = np.stack([carried_from(frame, before, feature), own])
            embeddings = np.stack([embedded(each) for each in both])
            feature, cosine, weights = joined(both, embeddings, embeddings[1], sharpness)
            assert lowest < weights[0].min() < below and weights[1].min() >= 0.5
            np.testing.assert_allclose(weights[0] / weights[1], np.exp(sharpness * (cosine[0] - 1)), rtol=1e-6)
        _, state = networks.key(frame, state)
        np.testing.assert_allclose(state.feature.asnumpy(), feature, rtol=1e-3, atol=1e-4 * np.abs(feature).max())
        before = frame


def test_the_first_key_frame_has_its_own_feature():
    plain = list(shared_detector().run(tiny.clip(4)))
    recursive = list(shared_detector(recursive=True).run(tiny.clip(8)))
    for one, other in zip(plain, recursive):
        np.testing.assert_allclose(one.detections, other.detections, rtol=1e-4, atol=1e-3)
    later = list(shared_detector().run(tiny.clip(8)))[4:]
    assert any(len(one.detections) != len(other.detections) or not np.allclose(one.detections, other.detections)
               for one, other in zip(later, recursive[4:]))


def test_clips_and_sizes_begin_anew():
    detector, frames = shared_detector(recursive=True), tiny.clip(6)
    first = list(detector.run(frames))
    mixed = list(detector.run(tiny.clip(6, 50, 96) + frames))
    for again in (list(detector.run(frames)), mixed[6:]):
        for one, other in zip(first, again):
            np.testing.assert_allclose(one.detections, other.detections, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('share', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('by_cosine, sharpness', [(False, 1.0), (True, 1.0), (True, 1000.0)])
def test_a_frame_between_takes_both_features(share, by_cosine, sharpness):
    frame, first, second = frames_of(3)
    features = [feature_of(key) for key in (first, second)]
    carried = np.stack([carried_from(frame, key, feature) for key, feature in zip((first, second), features)])
    weights = np.array([1 - share, share]).reshape(2, 1, 1, 1)
    if by_cosine:
        embeddings = np.stack([embedded(each) for each in carried])
        cosine = joined(carried, embeddings, embeddings[0])[1]
        weights = weights * np.exp(sharpness * (cosine - 1))
        weights = (weights / weights.sum(axis=0))[:, :, None]
    else:
        weights = weights[..., None]
    executor = bound('get_between_test_symbol', ('both_sides',), by_cosine, sharpness)
    found = layers(executor, data=frame.tensor, key_share=[share],
                   data_key=np.concatenate([first.tensor, second.tensor]), feat_key=np.concatenate(features))[0]
    wanted = (weights * carried).sum(axis=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_a_share_of_all_or_nothing_is_that_of_one_key_frame():
    networks = shared_detector('both', track=True).networks
    frame, first, second = frames_of(3)
    keys = [networks.key(key)[1] for key in (first, second)]
    alone = [networks.current(frame, key) for key in keys]
    for share, wanted in ((0.0, alone[0]), (1.0, alone[1])):
        found = networks.between(frame, *keys, share)
        for one, other in zip(found.values, wanted.values):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)
        # Tracks follow the flow to the key frame of the interval, whatever the share.
        np.testing.assert_allclose(found.flow, alone[0].flow, rtol=1e-3, atol=1e-4)
    turned = networks.between(frame, *keys[::-1], 0.0)
    np.testing.assert_allclose(turned.flow, alone[1].flow, rtol=1e-3, atol=1e-4)


def test_clips_with_both_sides():
    detector, frames = shared_detector('both', track=True), tiny.clip(10)
    found, middle = list(detector.run(frames)), list(shared_detector('middle').run(frames))
    assert [result.is_key for result in found] == [result.is_key for result in middle]
    for index in (0, 1, 2, 6, 9):      # before the first key frame there is one side, and key frames need none
        np.testing.assert_allclose(found[index].detections, middle[index].detections, rtol=1e-4, atol=1e-3)
    again = list(detector.run(frames[:6] + tiny.clip(4, 50, 96)))
    assert len(again) == 10 and [result.is_key for result in again][:6] == [False, False, True, False, False, True]


def test_training_goes_the_way_of_testing():
    frames = frames_of(3)
    labelled, recent, old = frames
    executor = bound('get_train_symbol', ('choose_old', 'choose_feat'), recursive=True)

    def run(eq_flag, old_flag):
        return layers(executor, data=labelled.tensor, data_ref=recent.tensor, data_old=old.tensor,
                      eq_flag=[eq_flag], old_flag=[old_flag])
    networks = shared_detector(recursive=True).networks
    for old_flag, before in ((0, networks.key(old)[1]), (1, None)):
        wanted = networks.key(recent, before)[1].feature.asnumpy()
        close = dict(rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
        feature, at_frame = run(0, old_flag)
        np.testing.assert_allclose(feature, wanted, **close)
        np.testing.assert_allclose(at_frame, carried_from(labelled, recent, wanted), **close)
        np.testing.assert_allclose(run(1, old_flag)[1], wanted, **close)


def test_the_embeddings_are_trained():
    cfg = tiny.tiny_config('dff_rfcn', **RECURSIVE)
    symbol = get_symbol_instance(cfg).get_train_symbol(cfg).get_internals()['choose_feat_output']
    inputs = {name: frame.tensor for name, frame in zip(('data', 'data_ref', 'data_old'), frames_of(3))}
    trained = {name: 'write' if name.startswith(('em_', 'feat_', 'flow_')) else 'null'
               for name in symbol.list_arguments()}
    executor = symbol.simple_bind(mx.cpu(), grad_req=trained, eq_flag=(1,), old_flag=(1,),
                                  **{name: value.shape for name, value in inputs.items()})
    executor.copy_params_from(*params_of(cfg), allow_extra_params=True)

    def gradients(old_flag):
        executor.forward(is_train=True, eq_flag=mx.nd.zeros(1), old_flag=mx.nd.array([old_flag]),
                         **{name: mx.nd.array(value) for name, value in inputs.items()})
        executor.backward(mx.nd.ones(executor.outputs[0].shape))
        return {name: np.abs(executor.grad_dict[name].asnumpy()).max() for name, kind in trained.items()
                if kind == 'write'}
    joined_ones, plain = gradients(0), gradients(1)
    assert all(np.isfinite(value) for value in joined_ones.values())
    # A bias that shifts all embeddings matters, too; only where no key frame came before nothing is learned of them.
    assert {name for name in EMBEDDING if joined_ones[name] > 0} == set(EMBEDDING)
    assert all(plain[name] == 0 for name in EMBEDDING)
    assert joined_ones['feat_conv_3x3_weight'] > 0 and joined_ones['flow_conv1_weight'] > 0


def test_checkpoints_without_embeddings(caplog):
    cfg = tiny.tiny_config('dff_rfcn', **RECURSIVE)
    with pytest.raises(CheckpointError, match=r'a.params lacks the embeddings .* \(em_conv1_weight, .*em_conv3_bias\): '
                                              'train them with TRAIN.AGGREGATE=recursive from this checkpoint'):
        VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu(), source='a.params')
    assert len(EMBEDDING) == 6
    cfg.TRAIN.AGGREGATE = 'none'
    with pytest.raises(ConfigError, match='TEST.AGGREGATE is recursive, but TRAIN.AGGREGATE none'):
        require_trained(cfg)
    cfg.TRAIN.AGGREGATE, cfg.TEST.AGGREGATE = 'recursive', 'none'
    require_trained(cfg)
    assert 'TEST.AGGREGATE none: the test will run without what is trained of it' in caplog.text


@pytest.mark.parametrize('task', ['rfcn', 'deeplab', 'dff_deeplab'])
@pytest.mark.parametrize('section', ['TRAIN', 'TEST'])
def test_networks_that_cannot_join(task, section):
    each = tiny.fresh_task(task)
    each.config.symbol = each.demo.symbol
    each.config[section].AGGREGATE = 'recursive'
    with pytest.raises(ConfigError, match=r'%s.AGGREGATE: recursive joins features of key frames, .* network %s does '
                                          'not: set it to none' % (section, each.demo.symbol)):
        check_network(each, 'a.yaml')


def test_what_runs_in_float32_alone():
    with pytest.raises(ConfigError, match='^TEST.AGGREGATE: recursive runs in float32: TEST.PRECISION is int8$'):
        make_detector(TEST__PRECISION='int8', **RECURSIVE)


def test_networks_without_these_are_refused():
    for settings, change, message in (
            ({'TEST__KEY_FRAME_POLICY': 'both'}, {'between_network': lambda cfg: None},
             'TEST.KEY_FRAME_POLICY: both needs a network that takes two key frames, which resnet.* does not have'),
            (RECURSIVE, {'can_aggregate': False}, 'TEST.AGGREGATE: recursive is not for exported models')):
        cfg = tiny.tiny_config('dff_rfcn', **settings)
        instance = get_symbol_instance(cfg)
        vars(instance).update(change)
        with pytest.raises(ConfigError, match=message):
            VideoDetector(cfg, instance, *params_of(cfg), mx.cpu())


def test_exports_join_no_key_frames(tmp_path):
    cfg = tiny.tiny_config('dff_rfcn', **RECURSIVE)
    with pytest.raises(ConfigError, match='TEST.AGGREGATE: recursive is not for exported models, .* --set TEST.AGGREG'):
        export_model(cfg, get_symbol_instance(cfg), *params_of(cfg), ['a'], str(tmp_path / 'model'), 'x')
    assert not (tmp_path / 'model').exists()


def test_exports_take_both_sides(tmp_path):
    cfg = tiny.tiny_config('dff_rfcn', TEST__KEY_FRAME_POLICY='both')
    export_model(cfg, get_symbol_instance(cfg), *params_of(cfg), ['a'], str(tmp_path), 'x')
    network, params, source = load_exported(str(tmp_path), get_symbol_instance(cfg))
    exported = VideoDetector(cfg, network, *params, mx.cpu(), interval=4, source=source)
    frames, count = tiny.clip(10), 0
    for one, other in zip(shared_detector('both').run(frames), exported.run(frames)):
        assert one.is_key == other.is_key
        np.testing.assert_allclose(one.detections, other.detections, rtol=1e-4, atol=1e-3)
        count += len(one.detections)
    assert count > 5
    cfg.network.flow_width *= 2
    with pytest.raises(CheckpointError, match='model-0000.params'):
        VideoDetector(cfg, network, *params, mx.cpu(), interval=4, source=source)
