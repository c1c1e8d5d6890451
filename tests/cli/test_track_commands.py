"""TEST.TRACK and --track: in a test run, in the demos, and in tools/evaluate_vid.py."""
import json

import pytest

from dff.tracking.tracker import TrackRules
from dff.writers import open_writer
from lib.config.config import update_from_file
from lib.config.defaults import detection_defaults
from lib.evaluation.tracks_file import read_tracks
from lib.inference import detection_testing, testing
from tests.helpers import tiny


@pytest.fixture(scope='module')
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tracks')
    return tiny.write_experiment(folder, 'dff_rfcn', clips=2, length=5), tiny.prefix(folder, 'dff_rfcn')


def test_run(path, **test):
    """The results of a test run with settings of TEST."""
    cfg = detection_defaults()
    update_from_file(cfg, str(path))
    cfg.TEST.update(test)
    return testing.test_net(tiny.fresh_task('dff_rfcn'), cfg, str(path), thresh=0.15)


test_run.__test__ = False


def text(path):
    with open(str(path), encoding='ascii') as stream:
        return stream.read()


SLOW = pytest.mark.slow


@pytest.mark.parametrize('policy', ['fixed', pytest.param('middle', marks=SLOW), pytest.param('flow', marks=SLOW)])
def test_a_test_run_with_tracks(experiment, capsys, monkeypatch, policy):
    # Random parameters score low.
    monkeypatch.setattr(detection_testing, 'TrackRules', lambda: TrackRules(high=0.2, start=0.16))
    path, _ = experiment
    plain = test_run(path, KEY_FRAME_POLICY=policy)
    assert 'tracks' not in plain
    before = text(plain['detections'])
    tracked = test_run(path, KEY_FRAME_POLICY=policy, TRACK=True)
    assert text(tracked['detections']) == before, 'ids change no detection'
    printed = capsys.readouterr().out
    assert 'tracks of all classes: IDF1 = ' in printed and 'tracks: %s' % tracked['tracks']['file'] in printed
    found = read_tracks(tracked['tracks']['file'], 6)
    assert set(found.frames) <= set(range(1, 11)) and found.frames.max() > 5
    first, second = (set(found.ids[mask]) for mask in (found.frames <= 5, found.frames > 5))
    assert not first & second, 'ids of one clip are none of another'
    assert {'idf1', 'mota', 'switches', 'fragments'} <= set(tracked['tracks'])

    status, out, errors = tiny.run_script('tools/evaluate_vid.py', '--cfg', path, '--tracks',
                                          tracked['tracks']['file'], '--json', path.parent / 'out.json')
    assert status == 0 and 'tracks of all classes: IDF1 = %.4f' % tracked['tracks']['idf1'] in out, errors
    assert json.loads(text(path.parent / 'out.json'))['tracks']['switches'] == tracked['tracks']['switches']


@SLOW
def test_what_evaluating_needs(experiment):
    path, _ = experiment
    for words, error in (([], 'give --tracks FILE or --detections FILE'),
                         (['--tracks', 'x', '--coco'], '--coco needs --detections FILE'),
                         (['--tracks', 'x'], 'cannot read x')):
        status, _, errors = tiny.run_script('tools/evaluate_vid.py', '--cfg', path, *words)
        assert status == 2 and error in errors


def test_the_demo_with_ids(experiment, tmp_path, capsys):
    path, prefix = experiment
    with open_writer(tmp_path / 'frames') as write:
        for t in range(4):
            write(tiny.frame(t), 'f%d' % t)
    flags = ['--cfg', path, '--model', prefix, '--epoch', 1, '--thresh', 0.15, '--input', tmp_path / 'frames',
             '--output', tmp_path / 'out', '--json', tmp_path / 'out.json']
    tiny.run_demo_here('dff_rfcn', *flags, '--mot', tmp_path / 'new' / 'out.txt')
    frames = json.loads(text(tmp_path / 'out.json'))['frames']
    ids = [each['track'] for frame in frames for each in frame['detections']]
    assert ids and all(number > 0 for number in ids)
    assert [int(line.split(',')[1]) for line in text(tmp_path / 'new' / 'out.txt').splitlines()] == ids
    assert 'tracks: %s' % (tmp_path / 'new' / 'out.txt') in capsys.readouterr().out
    tiny.run_demo_here('dff_rfcn', *flags)
    assert 'track' not in json.loads(text(tmp_path / 'out.json'))['frames'][0]['detections'][0]
    with pytest.raises(SystemExit):
        tiny.run_demo_here('dff_rfcn', *flags, '--track', batch=True)
    assert 'the batch network hands out no flow' in capsys.readouterr().err
