"""Settings suggested from the data: anchors and their recall, sizes of the input, intervals by motion, the command."""
import numpy as np
import pytest
import yaml

from dff.errors import ConfigError, DataError
from lib.boxes.anchors import all_anchors
from lib.boxes.transform import bbox_overlaps
from lib.config.config import update_from_file, update_from_settings
from lib.config.defaults import detection_defaults
from lib.dataset.suggest import report
from lib.dataset.suggest.anchors import Anchors, best_overlaps, centres, fit_anchors, input_boxes
from lib.dataset.suggest.sample import DISTANCES, Moves, Sample, read_sample
from lib.dataset.suggest.settings import (changed, epochs_for, longest_interval, motion_lines, suggest_interval,
                                          suggest_network, suggest_schedule)
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml
from tests.conftest import shared_folder
from tests.helpers.import_tools import image, run_import
from tools import suggest_settings


def random_boxes(count, height, width, seed=0):
    rng = np.random.RandomState(seed)
    corners = rng.uniform(0, 1, (count, 2, 2)) * (width - 1, height - 1)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


@pytest.mark.parametrize('anchors', [Anchors((2.0, 4.0, 8.0), (0.5, 1.0, 2.0)), Anchors((0.7, 1.5), (2.5,)),
                                     Anchors((20.0,), (1.0,))])
def test_the_best_anchor_is_the_one_that_training_finds(anchors):
    height, width = 100, 150
    boxes = random_boxes(200, height, width)
    every = all_anchors((7, 10), 16, anchors.scales, anchors.ratios)
    inside = every[(every >= 0).all(axis=1) & (every[:, 2] < width) & (every[:, 3] < height)]
    expected = bbox_overlaps(inside, boxes).max(axis=0) if len(inside) else np.zeros(len(boxes))
    found = best_overlaps(np.tile([100.0, 150.0], (200, 1)), boxes, anchors)
    assert np.allclose(found, expected) and (len(inside) > 0) == (expected > 0.3).any()


