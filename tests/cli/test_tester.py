"""Testing on clips: which are kept, what is written, what an interruption leaves."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dff.errors import CheckpointError
from lib.config.config import update_from_file
from lib.config.defaults import detection_defaults
from lib.engine.checkpoint import save_checkpoint
from lib.inference import testing
from lib.inference.detector import load_test_params
from lib.inference.clip_results import ClipResults
from tests.helpers import tiny


@pytest.fixture
def experiment(tmp_path):
    return tiny.write_experiment(tmp_path, 'dff_rfcn')


def run_test(path, task='dff_rfcn', settings=None, **options):
    cfg = detection_defaults()
    update_from_file(cfg, str(path))
    for name, value in (settings or {}).items():
        section, key = name.split('.')
        cfg[section][key] = value
    return testing.test_net(tiny.fresh_task(task), cfg, str(path), **options)


def read_lines(path):
    with open(path) as stream:
        return stream.read().splitlines()


def age(results):
    """Modification times of the clips' files."""
    folder = os.path.join(os.path.dirname(results['detections']), 'clips')
    return {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in sorted(os.listdir(folder))
            if name.endswith('.txt')}


def test_both_sides_have_results_of_their_own(experiment):
    results = {policy: run_test(experiment, settings={'TEST.KEY_FRAME_POLICY': policy})
               for policy in ('middle', 'both')}
    for policy, found in results.items():
        assert os.path.basename(os.path.dirname(found['detections'])).endswith('_interval3_' + policy)
    assert results['middle']['key_frames'] == results['both']['key_frames']
    lines = [read_lines(found['detections']) for found in results.values()]
    assert lines[0] != lines[1] and len(lines[1]) > 0


def test_another_data_set_has_results_of_its_own(experiment, tmp_path):
    """Also one whose folder has the same name: nothing of the first is read, replaced or removed."""
    first = run_test(experiment)
    written, times = read_lines(first['detections']), age(first)
    others = []
    for place in 'a', 'b':
        folder = tmp_path / place / 'toy_vid'
        shutil.copytree(tmp_path / 'toy_vid', folder)
        others.append(run_test(experiment, settings={'dataset.dataset_path': str(folder)})['detections'])
        assert re.search(r'/tiny-0001_interval3_toy_vid-[0-9a-f]{6}/detections.txt$', others[-1])
    assert len({first['detections'], *others}) == 3 and read_lines(others[0]) == written
    assert read_lines(first['detections']) == written and age(run_test(experiment)) == times
    # Another way to write the same folder is no other data set.
    same = str(tmp_path / 'a' / '..' / 'toy_vid')
    assert run_test(experiment, settings={'dataset.dataset_path': same})['detections'] == first['detections']


def test_settings_that_the_parameters_depend_on(experiment):
    record = experiment.parent / 'output' / 'tiny_dff_rfcn' / 'VID_train_15frames' / 'tiny-0001.json'
    record.write_text(json.dumps({'settings': {'network.FLOW_INPUT_SCALE': 0.25}}))
    with pytest.raises(CheckpointError, match='tiny-0001.params was trained with network.FLOW_INPUT_SCALE 0.25, and '
                                              'the settings say 0.5: set what it was trained with'):
        run_test(experiment)
    assert run_test(experiment, settings={'network.FLOW_INPUT_SCALE': 0.25})['frames'] == 15


def test_embeddings_are_missing(experiment):
    with pytest.raises(CheckpointError, match='tiny-0001.params lacks the embeddings that TEST.AGGREGATE: recursive'):
        run_test(experiment, settings={'TEST.AGGREGATE': 'recursive', 'network.EMBED_DIM': 16})


