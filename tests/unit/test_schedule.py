"""Which frames are key frames: the schedules alone, without networks."""
import pytest

from dff.errors import ConfigError
from dff.schedule import POLICIES, MismatchSchedule, Schedule, make_schedule


def beginnings(schedule, sizes):
    """Places of the frames of these sizes that begin an interval."""
    schedule.restart()
    return [place for place, size in enumerate(sizes) if schedule.begins(size)]


@pytest.mark.parametrize('interval, expected', [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6]), (10, [0])])
def test_intervals_begin_at_frame_0_and_every_interval_th(interval, expected):
    assert beginnings(Schedule(interval), 'aaaaaaa') == expected


def test_another_size_begins_an_interval():
    assert beginnings(Schedule(3), 'aabbbbba') == [0, 2, 5, 7]


def test_restart_begins_a_new_clip():
    schedule = Schedule(3)
    assert beginnings(schedule, 'aa') == beginnings(schedule, 'aa') == [0]


@pytest.mark.parametrize('available, place', [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 5), (10, 5)])
def test_the_middle_frame_is_the_key_frame(available, place):
    schedule = make_schedule('middle', 10, 1.0)
    assert (schedule.lookahead, schedule.key_place(available), schedule.suffix) == (5, place, '_middle')


def test_both_sides_have_the_schedule_of_the_middle():
    schedule = make_schedule('both', 10, 1.0)
    assert (schedule.lookahead, schedule.both_sides, schedule.suffix) == (5, True, '_both')
    assert not make_schedule('middle', 10, 1.0).both_sides


def test_the_first_frame_is_the_key_frame_else():
    for policy in ('fixed', 'flow'):
        schedule = make_schedule(policy, 10, 80.0)
        assert schedule.lookahead == 0 and [schedule.key_place(count) for count in (1, 2, 9)] == [0, 0, 0]
    assert (make_schedule('fixed', 10, 80.0).suffix, make_schedule('flow', 10, 80.0).suffix) == ('', '_mismatch80')


def test_mismatches_add_up_and_begin_anew_with_a_key_frame():
    schedule = MismatchSchedule(4, 10.0)
    assert schedule.begins('a') and not schedule.begins('a') and schedule.accepts(6.0)
    assert not schedule.begins('a') and not schedule.accepts(6.0)       # this frame is the key frame now
    assert [schedule.begins('a') for _ in range(4)] == [False, False, False, True]
    assert schedule.accepts(10.0) and not schedule.accepts(0.1)


def test_only_flow_measures():
    assert [make_schedule(policy, 2, 1.0).needs_mismatch for policy in POLICIES] == [False, False, False, True]
    assert Schedule(2).accepts(None) and Schedule(2).accepts(1e9)
    with pytest.raises(ValueError, match='measure no mismatch'):
        MismatchSchedule(2, 1.0).accepts(None)


def test_bad_settings():
    with pytest.raises(ConfigError, match='the key-frame interval must be a whole number, 1 or more, found 0'):
        make_schedule('fixed', 0, 1.0)
    with pytest.raises(ConfigError, match="there is no key-frame policy 'fast'; choose from fixed, middle, both, flow"):
        make_schedule('fast', 1, 1.0)
