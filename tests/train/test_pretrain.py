"""Pre-training of backbone and flow network: what is learned from, and the files that come out."""
import argparse
import logging
import os
import subprocess
import sys
from collections import namedtuple

import cv2
import mxnet as mx
import numpy as np
import pytest

from lib.dataset.formats.records import Record
from lib.dataset.toy.toy_generator import Size, generate
from lib.flow import pretrainer
from lib.flow.moved_frames import moved_pair
from lib.symbols.operators import flow_warp
from lib.train.pretrainer import BACKGROUND_OVERLAP, WindowLoader, cut, draw_window
from tests.helpers.tiny import tiny_config


@pytest.fixture
def image():
    rng = np.random.RandomState(0)
    y, x = np.mgrid[0:64, 0:96]
    return np.stack([127 + 60 * np.sin(x / rng.uniform(5, 9) + y / rng.uniform(5, 9)) for _ in range(3)],
                    axis=2).astype(np.uint8)


def test_the_flow_of_a_pair_leads_from_the_current_image_to_the_reference(image):
    """The very warp of the network, applied to the reference, gives the current image."""
    current, flow = moved_pair(image, np.array([[20, 20, 60, 50]], np.float32), 8, np.random.RandomState(3))
    assert 1 < np.abs(flow).max() <= 8 + 0.03 * 96
    feature, motion = (mx.nd.array(a.astype(np.float32).transpose(2, 0, 1)[None]) for a in (image, flow))
    symbol = flow_warp(mx.sym.Variable('feature'), mx.sym.Variable('flow'))
    executor = symbol.bind(mx.cpu(), {'feature': feature, 'flow': motion})
    warped = executor.forward()[0].asnumpy()[0].transpose(1, 2, 0)
    inside = (slice(12, -12), slice(12, -12))
    gain = np.median(current[inside] / np.maximum(warped[inside], 1))
    assert 0.9 < gain < 1.1
    assert np.median(np.abs(current[inside] - gain * warped[inside])) < 4


def test_windows_hold_their_object_or_no_object():
    boxes = np.array([[10, 10, 40, 50], [100, 60, 150, 100]], np.float32)
    record = Record('', 120, 200, boxes, np.array([2, 5]), False, None, 0, 1, '')
    rng, seen = np.random.RandomState(0), set()
    for _ in range(200):
        x, y, label = draw_window(record, boxes, (120, 200), 32, rng)
        seen.add(label)
        if label:
            x1, y1, x2, y2 = boxes[[2, 5].index(label)]
            assert abs(x + 16 - (x1 + x2) / 2) <= 0.25 * (x2 - x1) + 1
            assert abs(y + 16 - (y1 + y2) / 2) <= 0.25 * (y2 - y1) + 1
        else:
            shared = [max(0, min(x + 32, b[2] + 1) - max(x, b[0])) * max(0, min(y + 32, b[3] + 1) - max(y, b[1]))
                      for b in boxes]
            assert max(shared) < BACKGROUND_OVERLAP * (32 * 32 + 51 * 41)
    assert seen == {0, 2, 5}


def test_windows_outside_the_image_repeat_its_edge(image):
    window = cut(image, -4, 60, 8)
    assert window.shape == (8, 8, 3)
    assert np.array_equal(window[:4, 4:], image[60:64, :4]) and np.array_equal(window[7, 0], image[63, 0])


def test_windows_are_mirrored_half_of_the_time(tmp_path):
    ramp = np.tile(np.arange(128, dtype=np.uint8)[None, :, None], (96, 1, 3))
    cv2.imwrite(str(tmp_path / 'ramp.png'), ramp)
    record = Record(str(tmp_path / 'ramp.png'), 96, 128, np.array([[40, 30, 90, 70]], np.float32), np.array([1]), False,
                    None, 0, 1, '')
    loader = WindowLoader([record], tiny_config('rfcn', SCALES=(96, 128)), 8, 16, 32)
    rising = np.concatenate([loader.arrays(number)[0] for number in range(8)])
    rising = rising[:, 0, :, -1].mean(axis=1) > rising[:, 0, :, 0].mean(axis=1)
    assert 0.35 < rising.mean() < 0.65