def test_detections_and_results(experiment, capsys):
    results = run_test(experiment)
    lines = read_lines(results['detections'])
    pattern = re.compile(r'\d+ [1-5] [01]\.\d{4}( \d+\.\d\d){4}')
    assert lines and all(pattern.fullmatch(line) for line in lines)
    numbers = [int(line.split()[0]) for line in lines]
    assert numbers == sorted(numbers) and set(numbers) == set(range(1, 16))
    assert (results['frames'], results['key_frames'], results['interval']) == (15, 6, 3)
    assert set(results['ms']) == {'reading', 'key', 'current', 'post', 'frame'} and results['ms']['frame'] > 0
    with open(os.path.join(os.path.dirname(results['detections']), 'results.json')) as stream:
        assert json.load(stream) == results
    printed = capsys.readouterr().out
    # Few clips: AP of each is said without being asked for.
    clips = results['clips']
    assert len(clips) > 1 and all('Mean AP@0.5 of %s = ' % name in printed for name in clips)
    assert re.search(r'AP for ball = [01]\.\d{4}', printed) and 'Mean AP@0.5 = %.4f' % results['mAP'] in printed
    assert re.search(r'ms a frame: reading \d+\.\d, key network \d+\.\d, current network \d+\.\d, post-processing '
                     r'\d+\.\d', printed)
    assert 'other frames' in printed and 'fps' in printed


def test_the_interval_flag_has_its_own_results(experiment):
    every = run_test(experiment, interval=1)
    assert every['key_frames'] == 15 and every['ms']['current'] is None
    assert every['detections'] != run_test(experiment)['detections']


@pytest.mark.parametrize('image_set', ['VID_val_videos', 'VID_val_frames'])
def test_the_baseline_takes_both_kinds_of_lists(tmp_path, image_set):
    path = tiny.write_experiment(tmp_path, 'rfcn', clips=2, length=3)
    results = run_test(path, 'rfcn', {'dataset.test_image_set': image_set})
    assert (results['frames'], results['key_frames'], results['interval']) == (6, 6, 1)
    assert {int(line.split()[0]) for line in read_lines(results['detections'])} == set(range(1, 7))


def test_finished_clips_are_kept(experiment, capsys):
    first = run_test(experiment)
    before = age(first)
    capsys.readouterr()
    second = run_test(experiment)
    assert age(second) == before and second == first
    kept = '3 of 3 clips are finished and kept: an earlier test had the same parameters (sha256 '
    assert kept in capsys.readouterr().out
    assert all(new > old for new, old in zip(age(run_test(experiment, ignore_cache=True)).values(), before.values()))


def test_only_what_is_missing_runs(experiment):
    before = age(run_test(experiment))
    folder = os.path.dirname(run_test(experiment)['detections'])
    name = sorted(before)[1]
    os.remove(os.path.join(folder, 'clips', name))
    whole = read_lines(os.path.join(folder, 'detections.txt'))
    after = age(run_test(experiment))
    assert [key for key in before if after[key] != before[key]] == [name]
    assert read_lines(os.path.join(folder, 'detections.txt')) == whole


def test_summaries_of_other_settings_do_not_stay_beside_new_ones(tmp_path):
    """A run that is stopped leaves nothing that its made_with.json does not describe."""
    results = tmp_path / 'results.json'
    ClipResults(str(tmp_path), {'interval': 5}, print, False).begin()
    results.write_text('{}')
    ClipResults(str(tmp_path), {'interval': 5}, print, False).begin()
    assert results.exists()
    ClipResults(str(tmp_path), {'interval': 10}, print, False).begin()
    assert not results.exists()


def test_changed_parameters_run_again(experiment, tmp_path, capsys):
    before = run_test(experiment)
    old = read_lines(before['detections'])
    tiny.save_params(tiny.prefix(tmp_path, 'dff_rfcn'), tiny.tiny_config('dff_rfcn', dataset__NUM_CLASSES=6), seed=1)
    capsys.readouterr()
    after = run_test(experiment)
    assert 'were made with other settings (parameters): all clips run again' in capsys.readouterr().out
    assert read_lines(after['detections']) != old


def test_changed_settings_run_again(experiment, capsys):
    before = age(run_test(experiment))
    for change, name in (({'settings': {'TEST.NMS': 0.6}}, 'TEST.NMS'), ({'thresh': 0.1}, 'TEST.NMS, thresh')):
        capsys.readouterr()
        results = run_test(experiment, **change)
        assert 'made with other settings (%s)' % name in capsys.readouterr().out
        assert all(new > before[key] for key, new in age(results).items())


