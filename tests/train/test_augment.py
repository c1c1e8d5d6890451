"""Augmentation of detection: boxes stay on their objects, pairs are changed alike, and draws repeat."""
import cv2
import numpy as np
import pytest

from dff.errors import ConfigError
from lib.config.config import update_from_settings
from lib.config.defaults import detection_defaults, flow_defaults, segmentation_defaults
from lib.dataset.formats.records import Record
from lib.train.loaders import augment
from lib.train.loaders.augment import View, draw_colours, draw_view
from lib.train.loaders.detection_loader import DetectionLoader, load_sample

HEIGHT, WIDTH, SHIFT = 120, 160, 6
BOXES = np.array([[20, 30, 59, 69], [100, 10, 129, 39], [70, 80, 149, 109]], np.float32)
COLOURS = [(200, 60, 60), (60, 200, 60), (60, 60, 200)]


@pytest.fixture
def cfg():
    config = detection_defaults()
    config.SCALES = [(120, 160)]
    config.network.ANCHOR_SCALES = [2.0, 4.0, 8.0]
    return config


@pytest.fixture
def roidb(tmp_path):
    """Eight frames of a clip in which three rectangles move by SHIFT a frame to the right, the first two labelled."""
    pattern = str(tmp_path / '%06d.png')
    for t in range(8):
        image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        for (x1, y1, x2, y2), colour in zip(BOXES.astype(int).tolist(), COLOURS):
            image[y1:y2 + 1, x1 + t * SHIFT:x2 + 1 + t * SHIFT] = colour
        cv2.imwrite(pattern % t, image)
    moved = BOXES + np.array([[SHIFT, 0, SHIFT, 0]], np.float32)
    return [Record(pattern % t, HEIGHT, WIDTH, boxes, np.array([1, 2, 3]), False, pattern, t, 8, '')
            for t, boxes in enumerate([BOXES, moved])]


def extent(tensor, rgb_plane):
    """x1 y1 x2 y2 of what is brightest in a plane of a [1, 3, H, W] input and dark in the others; None: nothing."""
    plane = tensor[0, rgb_plane] - np.delete(tensor[0], rgb_plane, axis=0).max(axis=0)
    rows, columns = np.nonzero(plane > 60)
    return np.array([columns.min(), rows.min(), columns.max(), rows.max()]) if len(rows) else None


@pytest.mark.parametrize('flipped', [False, True])
def test_boxes_stay_on_their_objects_in_both_frames_of_a_pair(cfg, roidb, flipped):
    cfg.TRAIN.update(RANDOM_CROP=0.5, ZOOM_OUT=0.5, MIN_OFFSET=-1, MAX_OFFSET=-1)
    record = roidb[1].flip() if flipped else roidb[1]
    scales, counts = [], []
    for seed in range(60):
        sample = load_sample(record, cfg, np.random.RandomState(seed), True)
        boxes, scale = sample['gt_boxes'][0], sample['im_info'][0, 2]
        assert sample['data'].shape == (1, 3, HEIGHT, WIDTH) and sample['eq_flag'] == 0
        scales.append(scale)
        counts.append(len(boxes))
        for box in boxes:
            plane = 3 - int(box[4])               # colours are BGR, tensors RGB
            found = extent(sample['data'], plane)
            assert np.abs(found - box[:4]).max() <= 2.5
            earlier = extent(sample['data_ref'], plane)
            # What is cut by a border has moved there, too; between borders it moved by the shift.
            free = [side for side in (0, 2) if 3 < min(found[side], earlier[side])
                    and max(found[side], earlier[side]) < WIDTH - 4]
            for side in free:
                moved = (found - earlier)[side] * (-1 if flipped else 1)
                assert abs(moved - SHIFT * scale) <= 0.25 * scale * SHIFT + 2
    assert min(scales) < 0.6 and max(scales) > 1.5
    assert min(counts) == 1 and max(counts) == 3


def test_a_frame_that_is_its_own_reference_stays_so(cfg, roidb):
    cfg.TRAIN.update(RANDOM_CROP=1.0, PHOTOMETRIC=True, MIN_OFFSET=0, MAX_OFFSET=0)
    sample = load_sample(roidb[1], cfg, np.random.RandomState(0), True)
    assert sample['data_ref'] is sample['data'] and sample['eq_flag'] == 1