def sample_of(sides, shapes=(1.0,), frame=(480, 640), moves=None, name='VID_train_x'):
    """Boxes of these sides and shapes (height / width), everywhere in the frame, in turn."""
    rng = np.random.RandomState(0)
    boxes = []
    for i in range(400):
        side, shape = sides[i % len(sides)], shapes[i // len(sides) % len(shapes)]
        size = np.array([side / np.sqrt(shape), side * np.sqrt(shape)])
        corner = rng.uniform(0, 1, 2) * (np.array(frame[::-1]) - size - 1)
        boxes.append(np.concatenate([corner, corner + size - 1]))
    return Sample(name, 100, 0, np.tile(np.array(frame, float), (400, 1)), np.array(boxes), moves)


def small_cfg(**network):
    config = detection_defaults()
    config.SCALES = [(192, 320)]
    config.network.update(dict(dict(ANCHOR_SCALES=[2.0, 4.0, 8.0], width=0.5), **network))
    return config


def test_anchors_are_fitted_to_sizes_and_shapes():
    sample = sample_of([40, 80, 160], [2.5])
    seen = input_boxes(sample.sizes, sample.boxes, (480, 640))
    present = Anchors((8.0, 16.0, 32.0), (0.5, 1.0, 2.0))
    fitted = fit_anchors(*seen, present)
    assert fitted == Anchors((2.5, 5.0, 10.0), (2.5,)) and fitted.number == 3
    assert fit_anchors(*seen, fitted) is fitted


def test_groups_of_numbers():
    assert np.allclose(centres(np.array([1.0, 1.2, 5.0, 5.2, 9.0, 9.2]), 3), [1.1, 5.1, 9.1])
    assert centres(np.array([2.0, 2.0]), 3).tolist() == [2.0]


def test_the_input_grows_until_four_fifths_of_the_boxes_are_large_enough():
    found = {each.key: each for each in suggest_network(small_cfg(), sample_of([40, 80]))}
    # 32 px / 40 px of 480 lines
    assert found['SCALES'].value == [384, 512] and 'below 17 px as it is, then below 32 px' in found['SCALES'].reason
    assert 'about 4.0 times the pixels' in found['SCALES'].reason
    # Anchors of 32 and 64 px fit boxes of 32 and 64 px.
    assert set(changed(found.values())) == {'SCALES'}
    reason = found['network.ANCHOR_SCALES'].reason
    assert reason.startswith('recall of the best anchor with SCALES 384, 512 at IoU 0.5 and 0.7: ')
    assert '; all as now: ' in reason and 'those now' not in reason


@pytest.mark.parametrize('sides, frame, scales, why', [
    ([90, 200], (480, 640), [192, 320], 'px as it is: large enough'),
    # Small ones among large: the frames' own size is the most.
    ([20, 200, 200], (480, 640), [480, 640], ', as the frames show no more; about'),
    ([20], (480, 640), [768, 1024], 'then below 31 px; about'),
    ([5], (480, 640), [864, 1152], ', as a megapixel is the most for an input; about'),
    ([5], (120, 120), [240, 240], ', as the frames show no more; about'),           # twice as large
    ([5], (96, 96), [192, 320], 'px as it is, but the frames show no more')])
def test_sizes_of_the_input(sides, frame, scales, why):
    found = suggest_network(small_cfg(), sample_of(sides, frame=frame))[0]
    assert (found.key, found.value) == ('SCALES', scales) and why in found.reason


def test_few_boxes_say_nothing():
    sample = sample_of([40])
    assert suggest_network(small_cfg(), sample._replace(sizes=sample.sizes[:49], boxes=sample.boxes[:49])) == []


def test_settings_that_fit_stay():
    cfg = small_cfg(ANCHOR_SCALES=[2.5, 5.0], ANCHOR_RATIOS=[1.0], NUM_ANCHORS=2)
    cfg.SCALES = [(480, 640)]
    assert changed(suggest_network(cfg, sample_of([40, 80]))) == {}


def moves(speed):
    """Moves of objects of which three quarters move less than `speed` sides a frame."""
    distances = np.repeat(DISTANCES, 4)
    shifts, overlaps = (np.tile(values, len(DISTANCES)) for values in ([0, 1, 1, 5], [1, 0.5, 0.2, 0]))
    return Moves(np.full(len(distances), 'train/a'), distances, shifts * speed * distances, overlaps)


@pytest.mark.parametrize('speed, interval', [(0.01, 10), (0.05, 6), (0.125, 3), (0.3, 1), (2.0, 1)])
def test_intervals_by_motion(speed, interval):
    # The third quartile of 0, 1, 1, 5 is 2.
    assert longest_interval(moves(speed)) == interval
    cfg = small_cfg()
    found = changed(suggest_interval(cfg, sample_of([40], moves=moves(speed))))
    assert found == ({} if interval == 10 else
                     {'TEST.KEY_FRAME_INTERVAL': interval, 'TRAIN.MIN_OFFSET': -max(1, interval - 1)})
    cfg.TEST.KEY_FRAME_INTERVAL, cfg.TRAIN.MIN_OFFSET = 2, -1
    assert changed(suggest_interval(cfg, sample_of([40], moves=moves(0.01)))) == {}      # shorter is no fault


def test_the_fastest_clips_are_named():
    clips = [moves(speed)._replace(clips=np.full(20, 'train/' + name)) for name, speed in (
        ('slow', 0.01), ('fast', 0.3), ('fair', 0.05))]
    lines = motion_lines(Moves(*map(np.concatenate, zip(*clips))))
    assert lines[-1] == ('intervals that suit single clips, the fastest first: 1 in train/fast, 6 in train/fair, 10 in '
                         'train/slow')
    assert 'intervals' not in ' '.join(motion_lines(moves(0.05)))


def test_unknown_motion_is_said():
    assert suggest_interval(small_cfg(), sample_of([40])) == []
    assert 'motion: not known, as no object has a track id' in motion_lines(None)[0]


def test_rates_and_epochs():
    cfg = detection_defaults()
    cfg.TRAIN.lr, cfg.TRAIN.end_epoch = 0.001, 10
    found = changed(suggest_schedule(cfg, 8000, 4))
    assert found == {'TRAIN.lr': 0.00025, 'TRAIN.end_epoch': 5, 'TRAIN.lr_step': '3.33'}
    cfg.TRAIN.end_epoch, cfg.TRAIN.lr = 6, 0.00025
    assert changed(suggest_schedule(cfg, 8000, 4)) == {}
    cfg.network.width, cfg.TRAIN.lr, cfg.TRAIN.FLIP = 0.5, 0.02, False
    assert changed(suggest_schedule(cfg, 400, 1)) == {'TRAIN.end_epoch': 10, 'TRAIN.lr_step': '6.67'}
    few = suggest_schedule(cfg, 40, 1)[1]
    assert few.value == 30 and few.reason.endswith('30 epochs at most; list more frames, as with '
                                                   'tools/make_image_sets.py --per_clip 0')
    assert [epochs_for(updates, 4000) for updates in (1, 400, 10 ** 6)] == [30, 10, 2]


class Walk(DatasetFolder):
    """A clip of 30 frames of 640 x 480, in which two objects of 20 x 50 pixels move by 2 a frame."""

    def __init__(self, path, track='<trackid>%d</trackid>', name='cat'):
        super().__init__(path)
        for i in range(30):
            objects = [object_xml(name, 100 * k + 2 * i, 50 + 100 * k, 100 * k + 2 * i + 19, 99 + 100 * k,
                                  track % k if track else '') for k in range(2)]
            self.image('VID', 'train/a/%06d' % i, annotation(
                *objects, size='<size><width>640</width><height>480</height></size>'))
        self.image_set('VID_train_x', *('train/a 1 %d 30' % i for i in range(30)))
        self.file = path / 'cfg.yaml'
        self.file.write_text(yaml.safe_dump({
            'symbol': 'resnet_v1_flownet_rfcn', 'SCALES': [192, 320], 'network': {'width': 0.5, 'depth': 18},
            'dataset': {'dataset_path': str(path), 'root_path': str(path / 'cache'), 'NUM_CLASSES': 2,
                        'CLASSES': ['cat'], 'image_set': 'VID_train_x'}}), encoding='utf-8')

    def settings(self):
        cfg = detection_defaults()
        update_from_file(cfg, str(self.file))
        return cfg


def test_motion_is_read_from_the_annotations(tmp_path):
    sample = read_sample(Walk(tmp_path).settings())
    assert (sample.frames, len(sample.boxes), sample.sizes[0].tolist()) == (30, 60, [480, 640])
    for distance in DISTANCES:
        rows = sample.moves.distances == distance
        assert rows.sum() == 2 * (30 - distance)
        assert np.allclose(sample.moves.shifts[rows], 2 * distance / np.sqrt(1000))
        assert np.allclose(sample.moves.overlaps[rows], max(0, 20 - 2 * distance) / (20 + min(20, 2 * distance)))
    assert longest_interval(sample.moves) == 8        # 0.5 sides are 7.9 frames


def test_objects_without_ids_have_no_motion(tmp_path):
    sample = read_sample(Walk(tmp_path, track='').settings())
    assert sample.moves is None and len(sample.boxes) == 60


def command(monkeypatch, *words):
    monkeypatch.setattr('sys.argv', ['suggest_settings.py'] + [str(word) for word in words])
    suggest_settings.main()


def test_the_command_prints_yaml_and_writes_a_whole_file(tmp_path, monkeypatch, capsys):
    walk, out = Walk(tmp_path), tmp_path / 'fitted.yaml'
    command(monkeypatch, '--cfg', walk.file, '--set', 'TRAIN.SEED=5', '--write', out)
    printed = capsys.readouterr().out
    snippet = yaml.safe_load(printed)
    assert snippet['SCALES'] == [480, 640] and snippet['TEST'] == {'KEY_FRAME_INTERVAL': 8}
    assert snippet['network']['ANCHOR_RATIOS'] == [2.5] and snippet['TRAIN']['MIN_OFFSET'] == -7
    assert '# SCALES: [480, 640] (now [192, 320]): a fifth of the boxes has a side' in printed
    assert '# VID_train_x: 30 frames with boxes, 640x480\n' in printed and (
        '#  9 frames        42   0.57 / 0.57' in printed)
    written = yaml.safe_load(out.read_text(encoding='utf-8'))
    assert written['TRAIN'] == dict(snippet['TRAIN'], SEED=5) and written['dataset']['CLASSES'] == ['cat']
    update_from_file(detection_defaults(), str(out))
    # What was suggested is what fits.
    command(monkeypatch, '--cfg', out)
    assert yaml.safe_load(capsys.readouterr().out) is None
    with pytest.raises(ConfigError, match='--write: .*fitted.yaml exists, and is not replaced'):
        command(monkeypatch, '--cfg', walk.file, '--write', out)


def test_what_cannot_be_is_said_in_a_line(tmp_path, monkeypatch, root):
    walk = Walk(tmp_path, name='dog')
    with pytest.raises(DataError, match='VID_train_x: no frame has a box of a class of dataset.CLASSES: there is '
                                        'nothing to suggest settings from'):
        command(monkeypatch, '--cfg', walk.file)
    segmentation = root / 'experiments/dff_deeplab/cfgs/toy_seg_dff_deeplab.yaml'
    with pytest.raises(ConfigError, match='settings are suggested for detection only'):
        command(monkeypatch, '--cfg', segmentation)
    monkeypatch.setattr(report, 'read_sample', lambda cfg: sample_of([40]))
    with pytest.raises(DataError, match='cannot write .*cfg.yaml/out.yaml: '):
        command(monkeypatch, '--cfg', walk.file, '--write', walk.file / 'out.yaml')


def test_the_number_of_anchors_follows_from_scales_and_ratios():
    config = detection_defaults()
    update_from_settings(config, ['network.ANCHOR_SCALES=[2,4,8,16]'])
    assert config.network.NUM_ANCHORS == 12
    update_from_settings(config, ['network={ANCHOR_RATIOS: [1], NUM_ANCHORS: 4}'])
    assert config.network.NUM_ANCHORS == 4
    with pytest.raises(ConfigError, match='NUM_ANCHORS is 9, but ANCHOR_SCALES x ANCHOR_RATIOS make 4'):
        update_from_settings(config, ['network={ANCHOR_RATIOS: [1], NUM_ANCHORS: 9}'])


def mot_clips(folder, clips, length):
    """Clips of MOT Challenge with two objects of 40 x 120 pixels in each frame of 640 x 480."""
    for name in clips:
        lines = ['%d,%d,%d,%d,%d,%d,1,-1,-1,-1' % (t, k, 60 + 200 * k + t, 100, 40, 120)
                 for t in range(1, length + 1) for k in (1, 2)]
        (folder / name / 'gt').mkdir(parents=True)
        (folder / name / 'gt/gt.txt').write_text('\n'.join(lines), encoding='utf-8')
        for t in range(1, length + 1):
            image(folder / name / 'img1' / ('%06d.jpg' % t), 480, 640)
    return folder


def test_an_import_starts_with_fitting_settings(tmp_path):
    src = mot_clips(tmp_path / 'src', 'abc', 16)
    data = run_import('mot', src, tmp_path / 'own', small=True, val_clips=['c'])
    for task in ('rfcn', 'dff_rfcn'):
        cfg = data.config(task)
        # Their side, sqrt(40 x 120) = 69 px of 480 lines, becomes 32; 57 x 19 pixels with their last ones.
        assert cfg.SCALES == [(224, 304)] and cfg.network.ANCHOR_RATIOS == [2.9]
        assert cfg.network.ANCHOR_SCALES == [2.1] and cfg.network.NUM_ANCHORS == 1
    assert data.said('fitted:     SCALES: [224, 304] (now [192, 320]): a fifth of the boxes')
    assert not data.said('frames are few to learn from')
    plain = run_import('mot', src, tmp_path / 'plain', val_clips=['c'], per_clip=10, devices=1)
    assert plain.config().SCALES == [(600, 1000)]       # of ImageNet VID: large enough


@pytest.mark.parametrize('per_clip, length, warned', [(3, 16, True), (15, 16, False), (3, 5, False), (0, 16, False)])
def test_few_listed_frames_of_many_are_said(tmp_path, per_clip, length, warned):
    data = run_import('mot', mot_clips(tmp_path / 'src', 'abc', length), tmp_path / 'own', val_clips=['c'],
                      per_clip=per_clip)
    assert data.said('warning:    %d frames are few to learn from: import again with --per_clip 16, or 0 for all'
                     % (2 * per_clip)) == warned


@pytest.mark.slow
def test_real_pedestrians(tmp_path):
    """Two fixed cameras, whose people are small for the embedded data set's settings."""
    data = run_import('mot', shared_folder('video') / 'person', tmp_path / 'person', small=True, per_clip=0,
                      val_frames=['PETS09-S2L1:501-795', 'ADL-Rundle-6:331-525'])
    cfg = data.config('rfcn')
    sample = read_sample(cfg)
    overlaps = [best_overlaps(*input_boxes(sample.sizes, sample.boxes, scales), anchors) for scales, anchors in (
        ((192, 320), Anchors((2.0, 4.0, 8.0), (0.5, 1.0, 2.0))),
        (cfg.SCALES[0], Anchors(tuple(cfg.network.ANCHOR_SCALES), tuple(cfg.network.ANCHOR_RATIOS))))]
    assert np.mean(overlaps[0] >= 0.5) < 0.4 and np.mean(overlaps[1] >= 0.5) > 0.8
    assert cfg.SCALES == [(400, 720)] and 2 <= longest_interval(sample.moves) <= 8