def test_vis_writes_images_also_of_finished_clips(experiment):
    run_test(experiment)
    results = run_test(experiment, vis=True)
    folder = os.path.join(os.path.dirname(results['detections']), 'vis')
    images = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
    assert len(images) == 15 and all(name.endswith('.jpg') for name in images)


def test_devices_share_the_clips(experiment):
    cfg = detection_defaults()
    update_from_file(cfg, str(experiment))
    one = run_test(experiment)
    expected = read_lines(one['detections'])
    cfg.gpus = 'cpu,cpu'
    two = testing.test_net(tiny.fresh_task('dff_rfcn'), cfg, str(experiment), ignore_cache=True)
    assert two['mAP'] == pytest.approx(one['mAP'], abs=1e-3)
    assert len(read_lines(two['detections'])) == len(expected)


def test_missing_parameters(experiment, tmp_path):
    message = (r'no parameters of epoch 7 \(TEST.test_epoch\) at .*tiny-0007.params; '
               r'set TEST.test_epoch to one that is there \(1\)')
    with pytest.raises(CheckpointError, match=message):
        run_test(experiment, settings={'TEST.test_epoch': 7})
    os.remove(tiny.prefix(tmp_path, 'dff_rfcn') + '-0001.params')
    message = 'train first: python experiments/dff_rfcn/dff_rfcn_end2end_train_test.py --cfg .*tiny_dff_rfcn.yaml'
    with pytest.raises(CheckpointError, match=message):
        run_test(experiment)


def test_box_regression_for_testing_takes_the_place_of_the_plain_one(tmp_path):
    cfg, lines = tiny.tiny_config('rfcn'), []
    plain, aux_params = tiny.tiny_params(cfg)
    tiny.save_params(str(tmp_path / 'trained'), cfg)
    found, _ = load_test_params(str(tmp_path / 'trained'), 1, lines.append)
    assert lines == [] and not [name for name in found if name.endswith('_test')]
    ratio = (found['rfcn_bbox_weight'] / plain['rfcn_bbox_weight']).asnumpy().reshape(8, -1)
    np.testing.assert_allclose(ratio[4:], np.broadcast_to(np.array([[0.1], [0.1], [0.2], [0.2]]), ratio[4:].shape),
                               rtol=1e-5)
    # Parameters without it are used as they are, not without a word.
    save_checkpoint(str(tmp_path / 'plain'), 0, plain, aux_params)
    found, _ = load_test_params(str(tmp_path / 'plain'), 0, lines.append)
    np.testing.assert_array_equal(found['rfcn_bbox_weight'].asnumpy(), plain['rfcn_bbox_weight'].asnumpy())
    assert len(lines) == 1 and 'plain-0000.params holds no rfcn_bbox_weight_test' in lines[0]


@pytest.mark.slow
def test_ctrl_c_leaves_whole_files(tmp_path, root):
    path = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=12, length=8)
    process = subprocess.Popen([sys.executable, str(root / 'experiments' / 'dff_rfcn' / 'dff_rfcn_test.py'),
                                '--cfg', str(path)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                               # A process in the background of a script ignores Ctrl-C, and so would this one.
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    folder = tmp_path / 'output' / 'tiny_dff_rfcn' / 'VID_val_videos' / 'tiny-0001_interval3' / 'clips'
    deadline = time.time() + 120
    while time.time() < deadline and process.poll() is None and not list(folder.glob('*.json')):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and 'stopped by Ctrl-C' in errors and 'Traceback' not in errors
    finished = list(folder.glob('*.json'))
    assert 0 < len(finished) < 12
    assert not [name for name in os.listdir(str(folder)) if '.tmp' in name]
    for record in finished:
        first = json.loads(record.read_text())['clip'][1]
        numbers = {int(line.split()[0]) for line in read_lines(str(record.with_suffix('.txt')))}
        assert numbers == set(range(first, first + 8))
    before = {name: os.stat(str(name)).st_mtime_ns for name in finished}
    status, printed, errors = tiny.run_script('experiments/dff_rfcn/dff_rfcn_test.py', '--cfg', path)
    assert status == 0, errors
    assert '%d of 12 clips are finished and kept' % len(finished) in printed
    assert {name: os.stat(str(name)).st_mtime_ns for name in finished} == before