def test_colours_of_both_frames_change_alike(cfg, roidb):
    cfg.TRAIN.update(PHOTOMETRIC=True, MIN_OFFSET=-1, MAX_OFFSET=-1)
    plain = load_sample(roidb[1], detection_defaults_like(cfg), np.random.RandomState(0), True)
    changed = 0
    for seed in range(10):
        sample = load_sample(roidb[1], cfg, np.random.RandomState(seed), True)
        assert np.array_equal(sample['gt_boxes'], plain['gt_boxes'])
        ground = [sample[name][0, :, 2, 2] for name in ('data', 'data_ref')]
        assert np.array_equal(*ground)
        changed += not np.array_equal(ground[0], plain['data'][0, :, 2, 2])
    assert changed >= 5


def detection_defaults_like(cfg):
    config = detection_defaults()
    config.SCALES = cfg.SCALES
    config.TRAIN.update(MIN_OFFSET=-1, MAX_OFFSET=-1)
    return config


def test_boxes_that_lose_most_of_their_area_are_dropped():
    view = View((50, 20, 40, 40), (80, 120), None, (0, 0, 0))
    boxes = np.array([[60, 30, 69, 39],            # inside
                      [41, 30, 58, 39],            # half of it: 9 of 18 columns
                      [40, 30, 58, 39],            # 9 of 19 columns
                      [0, 0, 49, 19],              # touches the corner from outside
                      [30, 0, 129, 99]])           # larger than the window, mostly outside
    found, kept = view.boxes(boxes)
    assert kept.tolist() == [0, 1]
    assert found.tolist() == [[30, 20, 57, 38], [0, 20, 24, 38]]


def test_a_zoomed_out_frame_lies_on_the_mean_colour():
    frame = np.full((20, 40, 3), (10, 20, 30), np.uint8)
    view = View((-20, -10, 80, 40), (20, 40), None, (103.06, 115.9, 123.15))
    image = view.image(frame)
    assert (image[5:15, 10:30] == (10, 20, 30)).all()
    image[5:15, 10:30] = (103, 116, 123)
    assert (image == (103, 116, 123)).all()
    assert view.boxes([[0, 0, 39, 19]])[0].tolist() == [[10, 5, 29.5, 14.5]]


@pytest.mark.parametrize('boxes, smaller', [([[0, 0, 39, 29]], False), ([[39, 29, 39, 29]], True),
                                            ([[0, 0, 0, 0], [1, 28, 38, 29]], True)])
def test_one_box_is_always_wholly_in_view(cfg, boxes, smaller):
    boxes, rng = np.array(boxes, np.float32), np.random.RandomState(0)
    cfg.TRAIN.update(RANDOM_CROP=0.6, ZOOM_OUT=0.2)
    views = [draw_view((30, 40), (30, 40), boxes, cfg, rng) for _ in range(500)]
    for view in views:
        x, y, width, height = view.window
        inside = (boxes >= (x, y, x, y)) & (boxes < (x + width, y + height, x + width, y + height))
        assert inside.all(axis=1).any() and len(view.boxes(boxes)[1]) >= 1
    heights = [view.window[3] for view in views]
    assert max(heights) > 55 and (min(heights) < 18) == smaller and min(heights) >= 13


def test_shares_are_those_of_the_settings(cfg):
    cfg.TRAIN.update(RANDOM_CROP=0.5, ZOOM_OUT=0.3)
    rng = np.random.RandomState(0)
    factors = [draw_view((300, 400), (300, 400), BOXES[:1], cfg, rng).factors.max() for _ in range(2000)]
    assert abs(np.mean(np.greater(factors, 1)) - 0.5) < 0.04 and abs(np.mean(np.less(factors, 1)) - 0.3) < 0.04


def colours_with(monkeypatch, **ranges):
    """The matrix that draw_colours makes where every change happens, with these and neutral values."""
    neutral = {'BRIGHTNESS': 0.0, 'CONTRAST': (1.0, 1.0), 'SATURATION': (1.0, 1.0), 'HUE': 0.0, 'CHANCE': 1.0}
    for name, value in dict(neutral, **ranges).items():
        monkeypatch.setattr(augment, name, value)
    return draw_colours(np.random.RandomState(0))


def test_colours_have_the_values_of_their_formulas(monkeypatch):
    colour = np.array([40.0, 100.0, 160.0, 1.0])            # grey 100, differences -60, 0, 60
    assert np.allclose(colours_with(monkeypatch) @ colour, colour[:3])
    assert np.allclose(colours_with(monkeypatch, SATURATION=(0.5, 0.5)) @ colour, [70, 100, 130])
    assert np.allclose(colours_with(monkeypatch, CONTRAST=(2.0, 2.0)) @ colour, [-47.5, 72.5, 192.5])
    turned = colours_with(monkeypatch, HUE=60.0) @ colour
    angle = np.degrees(np.arccos(np.dot(turned - 100, [-60, 0, 60]) / 7200))
    assert np.isclose(np.linalg.norm(turned - 100), np.sqrt(7200)) and 0 < angle < 60 and np.isclose(turned.sum(), 300)
    brighter = colours_with(monkeypatch, BRIGHTNESS=30.0) @ colour - colour[:3]
    assert np.allclose(brighter, brighter[0]) and 0 < abs(brighter[0]) < 30


