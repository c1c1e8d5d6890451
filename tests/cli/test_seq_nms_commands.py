"""Seq-NMS where users meet it: tests, demos, and the evaluation of saved boxes."""
import json
import os

import numpy as np
import pytest

from dff.errors import ConfigError
from lib.apps.commands import test_parser as parser_of_tests
from lib.config.cli import apply_arguments
from lib.config.config import update_from_file, update_from_settings
from lib.config.defaults import detection_defaults
from lib.inference import testing
from tests.helpers import tiny
from tools import evaluate_vid


@pytest.fixture(scope='module')
def experiments(tmp_path_factory):
    """{task: path of its YAML file}."""
    folder = tmp_path_factory.mktemp('experiments')
    return {task: tiny.write_experiment(folder, task, clips=2, length=5)
            for task in ('rfcn', 'dff_rfcn')}


def settings_of(path, *settings):
    cfg = detection_defaults()
    update_from_file(cfg, str(path))
    update_from_settings(cfg, settings)
    return cfg


def run_test(path, task, *settings, **options):
    cfg = settings_of(path, *settings)
    return testing.test_net(tiny.fresh_task(task), cfg, str(path), **options)


def read(path):
    with open(str(path), encoding='utf-8') as stream:
        return stream.read()


def evaluated(monkeypatch, tmp_path, *words):
    """What tools/evaluate_vid.py finds, run in this process."""
    words = ['evaluate_vid.py', '--json', tmp_path / 'out.json', *words]
    monkeypatch.setattr(evaluate_vid.sys, 'argv', [str(word) for word in words])
    evaluate_vid.main()
    return json.loads(read(tmp_path / 'out.json'))


@pytest.mark.parametrize('task', ['rfcn', 'dff_rfcn'])
def test_a_test_with_seq_nms(experiments, task, monkeypatch, tmp_path):
    path = experiments[task]
    plain = run_test(path, task)
    saved = run_test(path, task, 'TEST.SAVE_RAW=true')
    assert saved['detections'] == plain['detections'], 'saving changes no result'
    folder = os.path.dirname(saved['detections'])
    before = read(saved['detections'])
    files = sorted(os.listdir(os.path.join(folder, 'clips')))
    assert [name for name in files if name.endswith('.npy')] == [
        '000001_toy_val_000.raw.npy', '000006_toy_val_001.raw.npy']
    assert run_test(path, task, ignore_cache=True)['AP'] == plain['AP']
    assert read(plain['detections']) == before
    run_test(path, task, 'TEST.SAVE_RAW=true')
    for rescore in ('avg', 'max'):
        found = run_test(path, task, 'TEST.SEQ_NMS=true', 'TEST.SEQ_NMS_RESCORE=' + rescore)
        suffix = {'avg': '_seqnms', 'max': '_seqnms_max'}[rescore]
        assert os.path.dirname(found['detections']) == folder + suffix
        assert read(found['detections']) != before
        assert found['ms']['post'] > 0 and found['frames'] == 10
        again = evaluated(monkeypatch, tmp_path, '--cfg', path, '--detections', folder, '--seq-nms',
                          '--rescore', rescore)
        assert again['ap'] == found['AP']
    again = evaluated(monkeypatch, tmp_path, '--cfg', path, '--detections', folder)
    assert again['ap'] == plain['AP']


def test_saving_runs_again_where_nothing_was_saved(experiments, capsys):
    path, task = experiments['rfcn'], 'rfcn'
    results = run_test(path, task, 'TEST.SAVE_RAW=true', ignore_cache=True)
    folder = os.path.dirname(results['detections'])
    raw = os.path.join(folder, 'clips', '000001_toy_val_000.raw.npy')
    before = os.stat(raw).st_mtime_ns
    # Detections made anew without the boxes: the old file of boxes may be of other parameters.
    run_test(path, task, ignore_cache=True)
    run_test(path, task, 'TEST.SAVE_RAW=true')
    assert os.stat(raw).st_mtime_ns > before
    capsys.readouterr()
    run_test(path, task, 'TEST.SAVE_RAW=true')
    assert '2 of 2 clips are finished and kept' in capsys.readouterr().out


def test_pictures_show_the_new_scores(experiments):
    results = run_test(experiments['dff_rfcn'], 'dff_rfcn', 'TEST.SEQ_NMS=true', vis=True)
    folder = os.path.join(os.path.dirname(results['detections']), 'vis')
    pictures = [name for _, _, names in os.walk(folder) for name in names]
    assert len(pictures) == 10 and all(name.endswith('.jpg') for name in pictures)


