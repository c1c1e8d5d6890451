"""What benchmarks/track_ids.py and benchmarks/runtimes.py count."""
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import runtimes, track_ids
from dff.frames import made_up_clip
from lib.evaluation.vid_eval import GroundTruth


def test_annotated_boxes(tmp_path):
    (tmp_path / 'a.txt').write_text('2,7,11,21,10,20,1,-1,-1,-1\n1,7,1,1,10,20,0,-1,-1,-1\n')
    frames, ids, boxes = track_ids.annotated(str(tmp_path / 'a.txt'))
    assert (frames.tolist(), ids.tolist(), boxes.tolist()) == ([1], [7], [[10, 20, 19, 39]]), 'one is not to be found'


def test_boxes_are_dropped_and_jittered_by_the_seed():
    frames, boxes = np.arange(2000), np.tile([10.0, 20, 49, 99], (2000, 1))
    found = track_ids.disturbed(frames, boxes, 0.1, 0.05, 3)
    rows = np.concatenate(list(found.values()))
    assert 0.88 < len(rows) / 2000 < 0.92
    assert (rows[:, 2:].mean(axis=0) == pytest.approx([10, 20, 49, 99], abs=0.5))
    centres, sides = rows[:, 2:4] + rows[:, 4:6], rows[:, 4:6] - rows[:, 2:4] + 1
    assert (centres / 2).std(axis=0) == pytest.approx([2, 4], rel=0.1)
    assert np.log(sides).std(axis=0) == pytest.approx([0.05, 0.05], rel=0.1)
    again = track_ids.disturbed(frames, boxes, 0.1, 0.05, 3)
    assert all((again[frame] == own).all() for frame, own in found.items())
    exact = track_ids.disturbed(frames, boxes, 0, 0, 0)
    assert (np.concatenate(list(exact.values()))[:, 2:] == boxes).all()


def test_the_flow_leads_to_the_key_frame():
    """made_up_clip moves its pattern 8 pixels left and 4 up from frame to frame."""
    flows = track_ids.flows_to_key_frames(made_up_clip((192, 256), 4), 3)
    assert flows[0] is None and flows[3] is None and flows[2].shape == (2, 12, 16)
    assert np.median(flows[2], axis=(1, 2)) == pytest.approx([2 * 8 / 16, 2 * 4 / 16], abs=0.05)


def clip_of_two(length, step):
    """(GroundTruth, detections) of two boxes that move `step` pixels a frame."""
    rows = [[1, 0.9, x + step * t, 0, x + step * t + 39, 39] for t in range(length) for x in (0, 200)]
    boxes = np.array(rows, float)
    offsets = 2 * np.arange(length + 1)
    truth = GroundTruth(np.arange(length), offsets, boxes[:, 2:], np.ones(len(boxes), int),
                        tracks=np.tile([5, 6], length))
    return truth, {t: boxes[2 * t:2 * t + 2] for t in range(length)}


def test_trackers_are_scored():
    truth, found = clip_of_two(6, 4)
    for ids in (track_ids.plain_iou(found, 6), track_ids.ours(found, 6, 3)):
        assert track_ids.score(truth, found, ids).idf1 == 1
    del found[2]
    plain, own = (track_ids.score(truth, found, ids) for ids in (
        track_ids.plain_iou(found, 6), track_ids.ours(found, 6, 3)))
    assert (plain.switches, own.switches) == (2, 0) and plain.idf1 < own.idf1 < 1
    truth, found = clip_of_two(6, 48)
    flows = [None if t % 3 == 0 else np.full((2, 4, 40), 0) + np.array([-48 / 16 * (t % 3), 0])[:, None, None]
             for t in range(6)]
    alone, along = (track_ids.score(truth, found, track_ids.ours(found, 6, 3, given)) for given in (None, flows))
    assert alone.idf1 < along.idf1, 'they move further than they are wide'


def test_times_and_shares_of_runtimes(monkeypatch):
    clock = iter([0.0, 10.0, 20.0, 24.0])
    monkeypatch.setattr(runtimes.time, 'perf_counter', lambda: next(clock))
    monkeypatch.setattr(runtimes.time, 'sleep', lambda seconds: None)
    results = [SimpleNamespace(is_key=is_key, seconds=SimpleNamespace(network=seconds))
               for is_key, seconds in ((True, 1.5), (False, 0.5), (False, 1.0))]
    row = runtimes.Row('an engine', lambda video: iter(results))
    row.turn('x.mp4', False)
    row.turn('x.mp4', True)
    assert row.times(4) == [1500, 750, (1500 + 3 * 750) / 4]
    assert runtimes.table([row], 4).splitlines()[-1] == \
        '| an engine | 1500.0 (1.00) | 750.0 (1.00) | 937.5 (1.00) | 25.0 % |'
