"""tools/benchmark.py and benchmarks/parts.py on tiny networks of every task; the peers where they are installed;
messages."""
import json
import sys

import cv2
import mxnet as mx
import numpy as np
import pytest

from benchmarks.contenders import PEERS, Contender
from benchmarks.parts import multiply_adds, part_names
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny, tiny_seg
from tests.helpers.marks import slow
from tests.helpers.seg_tools import write
from tools.benchmark import NAMES


def cells(out, name):
    """{column: cell} of the table's row `name`."""
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in out.splitlines() if line.startswith('|')]
    return dict(zip(rows[0][1:], next(row for row in rows if row[0] == name)[1:]))


@pytest.fixture
def detector(tmp_path):
    return tiny.write_experiment(tmp_path, 'dff_rfcn', clips=1, length=4)


@pytest.mark.slow
def test_one_table_without_model_and_input(detector, tmp_path):
    status, out, err = tiny.run_script('tools/benchmark.py', '--cfg', detector, '--frames', 7,
                                       '--json', tmp_path / 'all.json')
    assert status == 0, err
    own, baseline = cells(out, 'float32'), cells(out, 'every frame a key frame')
    assert all(float(own[part]) >= 0 for part in ('reading', 'key network', 'current network', 'post-processing'))
    assert baseline['current network'] == '' and baseline['against every frame'] == '1.00x'
    assert 'medians of 9 frames, 3 of them key frames; interval 3; network input 54x96' in out
    record = json.loads((tmp_path / 'all.json').read_text())
    row = record['rows']['float32']
    assert record['interval'] == 3 and len(record['frames']['float32']) == row['frames'] == 9
    assert row['total'] == pytest.approx(row['reading'] + row['post'] + (row['key'] + 2 * row['current']) / 3)
    assert row['fps'] == pytest.approx(1e3 / row['total']) and 50 < row['memory'] < 5000 and 0 < row['outside'] < 1


@pytest.mark.slow
def test_a_model_and_a_video(detector, tmp_path):
    video = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 25, (96, 64))
    for picture in tiny.clip(5):
        writer.write(picture)
    writer.release()
    status, out, err = tiny.run_script('tools/benchmark.py', '--cfg', detector,
                                       '--model', tiny.prefix(tmp_path, 'dff_rfcn'), '--epoch', 1, '--input', video,
                                       '--frames', 4, '--interval', 2, '--against', 'builtin')
    assert status == 0, err
    peer = cells(out, "MXNet's operators and defaults")
    assert peer['reading'] == peer['post-processing'] == '' and peer['against builtin'] == '1.00x'
    assert float(cells(out, 'float32')['outputs differ by']) < 1e-3
    assert 'network input 64x96' in out


@pytest.mark.slow
@pytest.mark.parametrize('task', ['rfcn', 'deeplab', 'dff_deeplab'])
def test_other_tasks(task, tmp_path):
    if task == 'rfcn':
        cfg = tiny.write_experiment(tmp_path, task, clips=1, length=4)
    else:
        tiny_seg.make_folder(tmp_path / 'set', clips=1)
        cfg = tiny_seg.write_experiment(tmp_path, task)
    status, out, err = tiny.run_script('tools/benchmark.py', '--cfg', cfg, '--frames', 3, '--against', 'builtin')
    assert status == 0, err
    assert float(cells(out, 'float32')['outputs differ by']) < 1e-3
    assert ('interval 1 (no flow network)' in out) == (task != 'dff_deeplab')
    assert ('| every frame a key frame |' in out) == (task == 'dff_deeplab')


def test_peers_compute_the_same(detector, torch):
    status, out, err = tiny.run_script('tools/benchmark.py', '--cfg', detector, '--frames', 3,
                                       '--against', 'torch,openvino')
    assert status == 0, err
    assert float(cells(out, 'PyTorch, TorchScript')['outputs differ by']) < 1e-3
    assert 'PyTorch %s' % torch.__version__ in out


