"""Real situations of public reports, each imported as it stands and compared by value.

The inputs lie beside the checkout; where they are absent the tests are skipped.
"""
import shutil

import pytest

from dff.errors import DataError
from tests.conftest import shared_folder
from tests.helpers.import_tools import run_import

CONE = ('cone', 10, 20, 59, 79)


@pytest.fixture(scope='module')
def cases():
    """The folder of the cases."""
    return shared_folder('cases')


def listed(data):
    """The boxes of the training list."""
    return data.boxes('VID_train_15frames')


def test_labels_of_a_larger_video_are_scaled(cases, tmp_path):
    data = run_import('cvat', cases / 'B-2/c1', tmp_path / 'out', val_clips=['run'])
    assert listed(data) == {'train/walk/%06d' % i: [CONE] for i in range(6)}
    assert data.boxes('VID_val_frames')['val/run/000000'] == [('cone', 20, 40, 119, 159)]
    assert data.said(
        'changed:    6 frames: labelled at another size, their boxes were scaled (walk.xml, frame '
        '0: from 640x384 to 320x192')


def test_labels_do_not_land_on_the_images_of_another_clip(cases, tmp_path):
    data = run_import('voc', cases / 'B-3/v1', tmp_path / 'one', clips=True, val=0)
    assert listed(data) == {'train/clip_a/%06d' % i: [CONE] for i in range(3)}
    assert data.said('3 images: the file is missing (clip_b/000000')
    data = run_import('voc', cases / 'B-3/v2', tmp_path / 'two', clips=True, val=0)
    assert listed(data)['train/xml_b/000000'] == [('cone', 200, 100, 259, 179)]
    for clip in 'ab':
        for i in range(3):
            link = data.path / 'Data/VID/train' / ('xml_' + clip) / ('%06d.JPEG' % i)
            own = cases / 'B-3/v2' / ('jpg_' + clip) / ('%06d.jpg' % i)
            assert link.resolve() == own.resolve()


def test_the_parts_of_roboflow(cases, tmp_path):
    data = run_import('coco', cases / 'B-4/k7', tmp_path / 'out')
    assert set(data.boxes('DET_train_all')) == {'train/train_%da' % i for i in range(6)}
    assert {name for name, _ in data.clips()} == {'val/valid_%da' % i for i in range(3)}
    assert data.said('2 images: of the test part of the source') and data.said(
        'parts:      as the data set has them')


@pytest.mark.parametrize('name, trained, validated', [
    ('y1', 'train/train_%06dx', ['val/val_000000x', 'val/val_000001x']),
    ('y3', 'train/set_a/set_a_%dx', ['val/set_b/set_b_0x', 'val/set_b/set_b_1x']),
    ('y4', 'train/a%dx', ['val/a4x', 'val/a5x'])])
def test_the_parts_of_yolo(cases, tmp_path, name, trained, validated):
    data = run_import('yolo', cases / 'B-5' / name, tmp_path / 'out')
    assert set(data.boxes('DET_train_all')) == {trained % i for i in range(4)}
    assert [clip for clip, _ in data.clips()] == validated


def test_lines_of_yolo_with_more_columns(cases, tmp_path):
    data = run_import('yolo', cases / 'B-7/y6', tmp_path / 'one', clips=True, val=0)
    boxes = [('cone', 144, 76.8, 175, 114.2), ('cone', 48, 76.8, 79, 114.2)]
    assert listed(data) == {'train/walk/%06d' % i: boxes for i in range(4)}
    assert data.said('tracks:     2')
    assert '<trackid>1</trackid>' in data.xml('VID/train/walk/000000')
    data = run_import('yolo', cases / 'B-7/y7', tmp_path / 'two', clips=True, val=0)
    assert listed(data) == {'train/walk/%06d' % i: boxes[:1] for i in range(4)}
    assert data.said('tracks:     0')


def test_mot_of_2015_and_visdrone(cases, tmp_path):
    data = run_import('mot', cases / 'B-8/mot15', tmp_path / 'one', val_clips=['train/seq2'])
    assert listed(data) == {
        'train/seq1/%06d' % i: [('pedestrian', 9 + 10 * i, 19, 38.5 + 10 * i, 68.25)]
        for i in range(5)
    }
    assert data.boxes('VID_val_frames')['val/seq2/000001'] == [('pedestrian', 19, 19, 48.5, 68.25)]
    assert '<occluded>0</occluded>' in data.xml('VID/val/seq2/000001')
    drone = run_import('mot', cases / 'B-8/x6', tmp_path / 'two', val=0)
    assert listed(drone)['train/uav1/000001'] == [('car', 20, 20, 59, 69),
                                                  ('pedestrian', 200, 100, 219, 139)]
    assert drone.classes == ['pedestrian', 'car'] and drone.said('tracks:     2')


@pytest.mark.parametrize('name', ['m0', 'm2'])
def test_mot_that_counts_from_0(cases, tmp_path, name):
    data = run_import('mot', cases / 'B-10' / name, tmp_path / 'out', val=0)
    assert listed(data) == {
        'train/seq1/%06d' % i: [('pedestrian', 9 + 10 * i, 19, 48 + 10 * i, 68)]
        for i in range(5)
    }


def test_yolo_that_counts_a_video_from_1(cases, tmp_path):
    data = run_import('yolo', cases / 'B-10/y14', tmp_path / 'out', clips=True, val=0)
    assert {path[-1]: boxes[0][1] for path, boxes in listed(data).items()} == {
        '0': 83.2, '2': 89.6, '3': 92.8, '5': 99.2}
    assert data.said('frames are counted from 1 in walk, as the last label')