def test_seq_nms_of_detections_after_nms(experiments, monkeypatch, tmp_path, capsys):
    path = experiments['dff_rfcn']
    results = run_test(path, 'dff_rfcn', ignore_cache=True)
    folder = os.path.dirname(results['detections'])
    remedy = ("its detections are those after NMS, the boxes before it are gone; test again with "
              "--set TEST.SAVE_RAW=true and give the test's folder")
    empty = tmp_path / 'empty'
    (empty / 'clips').mkdir(parents=True)
    broken = tmp_path / 'broken'
    (broken / 'clips').mkdir(parents=True)
    (broken / 'clips' / '000001_x.json').write_text('{"clip": ["x", -1, 5, "y"], "raw": true}')
    for words, message in (
            (['--detections', results['detections'], '--seq-nms'],
             '%s is a detections file: %s' % (results['detections'], remedy)),
            (['--detections', folder, '--seq-nms'], '%s: %s' % (folder, remedy)),
            (['--detections', folder], '%s: %s' % (folder, remedy)),
            (['--detections', tmp_path / 'none', '--seq-nms'],
             '%s is not there: ' % (tmp_path / 'none')),
            (['--detections', empty, '--seq-nms'],
             '%s holds no finished clips of a test run' % empty),
            (['--detections', broken, '--seq-nms'], '000001_x.json is no record of a clip'),
            (['--detections', folder, '--rescore', 'max'], '--rescore goes with --seq-nms')):
        with pytest.raises(SystemExit) as end:
            evaluate_vid.run(
                lambda words=words: evaluated(monkeypatch, tmp_path, '--cfg', path, *words))
        assert end.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize('batch', [False, True])
def test_demo(experiments, tmp_path, batch):
    path, task = experiments['dff_rfcn'], 'dff_rfcn'
    results = run_test(path, task, 'TEST.SEQ_NMS=true', ignore_cache=True)
    frames = path.parent / 'toy_vid' / 'Data' / 'VID' / 'val' / 'toy_val_000'
    tiny.run_demo_here(task, '--cfg', path, '--model', tiny.prefix(path.parent, task), '--epoch', 1,
                       '--input', frames, '--output', tmp_path / 'out', '--seq-nms',
                       '--json', tmp_path / 'out.json', '--thresh', 0.05, batch=batch)
    assert len(os.listdir(str(tmp_path / 'out'))) == 5
    found = json.loads(read(tmp_path / 'out.json'))
    lines = read(results['detections']).splitlines()
    lines = np.array([line.split() for line in lines], np.float64)
    for index, frame in enumerate(found['frames']):
        expected = lines[(lines[:, 0] == index + 1) & (lines[:, 2] > 0.0502)]
        scores = [box['score'] for box in frame['detections'] if box['score'] > 0.0502]
        assert scores == pytest.approx(expected[:, 2].tolist(), abs=2e-4) and scores


def test_flags_of_testing(experiments):
    task = tiny.fresh_task('rfcn')
    args = parser_of_tests(task, '').parse_args(['--cfg', str(experiments['rfcn']), '--seq-nms'])
    apply_arguments(task.config, task.update_config, args)
    assert task.config.TEST.SEQ_NMS is True


def test_bad_setting(experiments):
    with pytest.raises(ConfigError, match="TEST.SEQ_NMS_RESCORE must be avg or max, found 'mean'"):
        settings_of(experiments['rfcn'], 'TEST.SEQ_NMS_RESCORE=mean')


@pytest.mark.parametrize('setting', ['TEST.SEQ_NMS=true', 'TEST.SAVE_RAW=true'])
def test_tracks_are_not_of_the_whole_clip(experiments, setting):
    message = ("TEST.TRACK follows the detections of each frame, which TEST.SEQ_NMS and TEST.SAVE_RAW "
               "choose at the clip's end: set one of them")
    with pytest.raises(ConfigError, match=message):
        run_test(experiments['dff_rfcn'], 'dff_rfcn', 'TEST.TRACK=true', setting)
    with pytest.raises(ConfigError, match='--set: ' + message):
        settings_of(experiments['dff_rfcn'], 'TEST.TRACK=true', setting)
    task = tiny.fresh_task('dff_rfcn')
    words = ['--cfg', str(experiments['dff_rfcn']), '--track', '--set', setting]
    with pytest.raises(ConfigError, match=message):
        apply_arguments(task.config, task.update_config, parser_of_tests(task, '').parse_args(words))
    cfg = settings_of(experiments['dff_rfcn'], setting)
    cfg.TEST.TRACK = True       # by a program
    with pytest.raises(ConfigError, match=message):
        testing.test_net(tiny.fresh_task('dff_rfcn'), cfg, str(experiments['dff_rfcn']))