@pytest.mark.slow
def test_float32_and_int8_of_onnxruntime_and_openvino(detector, torch, tmp_path):
    for name in ('nncf', 'openvino', 'onnx', 'onnxruntime'):
        pytest.importorskip(name, reason='%s is not installed: pip install -r requirements-bench.txt' % name)
    status, out, err = tiny.run_script('tools/benchmark.py', '--cfg', detector, '--frames', 3, '--precision', 'float32',
                                       '--against', 'openvino,onnxruntime,exported', '--json', tmp_path / 'all.json')
    assert status == 0 and 'left out' not in out, out + err
    record = json.loads((tmp_path / 'all.json').read_text())
    assert all(50 < row['memory'] < 5000 for row in record['rows'].values())
    for name in ('openvino', 'onnxruntime'):
        int8 = record['rows'][name + '-int8']
        assert record['differences'][name] < 1e-3 < record['differences'][name + '-int8'] < 1
        assert int8['precision'] == {'key': 'int8', 'current': 'int8'}
    pipeline = cells(out, 'exported, onnxruntime, int8')
    assert all(float(pipeline[part]) >= 0 for part in ('reading', 'key network', 'current network', 'post-processing'))
    assert 'NNCF' in out and 'onnxruntime %s' % sys.modules['onnxruntime'].__version__ in out


@pytest.mark.slow
def test_peers_that_are_not_installed_are_left_out(detector, tmp_path):
    for name in ('torch', 'openvino', 'onnxruntime'):
        (tmp_path / ('%s.py' % name)).write_text('raise ImportError("no module named %s")' % name)
    launcher = tmp_path / 'python'
    launcher.write_text('#!/bin/sh\nPYTHONPATH=%s exec %s "$@"\n' % (tmp_path, sys.executable))
    launcher.chmod(0o755)
    status, out, err = tiny.run_script('tools/benchmark.py', '--cfg', detector, '--frames', 3,
                                       '--against', 'torch,onnxruntime', '--peer-python', launcher)
    assert status == 0, err
    assert 'left out: PyTorch, TorchScript (not installed here:' in out and 'float32' in out
    assert 'left out: onnxruntime, int8 (not installed here:' in out


def test_every_peer_has_a_name_in_the_table():
    assert set(sum(PEERS.values(), ())) <= set(NAMES)


@pytest.mark.parametrize('arguments, message', [
    (('--model', 'nowhere/model'), 'nowhere/model-0000.params does not exist'),
    slow(('--against', 'builtin,caffe'),
         "expected some of builtin, torch, openvino, onnxruntime, exported, separated by commas, found 'caffe'"),
    slow(('--precision', 'float16'), "expected some of float32, int8, separated by commas, found 'float16'"),
    slow(('--set', 'TEST.KEY_FRAME_POLICY=both', '--against', 'builtin,exported'),
         '--against builtin runs a network of one key frame, and TEST.KEY_FRAME_POLICY is both: add --set '
         'TEST.KEY_FRAME_POLICY=middle, or compare with --against exported'),
    slow(('--set', 'symbol=resnet_v2'), "there is no network called 'resnet_v2'"),
])
def test_messages(detector, arguments, message):
    status, _, err = tiny.run_script('tools/benchmark.py', '--cfg', detector, *arguments)
    assert status == 2 and message in err and 'Traceback' not in err


def test_a_network_of_windows_is_refused(root):
    status, _, err = tiny.run_script('tools/benchmark.py', '--cfg',
                                     root / 'experiments/fgfa_rfcn/cfgs/toy_vid_fgfa_rfcn.yaml')
    assert status == 2 and 'benchmarks/fgfa_window.py measures those' in err and 'Traceback' not in err


@pytest.mark.slow
def test_a_damaged_video(detector, tmp_path):
    path = tmp_path / 'clip.mp4'
    path.write_bytes(b'no video')
    status, _, err = tiny.run_script('tools/benchmark.py', '--cfg', detector, '--input', path)
    assert status == 2 and 'cannot decode %s as video' % path in err and 'Traceback' not in err


