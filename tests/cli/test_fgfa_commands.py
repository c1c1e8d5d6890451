"""FGFA where users meet it: tests, demos, training from other checkpoints, and settings that it refuses."""
import json

import cv2
import mxnet as mx
import numpy as np
import pytest

import dff
from dff.boxes import frame_detections
from dff.errors import ConfigError
from dff.frames import prepare
from dff.runtime.machine import is_installed
from lib.apps.commands import test_parser as parser_of_tests
from lib.config.cli import apply_arguments
from lib.config.config import detection_defaults_for, update_from_file, update_from_settings
from lib.config.defaults import fgfa_defaults
from lib.dataset.toy import toy_generator
from lib.engine.checkpoint import load_params, save_checkpoint
from lib.inference import testing
from lib.inference.detector import VideoDetector
from lib.inference.key_frames import input_format
from lib.symbols.registry import get_symbol_instance
from lib.tasks.task import task_of
from lib.utils.paths import resolve
from tests.helpers import tiny
from tests.helpers.symbol_tools import run

ORIGINAL = 'experiments/fgfa_rfcn/cfgs/resnet_v1_101_flownet_imagenet_vid_rfcn_end2end_ohem.yaml'


@pytest.fixture(scope='module')
def experiment(tmp_path_factory):
    """Path of a YAML file, with a checkpoint and three clips of five frames, which are shorter than the window."""
    return tiny.write_experiment(tmp_path_factory.mktemp('experiment'), 'fgfa_rfcn')


def settings_of(path, *settings):
    cfg = fgfa_defaults()
    update_from_file(cfg, str(path))
    update_from_settings(cfg, settings)
    return cfg


def windows_at_once(cfg, params, images):
    """Detections of each image: the original's two networks, each window as one batch."""
    cfg = tiny.tiny_config('fgfa_rfcn', TEST__KEY_FRAME_INTERVAL=cfg.TEST.KEY_FRAME_INTERVAL)
    args, auxs = ({name: value.asnumpy() for name, value in part.items()} for part in params)
    instance, reach = get_symbol_instance(cfg), cfg.TEST.KEY_FRAME_INTERVAL
    frames = [prepare(image, input_format(cfg)) for image in images]
    symbol, unused = instance.get_feat_symbol(cfg), np.zeros((1, 1))
    kept = [run(symbol, {'data': frame.tensor, 'im_info': frame.im_info, 'data_cache': unused, 'feat_cache': unused},
                args, auxs)[0]['conv_embed_output'] for frame in frames]
    symbol, found = instance.get_aggregation_symbol(cfg), []
    for centre, frame in enumerate(frames):
        window = [min(max(number, 0), len(frames) - 1) for number in range(centre - reach, centre + reach + 1)]
        inputs = {'data': unused, 'im_info': frame.im_info, 'feat_cache': np.concatenate([kept[i] for i in window]),
                  'data_cache': np.concatenate([frames[i].tensor for i in window])}
        outputs, _ = run(symbol, inputs, args, auxs)
        found.append(frame_detections(outputs['rois_output'], outputs['cls_prob_reshape_output'][0],
                                      outputs['bbox_pred_reshape_output'][0], frame.im_info[0], 0.05, 0.3))
    return found


@pytest.mark.parametrize('reach, length', [(1, 5), (3, 5), (4, 1)])
def test_the_stream_gives_what_whole_windows_give(reach, length):
    cfg = tiny.tiny_config('fgfa_rfcn', TEST__KEY_FRAME_INTERVAL=reach)
    params = tiny.tiny_params(cfg)
    detector = VideoDetector(cfg, get_symbol_instance(cfg), *params, mx.cpu(), thresh=0.05)
    # frames of another size before: neither size sees the other
    clips = [tiny.clip(2, 96, 64), tiny.clip(length)]
    results = list(detector.run(image for clip in clips for image in clip))
    assert [result.index for result in results] == list(range(2 + length))
    wanted = [rows for clip in clips for rows in windows_at_once(cfg, params, clip)]
    assert sum(len(rows) for rows in wanted) > 5
    for result, rows in zip(results, wanted):
        np.testing.assert_allclose(result.detections, rows, rtol=1e-4, atol=1e-3)
    again = list(detector.run(tiny.clip(length)))
    for first, second in zip(results[2:], again):
        np.testing.assert_array_equal(first.detections, second.detections)


def test_a_test_run(experiment):
    cfg = settings_of(experiment)
    results = testing.test_net(tiny.fresh_task('fgfa_rfcn'), cfg, str(experiment))
    assert (results['frames'], results['key_frames'], results['interval']) == (15, 15, 3)
    other = testing.test_net(tiny.fresh_task('fgfa_rfcn'), settings_of(experiment), str(experiment), interval=1)
    assert other['interval'] == 1 and other['detections'] != results['detections']
    cfg = settings_of(experiment, 'TEST.SEQ_NMS=true')
    joined = testing.test_net(tiny.fresh_task('fgfa_rfcn'), cfg, str(experiment))
    assert joined['frames'] == 15 and 'seqnms' in joined['detections']


