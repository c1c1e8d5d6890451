"""Exported models whose frames take the features of two key frames, in onnxruntime and in MXNet."""

import numpy as np
import pytest

import dff
from tests.helpers import tiny
from tests.helpers.onnx_tools import export_tiny
from dff.runtime import speed
from dff.runtime.onnx_networks import OnnxNetworks, open_networks
from dff.runtime.onnx_session import to_host
from dff.writers import open_writer
from lib.onnx_export import check
from lib.onnx_export.export import export_onnx

import onnx  # noqa: E402  (onnx_tools skips where it is missing)


@pytest.mark.parametrize('name', ['dff_rfcn', 'dff_deeplab'])
def test_features_of_both_sides(tmp_path, name):
    folder = str(tmp_path / name)
    task = export_tiny(name, folder, TEST__KEY_FRAME_POLICY='both')
    assert len(export_onnx(task, folder)) == 1
    inputs, own = (
        {each.name for each in onnx.load('%s/%s.onnx' % (folder, network)).graph.input}
        for network in ('between', 'current')
    )
    assert inputs == own | {'other_image', 'other_feature', 'other_share'}
    wanted, found = (
        list(dff.load(folder, backend=backend)(tiny.clip(7), thresh=0.05))
        for backend in ('mxnet', 'onnxruntime')
    )
    assert [each.is_key for each in found] == [False, True, False] * 2 + [True]
    for one, other in zip(wanted, found):
        if name == 'dff_rfcn':
            np.testing.assert_allclose(other.detections, one.detections, rtol=1e-3, atol=1e-2)
            assert len(one.detections) and np.array_equal(one.track_ids, other.track_ids)
        else:
            assert np.mean(one.label_map == other.label_map) > 0.999
    export_tiny(name, folder)
    assert not (tmp_path / name / 'between.onnx').exists()


def test_the_speed_is_that_of_frames_between_two_key_frames(tmp_path, monkeypatch):
    ran, run = [], OnnxNetworks.run
    monkeypatch.setattr(
        OnnxNetworks, 'run', lambda self, name, feeds: (ran.append(name), run(self, name, feeds))[1]
    )
    folder = str(tmp_path / 'model')
    export_onnx(export_tiny('dff_rfcn', folder, TEST__KEY_FRAME_POLICY='both'), folder)
    ran.clear()
    assert all(figure.current > 0 for figure in speed.measure(folder, threads=1, size=(64, 96)))
    assert ran.count('between') > ran.count('key') > 0 and 'current' not in ran


@pytest.mark.slow
@pytest.mark.parametrize('name', ['dff_rfcn', 'dff_deeplab'])
def test_int8(tmp_path, monkeypatch, name):
    """Tiny networks of random numbers are worse in int8 than trained ones: without limits."""
    monkeypatch.setattr(check, 'TOLERANCES', dict(check.TOLERANCES, int8=check.Tolerance(1, 0, 0, 0)))
    with open_writer(tmp_path / 'frames') as write:
        for t, image in enumerate(tiny.clip(8)):
            write(image, 'f%d' % t)
    folder = str(tmp_path / 'model')
    task = export_tiny(name, folder, TEST__KEY_FRAME_POLICY='both')
    assert len(export_onnx(task, folder, None, str(tmp_path / 'frames'), 'int8')) == 2
    operators = {node.op_type for node in onnx.load(folder + '/between.int8.onnx').graph.node}
    assert {'QuantizeLinear', 'DequantizeLinear'} <= operators
    found = list(dff.load(folder, backend='onnxruntime', precision='int8')(tiny.clip(7), thresh=0.05))
    assert [each.is_key for each in found] == [False, True, False] * 2 + [True]


def test_arrays_of_placed_values_stay_when_those_are_gone(tmp_path):
    folder = str(tmp_path / 'model')
    export_onnx(export_tiny('rfcn', folder), folder)
    placed = np.arange(6, dtype=np.float32)
    host = to_host(open_networks(folder, 1).place(placed))
    placed[:] = 7
    assert np.array_equal(host, np.arange(6))


def test_float16_in_openvino(tmp_path):
    """There an input has the names of what casts it, too."""
    pytest.importorskip('openvino', reason='openvino is not installed: pip install openvino')
    folder = str(tmp_path / 'model')
    export_onnx(export_tiny('dff_rfcn', folder, TEST__KEY_FRAME_POLICY='both'), folder, precision='float16')
    wanted, found = (
        list(dff.load(folder, backend='openvino', precision=precision)(tiny.clip(5), thresh=0.15))
        for precision in ('float32', 'float16')
    )
    assert [each.is_key for each in found] == [False, True, False, False, True]
    for one, other in zip(wanted, found):
        assert len(one.detections)
        for row in one.detections:
            rows = other.detections[other.detections[:, 0] == row[0]]
            assert (abs(rows - row) < ([1, 0.02] + [1] * 4)).all(axis=1).any()