@pytest.mark.slow
def test_a_frame_that_turns_out_to_be_damaged_ends_it_with_its_name(detector, tmp_path):
    for number in range(4):
        write(tmp_path / 'frames' / ('%d.png' % number), tiny.frame(number))
    (tmp_path / 'frames' / '3.png').write_bytes(b'no image')
    status, _, err = tiny.run_script('tools/benchmark.py', '--cfg', detector, '--input', tmp_path / 'frames',
                                     '--frames', 6)
    assert status == 2 and 'cannot decode image %s' % (tmp_path / 'frames' / '3.png') in err and 'Traceback' not in err


def test_segmentation_has_no_torch(tmp_path):
    tiny_seg.make_folder(tmp_path / 'set', clips=1)
    status, _, err = tiny.run_script('tools/benchmark.py', '--cfg', tiny_seg.write_experiment(tmp_path, 'deeplab'),
                                     '--against', 'torch')
    assert status == 2 and 'for segmentation there is --against builtin,exported' in err


def test_medians_and_shares():
    contender = Contender.__new__(Contender)
    contender.name, contender.threads, contender.memory, contender.reply, contender.wall = 'float32', 1, 100, {}, 200.0
    contender.rows = [[True, 1, 60, 2], [False, 1, 10, 2], [False, 3, 20, 2], [False, 1, 30, 4]]
    numbers = contender.numbers()
    assert (numbers['reading'], numbers['key'], numbers['current'], numbers['post']) == (1, 60, 20, 2)
    assert numbers['total'] == 1 + 2 + (60 + 3 * 20) / 4 and numbers['outside'] == 1 - 120 / 200


def test_multiply_adds_of_parts():
    cfg = tiny.tiny_config('dff_rfcn')
    symbol = get_symbol_instance(cfg).get_cur_test_symbol(cfg)
    shapes = {'data': (1, 3, 64, 96), 'data_key': (1, 3, 64, 96), 'feat_key': (1, 32, 4, 6), 'im_info': (1, 3)}
    work = multiply_adds(symbol, shapes)
    # Convolution5 has 2 and Convolution5_scale 32 filters of 1x1 or 3x3 on the last concatenation;
    # deconv2's output is 16x24.
    arguments = dict(zip(symbol.list_arguments(), symbol.infer_shape(**shapes)[0]))
    weights = [arguments[name] for name in ('Convolution5_weight', 'Convolution5_scale_weight')]
    assert work['flow and scale map'] == 4 * 6 * sum(np.prod(shape) for shape in weights)
    assert work['RPN and R-FCN, 1x1'] == 4 * 6 * 16 * (18 + 36 + 49 * 4 + 49 * 8)
    assert set(part_names(symbol).values()) - {'constants'} == {
        'images (halving, stacking)', 'FlowNet, contracting', 'FlowNet, expanding', 'flow and scale map', 'warp',
        'RPN and R-FCN, 1x1', 'proposals', 'PS-RoI pooling'}


def test_multiply_adds_are_of_all_images():
    """As in flownet_correlation, whose first layers see two of them."""
    layer = mx.sym.Convolution(mx.sym.Variable('data'), kernel=(3, 3), num_filter=4, name='conv1')
    layer = mx.sym.Deconvolution(layer, kernel=(2, 2), stride=(2, 2), num_filter=6, name='conv1_up')
    assert multiply_adds(layer, {'data': (2, 3, 10, 12)}) == {
        'stem (conv1, pool1)': 2 * 8 * 10 * (4 * 3 * 9 + 6 * 4 * 4)}


@pytest.mark.slow
def test_parts(detector):
    status, out, err = tiny.run_script('benchmarks/parts.py', '--cfg', detector, '--repeats', 2)
    assert status == 0, err
    assert 'GFLOP/s' in out
    for part in ('stage 4', 'feat_conv_3x3, dilated', 'FlowNet, expanding', 'warp', 'proposals', 'PS-RoI pooling'):
        assert float(cells(out.partition('current frame')[0] if 'stage' in part or 'feat' in part else out,
                           part)['ms']) > 0