def arrays(batches):
    return [array.asnumpy() for batch in batches for array in batch.data[0] + batch.label[0]]


def test_draws_depend_on_seed_and_place_alone(cfg, roidb):
    cfg.TRAIN.update(RANDOM_CROP=0.5, ZOOM_OUT=0.3, PHOTOMETRIC=True)
    cfg.SCALES = [(120, 160), (60, 80)]
    records = roidb * 5
    first = arrays(DetectionLoader(records, cfg, 1, True, workers=1))
    again = arrays(DetectionLoader(records, cfg, 1, True, workers=3))
    assert len(first) == len(again) and all(map(np.array_equal, first, again))
    resumed = DetectionLoader(records, cfg, 1, True)
    resumed.skip_to(4)
    tail = arrays(resumed)
    assert all(map(np.array_equal, first[-len(tail):], tail)) and len(tail) == len(first) * 6 // 10
    cfg.TRAIN.SEED = 1
    other = arrays(DetectionLoader(records, cfg, 1, True))
    assert not all(map(np.array_equal, first, other))


def test_a_size_is_drawn_for_each_batch(cfg, roidb):
    cfg.SCALES, cfg.TRAIN.BATCH_IMAGES = [(120, 160), (60, 80), (90, 200)], 2
    loader = DetectionLoader(roidb * 20, cfg, 1, False)
    data = [batch.data[0] for batch in loader]
    sizes = {array[0].shape[2:] for array in data}
    assert sizes == {(120, 160), (60, 80), (90, 120)}
    for images, info, boxes in data:
        assert np.allclose(info.asnumpy()[:, 2], images.shape[2] / HEIGHT)
        assert np.allclose(boxes.asnumpy()[:, 0, 3] * HEIGHT / images.shape[2], BOXES[0, 3])
    assert loader.max_shapes()[0]['data'] == (2, 3, 120, 200)


@pytest.mark.parametrize('defaults, setting, message', [
    (detection_defaults, 'TRAIN.RANDOM_CROP=1.5', 'TRAIN.RANDOM_CROP must be at least 0 and at most 1, found 1.5'),
    (detection_defaults, 'TRAIN.ZOOM_OUT=-1', 'TRAIN.ZOOM_OUT must be at least 0 and at most 1, found -1.0'),
    (detection_defaults, 'TRAIN={RANDOM_CROP: 0.7, ZOOM_OUT: 0.4}', 'TRAIN.RANDOM_CROP (0.7) and TRAIN.ZOOM_OUT (0.4) '
     'are shares of the images, more than all together'),
    (detection_defaults, 'TRAIN.PHOTOMETRIC=1', "'TRAIN.PHOTOMETRIC' must be true or false, found 1"),
    (detection_defaults, 'SCALES=[[600,1000],[480]]', "'SCALES' must be two whole numbers, shorter side and longest"),
    (detection_defaults, 'SCALES=[]', 'or a list of such pairs; found []'),
    (segmentation_defaults, 'TRAIN.RANDOM_CROP=0.5', "there is no setting 'TRAIN.RANDOM_CROP'"),
    (flow_defaults, 'TRAIN.ZOOM_OUT=0.5', "there is no setting 'TRAIN.ZOOM_OUT'"),
    (segmentation_defaults, 'SCALES=[[512,1024],[256,512]]', 'SCALES lists 2 sizes, which only detection draws from; '
     'give one, and TRAIN.RANDOM_SCALE'),
    (flow_defaults, 'SCALES=[[512,1024],[256,512]]', 'SCALES lists 2 sizes, which only detection draws from; '
     'give one')])
def test_settings_that_cannot_be_are_refused(defaults, setting, message):
    with pytest.raises(ConfigError) as error:
        update_from_settings(defaults(), [setting])
    assert message in str(error.value)


def test_several_sizes_are_read():
    config = detection_defaults()
    update_from_settings(config, ['SCALES=[[600,1000],[480,800]]'])
    assert config.SCALES == [(600, 1000), (480, 800)]