@pytest.mark.parametrize('format_name, name, reason', [
    ('yolo', 'y10', '4 boxes: coordinates above 1: these are pixels'),
    ('cvat', 'x8', '6 shapes: not upright boxes (walk.xml')])
def test_why_nothing_could_be_imported(cases, tmp_path, format_name, name, reason):
    with pytest.raises(DataError) as error:
        run_import(format_name, cases / 'B-11' / name, tmp_path / 'out', val=0)
    first, *rest = str(error.value).splitlines()
    assert first == 'no box of any class could be imported; the classes of the source are cone'
    assert any(line.startswith('left out:   ' + reason) for line in rest)


def test_frames_of_roboflow(cases, tmp_path):
    for clips in (True, False):
        with pytest.raises(DataError,
                           match='frames of walk[12].* are both for training and for validation'):
            run_import('yolo', cases / 'B-12/y5', tmp_path / 'none', clips=clips)
    data = run_import('yolo', cases / 'B-12/y5', tmp_path / 'out', clips=True, val_clips=['walk2'])
    numbers = [
        int((data.path / ('Data/VID/train/walk1/%06d.JPEG' % i)).resolve().name[10:14])
        for i in range(4)
    ]
    assert numbers == [1, 3, 5, 7] and data.clips() == [('val/walk2', 4)]


def test_bitmaps(cases, tmp_path):
    data = run_import('yolo', cases / 'B-14/in', tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {
        'train/p%d' % i: [('cone', 30, 12, 49, 35)]
        for i in range(3)
    }


def test_tasks_of_cvat_stay_apart(cases, tmp_path):
    src, out = cases / 'B-16/c3', tmp_path / 'out'
    data = run_import('cvat-images', src, out, clips=True, val_clips=['run'])
    assert listed(data) == {'train/walk/%06d' % i: [CONE] for i in range(6)}
    assert data.clips() == [('val/run', 6)]
    assert data.boxes('VID_val_frames')['val/run/000005'] != [CONE]


@pytest.mark.parametrize('format_name, name', [('cvat', 'c9'), ('coco', 'k1'), ('coco', 'k3')])
def test_paths_of_other_machines(cases, tmp_path, format_name, name):
    data = run_import(format_name, cases / 'B-17' / name, tmp_path / 'out', val=0)
    if format_name == 'coco':
        assert data.boxes('DET_train_all') == {'train/p%d' % i: [CONE] for i in range(4)}
    else:
        assert listed(data) == {'train/walk/%06d' % i: [CONE] for i in range(6)}


def test_tracks_of_cvat(cases, tmp_path):
    data = run_import('yolo', cases / 'B-20/x7', tmp_path / 'one', clips=True, val=0)
    assert data.said('tracks:     2')
    assert data.xml('VID/train/train/000003').count('<trackid>2</trackid>') == 1
    data = run_import('coco', cases / 'B-20/k9', tmp_path / 'two', clips=True, val=0)
    assert data.said('tracks:     1') and '<trackid>7</trackid>' in data.xml('VID/train/k9/000001')


@pytest.mark.slow
def test_pedestrians_of_fixed_cameras(tmp_path):
    """Videos and lists as they lie there, one command: as many boxes as lines, split by
    stretches.
    """
    src = shared_folder('video') / 'person'
    stretches = ['PETS09-S2L1:501-795', 'ADL-Rundle-6:401-525']
    data = run_import('mot', src, tmp_path / 'out', val_frames=stretches)
    rows = {name: [line.split(',') for line in (src / (name + '.txt')).read_text().split()]
            for name in ('PETS09-S2L1', 'ADL-Rundle-6')}
    first = {'PETS09-S2L1': 501, 'ADL-Rundle-6': 401}
    validated = data.boxes('VID_val_frames')
    assert data.clips() == [('val/ADL-Rundle-6', 125), ('val/PETS09-S2L1', 295)]
    for name, lines in rows.items():
        for at in (first[name], first[name] + 37):
            expected = [tuple(map(float, row[2:6])) for row in lines if int(row[0]) == at]
            found = validated['val/%s/%06d' % (name, at - first[name])]
            assert [box[1:3] for box in found] == [
                pytest.approx((max(x - 1, 0), max(y - 1, 0)), abs=0.01) for x, y, _, _ in expected
            ]
    total = sum(map(len, rows.values()))
    assert data.said('training:   clips 2, frames 900') and sum(map(
        len, validated.values())) == sum(
            int(row[0]) >= first[name] for name, lines in rows.items() for row in lines)
    assert data.said('pedestrian (boxes %d + ' % (total - sum(map(len, validated.values()))))


@pytest.mark.slow
def test_airspace_in_one_command(tmp_path):
    """gt/ and videos/ apart, class names in a column, train.txt and val.txt beside."""
    shared, src = shared_folder('video') / 'airspace', tmp_path / 'src'
    names = ['V_AIRPLANE_001', 'V_AIRPLANE_029', 'V_BIRD_021', 'V_DRONE_036']
    files = ['train.txt', 'val.txt', 'clips.csv'] + ['gt/%s.txt' % name for name in names]
    for file in files + ['videos/%s.mp4' % name for name in names]:
        (src / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(shared / file), str(src / file))
    data = run_import('mot', src, tmp_path / 'out', per_clip=0)
    assert data.classes == ['airplane', 'bird', 'drone']
    assert [name for name, _ in data.clips()] == ['val/V_AIRPLANE_029']
    assert data.said('training:   clips 3') and data.said('frames a second: 30 (4 clips)')
    assert data.boxes('VID_train_allframes')['train/V_DRONE_036/000001'] == [
        ('drone', 411.03, 270.93, pytest.approx(447.99, abs=0.02), pytest.approx(293.94, abs=0.02))]