@pytest.mark.parametrize('more', [(), ('--seq-nms',), ('--track',)])
def test_a_demo(experiment, tmp_path, more):
    for number, image in enumerate(tiny.clip(4)):
        (tmp_path / 'in').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / 'in' / ('%d.png' % number)), image)
    tiny.run_demo_here('fgfa_rfcn', '--cfg', experiment, '--input', tmp_path / 'in', '--output', tmp_path / 'out',
                       '--model', tiny.prefix(experiment.parent, 'fgfa_rfcn'), '--epoch', 1, '--thresh', 0.05,
                       '--json', tmp_path / 'found.json', *more)
    assert len(list((tmp_path / 'out').iterdir())) == 4
    assert len(json.loads((tmp_path / 'found.json').read_text())['frames']) == 4


@pytest.mark.slow
def test_training_from_a_dff_checkpoint_names_the_new_embedding(tmp_path):
    data = tmp_path / 'toy_vid'
    toy_generator.generate(str(data), toy_generator.Size(train_clips=2, train_length=6, stills=2, val_clips=1,
                                                         val_length=2), workers=1)
    dff = tiny.tiny_config('dff_rfcn', dataset__NUM_CLASSES=6)
    save_checkpoint(str(tmp_path / 'dff'), 0, *tiny.tiny_params(dff))
    path = tiny.write_experiment(tmp_path, 'fgfa_rfcn', clips=1, length=2)
    status, printed, errors = tiny.run_script(
        'fgfa_rfcn/train_end2end.py', '--cfg', path, '--set', 'network.pretrained=%s' % (tmp_path / 'dff'),
        'dataset.image_set=DET_train_toy+VID_train_15frames', 'TRAIN.end_epoch=1', 'TRAIN.RPN_POST_NMS_TOP_N=20',
        'TRAIN.BATCH_ROIS_OHEM=8', 'output_path=%s' % (tmp_path / 'trained'), 'network.FIXED_PARAMS=[conv1,bn]')
    assert status == 0, errors
    assert 'newly initialised, 6 parameters of: em_conv1, em_conv2, em_conv3' in printed
    trained, _ = load_params(str(next((tmp_path / 'trained').rglob('tiny-0001.params')))[:-len('-0001.params')], 1)
    start = tiny.tiny_params(dff)[0]
    assert np.abs((trained['flow_conv1_weight'] - start['flow_conv1_weight']).asnumpy()).max() > 0
    assert (trained['em_conv3_bias'].asnumpy() != 0).any()


@pytest.mark.parametrize('setting, message', [
    ('TEST.KEY_FRAME_POLICY=middle', 'TEST.KEY_FRAME_POLICY is middle, but FGFA has no key frames'),
    ('TEST.KEY_FRAME_POLICY=flow', 'Its window is TEST.KEY_FRAME_INTERVAL frames to each side'),
    ('TEST.KEY_FRAME_POLICY=both-sides', 'TEST.KEY_FRAME_POLICY must be'),
    ('TEST.PRECISION=int8', 'TEST.PRECISION is int8, but FGFA computes in float32'),
    ('network.FGFA_FEAT_DIM=1024', 'network.FGFA_FEAT_DIM (1024) must be above DFF_FEAT_DIM (1024)'),
    ('TRAIN.MIN_OFFSET=9', 'TRAIN.MIN_OFFSET and MAX_OFFSET are both 9, but training draws two different offsets'),
    ('network.BN_EPS=0', 'network.BN_EPS must be above 0 and at most 1, found 0'),
])
def test_settings_that_do_not_go_with_fgfa(setting, message):
    with pytest.raises(ConfigError) as error:
        update_from_settings(fgfa_defaults(), [setting])
    assert message in str(error.value) and '\n' not in str(error.value)


def test_several_passes_are_refused():
    cfg = tiny.tiny_config('fgfa_rfcn', TEST__FLIP=True)
    with pytest.raises(ConfigError, match='TEST.FLIP is True, but FGFA shows each frame to its networks once'):
        VideoDetector(cfg, get_symbol_instance(cfg), *tiny.tiny_params(cfg), mx.cpu())


def test_the_flag_of_precision_is_refused_alike():
    task = tiny.fresh_task('fgfa_rfcn')
    arguments = parser_of_tests(task, '').parse_args(['--cfg', ORIGINAL, '--precision', 'int8'])
    with pytest.raises(ConfigError, match='--precision: TEST.PRECISION is int8, but FGFA computes in float32'):
        apply_arguments(task.config, task.update_config, arguments)


