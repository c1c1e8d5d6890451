"""tools/interval_curve.py: what key frames by mismatch save, and the command on a tiny network."""
import json

import pytest

from tests.helpers import tiny
from tools.interval_curve import saved_key_frames, table


def point(policy, frames, accuracy):
    return {'policy': policy, 'interval': 5, 'mismatch': 3.0, 'mAP': accuracy, 'ms': 2.0, 'frames_a_key_frame': frames}


FIXED = [point('fixed', 1.0, 0.8), point('fixed', 5.0, 0.7), point('fixed', 10.0, 0.6)]


@pytest.mark.parametrize('frames, accuracy, factor',
                         [(7.5, 0.65, 1.0), (10.0, 0.7, 2.0), (12.0, 0.3, 1.2), (6.0, 0.75, 2.0)])
def test_saving_is_measured_along_the_curve_of_fixed_intervals(frames, accuracy, factor):
    flow = point('flow', frames, accuracy)
    (found, saved), = saved_key_frames(FIXED + [flow])
    assert found is flow and saved == pytest.approx(factor)


def test_no_saving_where_no_fixed_interval_is_as_accurate():
    assert saved_key_frames(FIXED + [point('flow', 5.0, 0.9)]) == []
    assert table(FIXED + [point('flow', 5.0, 0.9)]).splitlines()[-1] == '| mismatch above 3 | 0.9000 | 5.0 | 2.0 |  |'


def test_a_dip_of_the_curve_does_not_count_as_its_end():
    dipped = FIXED + [point('fixed', 7.0, 0.5)]
    assert saved_key_frames(dipped + [point('flow', 20.0, 0.6)])[0][1] == pytest.approx(2.0)


@pytest.mark.slow
def test_the_command(tmp_path):
    cfg = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=1, length=4)
    status, out, err = tiny.run_script('tools/interval_curve.py', '--cfg', cfg, '--intervals', '1', '3',
                                       '--mismatches', '0.001', '--most', '4')
    assert status == 0, err
    assert '| every 3 |' in out and '| mismatch above 0.001 |' in out
    record = json.loads(next(tmp_path.rglob('curve.json')).read_text())
    assert [each['frames_a_key_frame'] for each in record['points']] == [1.0, 2.0, 1.0]
    assert next(tmp_path.rglob('curve.png')).stat().st_size > 5000


@pytest.mark.slow
def test_wrong_arguments(tmp_path):
    status, _, err = tiny.run_script('tools/interval_curve.py', '--cfg', 'x.yaml', '--mismatches', '-1')
    assert status == 2 and "expected a number above 0, found '-1'" in err