@pytest.mark.slow
def test_the_tool_writes_what_the_configs_start_from(root, tmp_path):
    generate(str(tmp_path / 'toy'), Size(train_clips=1, train_length=15, stills=2, val_clips=1, val_length=3),
             workers=1)

    def pretrain(part, task, *settings, more=()):
        return subprocess.run(
            [sys.executable, str(root / 'tools' / 'pretrain.py'), part, *more,
             '--cfg', 'experiments/%s/cfgs/toy_vid_%s.yaml' % (task, task), '--batches', '3', '--batch_size', '2',
             '--set', 'dataset.root_path=%s' % tmp_path, 'dataset.dataset_path=%s' % (tmp_path / 'toy'),
             'output_path=%s' % (tmp_path / 'output'), 'network.width=0.125', 'network.flow_width=0.125']
            + list(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
            env=dict(os.environ, OMP_NUM_THREADS='1'))

    backbone = pretrain('backbone', 'rfcn', 'network.pretrained=%s' % (tmp_path / 'backbone'))
    assert backbone.returncode == 0, backbone.stderr
    names = set(mx.nd.load(str(tmp_path / 'backbone-0000.params')))
    assert {'arg:conv1_weight', 'arg:res5b_branch2b_weight', 'aux:bn_conv1_moving_var'} <= names
    assert not any('classifier' in name for name in names)
    assert (tmp_path / 'backbone-0000.json').exists()
    flow = pretrain('flow', 'dff_rfcn', 'network.pretrained_flow=%s' % (tmp_path / 'flow'))
    assert flow.returncode == 0 and 'end-point error' in flow.stdout, flow.stderr
    names = set(mx.nd.load(str(tmp_path / 'flow-0000.params')))
    assert {'arg:flow_conv1_weight', 'arg:Convolution5_weight'} <= names
    assert 'arg:Convolution5_scale_weight' not in names
    real = pretrain('flow', 'dff_rfcn', 'network.pretrained_flow=%s' % (tmp_path / 'real'), more=['--neighbours'])
    assert real.returncode == 0, real.stderr
    head, *lines = real.stdout[real.stdout.index('frames boxes move'):].splitlines()
    assert all(name in head for name in ('DIS, step by step', 'no motion', 'this network', 'DIS at once'))
    assert [line.split()[0] for line in lines if line] == ['1', '2'] and 'nan' not in ''.join(lines)
    assert set(mx.nd.load(str(tmp_path / 'real-0000.params'))) == names
    still = pretrain('flow', 'dff_rfcn', 'network.pretrained_flow=%s' % (tmp_path / 'still'), 'TRAIN.MIN_OFFSET=0',
                     more=['--neighbours'])
    assert still.returncode == 2 and 'TRAIN.MIN_OFFSET and TRAIN.MAX_OFFSET are 0' in still.stderr
    nothing = pretrain('flow', 'dff_rfcn', 'network.pretrained_flow=')
    assert nothing.returncode == 2 and 'network.pretrained_flow is empty; it names the file to write' in nothing.stderr


@pytest.mark.parametrize('error, warned', [(0.7, True), (0.6, False)])
def test_a_flow_network_that_is_worse_than_none_is_said_to_be(monkeypatch, caplog, error, warned):
    Last = namedtuple('Last', 'error zero')
    monkeypatch.setattr(pretrainer, 'train_flow', lambda *arguments: [Last(error, 0.65)])
    options = argparse.Namespace(batches=1, batch_size=1, lr=0.1)
    with caplog.at_level(logging.INFO):
        pretrainer._train(None, None, 'flow', options, logging.getLogger('dff'), None)
    assert 'end-point error %.3f, zero flow 0.650 feature-map pixels: flow-0000.params' % error in caplog.text
    assert ('this flow network is no better than no motion' in caplog.text) is warned
