"""Pre-training on real neighbours: the teacher, pairs with weights, how well boxes are followed."""

import logging
import os
import re

import cv2
import mxnet as mx
import numpy as np
import pytest

from dff.errors import DataError
from lib.flow.follow import TEACHER, dis_cells, measure, no_motion, table
from lib.flow.pairs import Pair, PairLoader
from lib.flow.real_frames import Emphasised, MovedParts, RealFrames, Window, make_windows, part_of
from lib.flow.teacher import GRID, window_flows
from lib.flow.trainer import flow_symbol, train_flow
from lib.config.defaults import flow_defaults
from tests.helpers.flow_tools import smooth_pair

SHAPE, STEP, SIDE = (
    (128, 192),
    4,
    48,
)  # of a frame; pixels that the square moves from frame to frame; its side


def texture(shape, seed):
    noise = (
        np.random.RandomState(seed)
        .randint(0, 256, (shape[0] // 4, shape[1] // 4, 3))
        .astype(np.uint8)
    )
    return cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)


def frames(count):
    """A square that moves to the right over a background that stands still."""
    ground, square = texture(SHAPE, 0), texture((SIDE, SIDE), 1)
    clip = []
    for number in range(count):
        image = ground.copy()
        image[40 : 40 + SIDE, 20 + STEP * number : 20 + STEP * number + SIDE] = square
        clip.append(image)
    return clip


@pytest.fixture(scope='module')
def window():
    images = frames(9)[::-1]  # backwards in time, as windows are
    return Window('clip/%06d', list(range(8, -1, -1)), images, window_flows(images))


def boxes_of(pattern, frame):
    left = 20 + STEP * frame
    return np.array([[left, 40, left + SIDE - 1, 40 + SIDE - 1]], float), np.array([7])


@pytest.fixture
def clip(tmp_path):
    """(pattern, first, length) of a clip on disk."""
    for number, image in enumerate(frames(6)):
        cv2.imwrite(str(tmp_path / ('%06d.JPEG' % number)), image)
    return str(tmp_path / '%06d.JPEG'), 0, 6


# ---- the teacher


def test_steps_are_chained_over_the_whole_distance(window):
    """Back in time the square moves to the left by as many steps as there are frames."""
    for distance in (1, 4, 8):
        there, back = window.flows[distance - 1].astype(np.float32)
        right = 20 + STEP * 8
        rows, inner = (
            slice(56 // GRID, 72 // GRID),
            slice((right + 16) // GRID, (right + 32) // GRID),
        )
        assert np.median(there[rows, inner, 0]) == pytest.approx(-STEP * distance, abs=0.5)
        left = right - STEP * distance
        assert np.median(
            back[rows, slice((left + 16) // GRID, (left + 32) // GRID), 0]
        ) == pytest.approx(STEP * distance, abs=0.5)
        assert np.abs(there[100 // GRID :, :, :2]).max() < 0.3


def test_what_is_hidden_has_no_weight(window):
    """What the square covers in the earlier frame cannot be found there."""
    weight = window.flows[7, 0, ..., 2].astype(np.float32)
    hidden = weight[52 // GRID : 76 // GRID, 26 // GRID : 46 // GRID]
    assert hidden.mean() < 0.4 and weight[104 // GRID :].mean() > 0.9
    assert weight.min() >= 0 and weight.max() <= 1


def test_what_leaves_the_image_has_no_weight():
    wide = texture((96, 240), 3)
    flows = window_flows([wide[:, 8 * at : 160 + 8 * at] for at in range(3)])  # the camera turns
    weight = flows[1, 0, ..., 2].astype(np.float32)
    assert np.median(flows[1, 0, 8:16, 10:30, 0]) == pytest.approx(-16, abs=0.5)
    assert weight[:, :3].max() < 0.2 and weight[4:-4, 8:36].mean() > 0.9


# ---- pairs


def test_the_flow_of_a_real_pair_leads_from_the_current_image_to_the_reference(window):
    source, moved = RealFrames([window], (96, 128)), 0
    for seed in range(12):
        pair = source(np.random.RandomState(seed))
        assert pair.current.shape == (96, 128, 3) and pair.flow.shape == (
            96 // GRID,
            128 // GRID,
            3,
        )
        flow = cv2.resize(pair.flow, (128, 96), interpolation=cv2.INTER_NEAREST)
        y, x = np.mgrid[0:96, 0:128].astype(np.float32)
        fetched = cv2.remap(pair.reference, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)
        there = flow[..., 2] > 0.99
        moving = there & (np.abs(flow[..., 0]) > 2)
        difference = np.abs(fetched.astype(float) - pair.current).mean(axis=2)
        assert np.median(difference[there]) < 3
        if moving.sum() > 200:
            moved += 1
            still = np.abs(pair.reference.astype(float) - pair.current).mean(axis=2)
            assert np.median(difference[moving]) < 0.4 * np.median(still[moving])
    assert moved > 4


def test_parts_that_end_before_their_size_are_padded_and_not_known(window):
    pair = RealFrames([window], (192, 256))(np.random.RandomState(0))
    assert pair.current.shape == (192, 256, 3)
    rim = np.ones(pair.flow.shape[:2], bool)
    rim[: SHAPE[0] // GRID, : SHAPE[1] // GRID] = False
    if pair.flow[:, : (256 - SHAPE[1]) // GRID].any():
        assert not pair.flow[rim].any()
    else:  # mirrored
        assert not pair.flow[rim[:, ::-1]].any()
    assert part_of(np.ones((3, 4, 1)), 2, 1, (2, 2)).tolist() == [[[1], [1]], [[0], [0]]]


def test_moved_parts_know_their_flow(window):
    pair = MovedParts([window], (96, 128), 8)(np.random.RandomState(1))
    y, x = np.mgrid[0:96, 0:128].astype(np.float32)
    fetched = cv2.remap(
        pair.reference, x + pair.flow[..., 0], y + pair.flow[..., 1], cv2.INTER_LINEAR
    )
    difference = np.abs(fetched[16:-16, 16:-16].astype(float) - pair.current[16:-16, 16:-16])
    assert (
        np.median(difference) < 8
        and 1 < np.abs(pair.flow[..., :2]).max()
        and pair.flow[..., 2].min() == 1
    )


def test_what_moves_on_its_own_weighs_more():
    flow = np.zeros((8, 8, 3), np.float32)
    flow[..., 2], flow[..., 0] = 1, 5  # the camera turns
    flow[2:4, 2:4, 0], flow[6, 6] = 9, (9, 0, 0)
    image = np.zeros((32, 32, 3), np.uint8)
    weight = Emphasised([lambda rng: Pair(image, image, flow)], 4.0)(np.random.RandomState(0)).flow[
        ..., 2
    ]
    assert weight[2, 2] == 5 and weight[0, 0] == 1 and weight[6, 6] == 0 and flow[2, 2, 2] == 1


# ---- learning


@pytest.fixture
def config():
    config = flow_defaults()
    config.SCALES, config.network.flow_width = [(64, 96)], 0.125
    return config


def weighted_pair(flow):
    image = np.zeros((64, 96, 3), np.uint8)
    return Emphasised([lambda rng: Pair(image, image, flow)], 0.0)


def test_targets_are_means_of_what_is_known(config):
    flow = np.zeros((16, 24, 3), np.float32)
    flow[:, ::2] = (40, -20, 1)
    flow[:, 1::2] = (999, 999, 0)
    source = weighted_pair(flow)
    symbol, labels = flow_symbol(config, (2, 3, 64, 96), weighted=True)
    batch = next(iter(PairLoader(source, config, 1, 2, labels)))
    for target, (_, size) in zip(batch.label, labels):
        assert target.shape == (2, 3) + size
        for channel, value in zip(target.asnumpy()[0], (1, -0.5, 0.5)):
            np.testing.assert_allclose(channel, value)


def test_what_is_not_known_has_no_part_in_loss_and_gradient(config):
    symbol, labels = flow_symbol(config, (1, 3, 64, 96), weighted=True)
    shapes = dict(
        {name: (1, 3) + size for name, size in labels}, data=(1, 3, 64, 96), data_ref=(1, 3, 64, 96)
    )
    executor = symbol.simple_bind(mx.cpu(), **shapes)
    rng = np.random.RandomState(0)
    for array in executor.arg_dict.values():
        array[:] = rng.normal(0, 0.1, array.shape)
    gradients = []
    for value in (3.0, -50.0):
        for name, _ in labels:
            label = np.full(executor.arg_dict[name].shape, 0.5, np.float32)
            label[:, 2] = 1
            label[:, :2, :, :1], label[:, 2, :, :1] = value, 0
            executor.arg_dict[name][:] = label
        executor.forward(is_train=True)
        executor.backward()
        gradients.append(
            [executor.outputs[4].asnumpy(), executor.grad_dict['Convolution5_weight'].asnumpy()]
        )
    assert (
        all(np.array_equal(*both) for both in zip(*gradients)) and np.abs(gradients[0][1]).max() > 0
    )


@pytest.mark.slow
def test_a_network_learns_what_is_known_of_pairs(config, tmp_path):
    pairs = []
    for shift in (-6, 6):
        pair = smooth_pair(np.array([[1, 0, shift], [0, 1, 0], [0, 0, 1.0]]), (64, 96))
        flow = np.concatenate([pair.flow, np.ones_like(pair.flow[..., :1])], axis=2)
        flow[:20] = (-9 * shift, 50, 0)  # wrong, and said not to be known
        pairs.append(pair._replace(flow=flow))
    source, path = (
        Emphasised([lambda rng: pairs[rng.randint(2)]]),
        str(tmp_path / 'flow-0000.params'),
    )
    records = train_flow(
        source, config, path, 40, 4, 0.003, logging.getLogger('test'), mx.cpu(), frequent=10
    )
    assert records[-1].error < 0.5 * records[-1].zero
    assert records[-1].zero == pytest.approx(6 / 16, rel=0.01)


# ---- measuring


def test_boxes_follow_the_flow(window):
    figures, motion = measure(
        [window], boxes_of, {'no motion': no_motion, 'DIS at once': dis_cells}, (1, 4, 8)
    )
    assert motion == pytest.approx({1: 0.25, 4: 1, 8: 2})
    for distance, step in ((1, 4), (4, 16), (8, 32)):
        still = figures['no motion'][distance]
        assert still.overlap == pytest.approx((SIDE - step) / (SIDE + step))
        assert 0.6 < still.objects / (step / 16) < 1.05 and still.everywhere < 0.7 * still.objects
        right = figures[TEACHER][distance]
        assert right[:2] == (0, 0) and right.overlap > 0.85
    lines = table(figures, motion)
    assert len(lines) == 5 and re.match(r' +8 +2.00 ', lines[-1]) and 'no motion' in lines[1]


def test_boxes_of_other_objects_are_not_compared(window):
    def strangers(pattern, frame):
        return boxes_of(pattern, frame)[0], np.array([frame])

    figures, motion = measure([window], strangers, {'no motion': no_motion}, (1,))
    assert np.isnan(figures['no motion'][1].overlap) and np.isnan(motion[1])
    assert figures['no motion'][1].objects > 0


# ---- windows


def test_windows_are_spread_over_clips(clip):
    windows = make_windows([clip], SHAPE, 3, 2, 'a list')
    assert [window.frames for window in windows] == [[2, 1, 0], [3, 2, 1], [5, 4, 3]] or [
        window.frames for window in windows
    ] == [[2, 1, 0], [4, 3, 2], [5, 4, 3]]
    assert [len(window.flows) for window in make_windows([clip], SHAPE, 9, 99, 'a list')] == [5]


def test_clips_that_have_no_neighbours(clip):
    pattern = clip[0]
    for clips in ([], [(pattern, 0, 1)]):
        with pytest.raises(
            DataError, match='VID_x: none of the %d clips has two frames' % len(clips)
        ):
            make_windows(clips, SHAPE, 3, 2, 'VID_x')
    path = pattern % 3
    cv2.imwrite(path, np.zeros((64, 96, 3), np.uint8))
    with pytest.raises(
        DataError, match='000005.JPEG and .*000003.JPEG belong to one clip but differ in size'
    ):
        make_windows([(pattern, 2, 4)], SHAPE, 1, 3, 'VID_x')
    os.remove(path)
    with pytest.raises(DataError, match='cannot read image .*000003.JPEG'):
        make_windows([(pattern, 2, 4)], SHAPE, 1, 3, 'VID_x')