def test_the_original_s_settings_mean_its_own_network():
    task = tiny.fresh_task('fgfa_rfcn')
    task.update_config(resolve(ORIGINAL))
    assert task.config.symbol == 'resnet_v1_101_fgfa_rfcn'
    assert type(get_symbol_instance(task.config)).__module__ == 'fgfa_rfcn.symbols.resnet_v1_101_flownet_rfcn'
    assert (task.config.network.FGFA_FEAT_DIM, task.config.TEST.KEY_FRAME_INTERVAL) == (3072, 9)
    assert task.config.network.FIXED_PARAMS == ['conv1', 'res2', 'bn'] and task.config.TRAIN.MAX_OFFSET == 9
    # Both networks have the name that the original gives them.
    assert task_of(ORIGINAL).name == 'fgfa_rfcn'
    assert task_of(ORIGINAL.replace('fgfa_rfcn', 'dff_rfcn')).name == 'dff_rfcn'


def test_an_exported_folder_and_a_checkpoint_give_the_same(experiment, tmp_path):
    prefix, folder = tiny.prefix(experiment.parent, 'fgfa_rfcn'), tmp_path / 'out'
    status, printed, errors = tiny.run_script('tools/export_model.py', 'fgfa_rfcn', '--cfg', experiment, '--model',
                                              prefix, '--epoch', 1, '--output', folder)
    assert status == 0 and 'python fgfa_rfcn/demo.py --model' in printed, errors
    models = dff.load(prefix, cfg=str(experiment), epoch=1), dff.load(str(folder), backend='mxnet')
    one, other = (list(model(tiny.clip(5), thresh=0.05)) for model in models)
    assert [model.interval for model in models] == [3, 3] and sum(len(result.detections) for result in one) > 0
    for mine, theirs in zip(one, other):
        np.testing.assert_allclose(mine.detections, theirs.detections, rtol=1e-3, atol=2e-3)
    (tmp_path / 'in').mkdir()
    for number, image in enumerate(tiny.clip(5)):
        cv2.imwrite(str(tmp_path / 'in' / ('%d.png' % number)), image)
    common = ('--input', tmp_path / 'in', '--output', tmp_path / 'shown', '--model', folder, '--thresh', 0.05)
    tiny.run_demo_here('fgfa_rfcn', *common, '--json', tmp_path / 'found.json')
    frames = json.loads((tmp_path / 'found.json').read_text())['frames']
    for mine, frame in zip(one, frames):
        np.testing.assert_allclose([each['score'] for each in frame['detections']], mine.detections[:, 1], atol=2e-3)


def test_int8_is_refused_before_any_work(experiment, tmp_path):
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed: pip install -r requirements-onnx.txt')
    prefix = tiny.prefix(experiment.parent, 'fgfa_rfcn')
    status, _, errors = tiny.run_script('tools/export_model.py', 'fgfa_rfcn', '--cfg', experiment, '--model', prefix,
                                        '--epoch', 1, '--output', tmp_path / 'out', '--format', 'onnx',
                                        '--precision', 'int8', '--frames', tmp_path)
    assert status == 2 and len(errors.strip().splitlines()) == 1 and not (tmp_path / 'out').exists(), errors
    assert 'there is no --precision int8 of models that join windows of frames (FGFA)' in errors


@pytest.mark.slow
def test_float16_by_the_command(experiment, tmp_path):
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed: pip install -r requirements-onnx.txt')
    status, printed, errors = tiny.run_script(
        'tools/export_model.py', 'fgfa_rfcn', '--cfg', experiment, '--model',
        tiny.prefix(experiment.parent, 'fgfa_rfcn'), '--epoch', 1, '--output', tmp_path / 'out', '--format', 'onnx',
        '--precision', 'float16')
    assert status == 0 and 'onnxruntime against MXNet, float16: largest relative difference' in printed, errors
    assert 'a frame' in printed and (tmp_path / 'out' / 'speed.json').exists()
    # The precision of the files is not that of the networks in MXNet.
    index = json.loads((tmp_path / 'out' / 'model.json').read_text())
    assert index['settings']['TEST']['PRECISION'] == 'float32'
    for engine in ('onnxruntime', 'openvino'):
        if is_installed(engine):
            model = dff.load(str(tmp_path / 'out'), backend=engine, precision='float16')
            assert len(list(model(tiny.clip(3)))) == 3


def test_tools_that_know_no_task_read_its_settings(experiment):
    assert 'FGFA_FEAT_DIM' in detection_defaults_for(str(experiment)).network
    assert 'FGFA_FEAT_DIM' not in detection_defaults_for(
        resolve(ORIGINAL.replace('fgfa_rfcn', 'dff_rfcn'))).network
