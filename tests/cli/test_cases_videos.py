"""Videos that break off, have damaged parts or lie on their side: what is read is named, and
every frame keeps its place."""

import json

import cv2
import numpy as np
import pytest

from dff.errors import DataError
from dff.sources import FrameClock, open_frames
from lib.dataset.importers.importer import import_dataset
from lib.dataset.importers.model import Options
from tests.helpers import tiny
from tests.helpers.damage import (
    cut_video,
    hole_in,
    picture,
    turn_file,
    turn_video,
    with_orientation,
    write_video,
)


def read(path):
    """(numbers of the frames, those that their pixels show, remarks) of a video of
    `write_video`."""
    source = open_frames(path)
    frames = list(source)
    shown = [int(round(frame[-1, -1].mean() / 4)) for frame in frames]
    return [source.number(i) for i in range(len(frames))], shown, source.remarks()


def test_a_whole_video_has_no_remarks(tmp_path):
    numbers, shown, remarks = read(write_video(tmp_path / 'a.avi', 20))
    assert numbers == shown == list(range(20)) and remarks == []


def test_a_video_that_breaks_off(tmp_path):
    path = tmp_path / 'a.avi'
    write_video(path, 20)
    cut_video(path, 12)
    numbers, shown, remarks = read(path)
    assert numbers == shown == list(range(len(numbers))) and 10 <= len(numbers) <= 12
    assert remarks == [
        '%s: %d of 20 frames could be read: the file ends before its declared length, after frame '
        '%d'
        % (path, len(numbers), len(numbers) - 1)
    ]


@pytest.mark.parametrize('first, last', [(10, 14), (1, 1), (5, 18)])
def test_frames_behind_a_hole_keep_their_numbers(tmp_path, first, last):
    path = tmp_path / 'a.avi'
    write_video(path, 20)
    hole_in(path, first, last)
    numbers, shown, remarks = read(path)
    assert numbers == shown == [i for i in range(20) if not first <= i <= last]
    assert remarks == [
        '%s: %d of 20 frames could be read: there are holes before frame %d'
        % (path, len(numbers), last + 1)
    ]


def test_several_holes_and_a_cut(tmp_path):
    path = tmp_path / 'a.avi'
    write_video(path, 20)
    hole_in(path, 3, 3)
    hole_in(path, 7, 8)
    cut_video(path, 15)
    numbers, shown, (remark,) = read(path)
    assert numbers == shown and not {3, 7, 8} & set(numbers)
    assert (
        'holes before frame 4, 9; the file ends before its declared length, after frame %d'
        % numbers[-1]
        in remark
    )


@pytest.mark.parametrize(
    'fps, times, numbers, varies',
    [
        (25, [0, 40, 80, 200, 240], [0, 1, 2, 5, 6], False),
        (25, [100, 140, 180, 300], [0, 1, 2, 5], False),
        (
            30,
            [0, 33, 67, 100, 233, 267],
            [0, 1, 2, 3, 7, 8],
            False,
        ),  # a container that counts whole milliseconds
        (29.97002997, [0, 33.4, 66.7, 133.5], [0, 1, 2, 4], False),
        (240, [0, 4, 8, 13, 17, 33, 38], [0, 1, 2, 3, 4, 8, 9], False),
        (
            27.31,
            [0, 33, 66, 133, 166],
            [0, 1, 2, 3, 4],
            True,
        ),  # a mean: the camera left frames out, none is missing
        (30, [0, 33, 50, 100, 200], [0, 1, 2, 3, 4], True),
        (25, [0, 0, 0], [0, 1, 2], False),  # a reader without time stamps
    ],
)
def test_the_clock(fps, times, numbers, varies):
    clock = FrameClock(fps)
    assert [clock.tick(time) for time in times] == numbers and clock.varies == varies


def test_the_demo_numbers_frames_by_their_time_and_names_the_loss(tmp_path, capsys):
    path = tmp_path / 'a.avi'
    write_video(path, 20)
    hole_in(path, 4, 15)
    settings = tiny.write_experiment(tmp_path, 'rfcn', clips=1, length=2)
    tiny.run_demo_here(
        'rfcn',
        '--cfg',
        settings,
        '--model',
        tiny.prefix(tmp_path, 'rfcn'),
        '--epoch',
        1,
        '--input',
        path,
        '--output',
        tmp_path / 'out',
        '--json',
        tmp_path / 'out.json',
        '--gpus',
        'cpu',
    )
    frames = json.loads((tmp_path / 'out.json').read_text())['frames']
    assert [entry['frame'] for entry in frames] == [0, 1, 2, 3, 16, 17, 18, 19]
    assert frames[4]['name'] == '000016' and (tmp_path / 'out' / '000016.jpg').is_file()
    assert (
        'warning: %s: 8 of 20 frames could be read: there are holes before frame 16' % path
        in capsys.readouterr().out
    )


def labelled(folder, frames=20):
    """MOT labels of one object for a clip: in frame t it begins at x = t."""
    (folder / 'a.txt').write_text(
        ''.join('%d,1,%d,5,20,20,1,1,1\n' % (t + 1, t + 1) for t in range(frames))
    )


def imported_left(folder, clip):
    """Left edges of the boxes of an imported clip, frame by frame, beside what the frames' pixels
    show."""
    lefts, shown = [], []
    for image in sorted((folder / 'Data/VID/train' / clip).glob('*.JPEG')):
        text = (folder / 'Annotations/VID/train' / clip / (image.stem + '.xml')).read_text()
        lefts.append(int(text.partition('<xmin>')[2].partition('<')[0]))
        shown.append(int(round(cv2.imread(str(image))[-1, -1].mean() / 4)))
    return lefts, shown


def test_an_import_gives_every_frame_its_own_labels(tmp_path):
    source = tmp_path / 'src'
    source.mkdir()
    write_video(source / 'a.avi', 20)
    hole_in(source / 'a.avi', 6, 9)
    labelled(source)
    lines = import_dataset(
        'mot', str(source), str(tmp_path / 'dst'), Options(val=0.0, small=True, devices=0)
    )
    for clip, numbers in (('a', list(range(6))), ('a_from_000010', list(range(10, 20)))):
        assert imported_left(tmp_path / 'dst', clip) == (numbers, numbers)
    text = '\n'.join(lines)
    assert 'a.avi: 16 of 20 frames could be read: there are holes before frame 10' in text
    assert (
        '4 frames: labelled, but the clip does not have them (a, frame 7; a, frame 8; a, frame 9; '
        '...)'
        in text
    )
    assert 'clips 2, frames 16' in text


def test_an_import_refuses_where_nothing_says_which_frames_are_missing(tmp_path, monkeypatch):
    source = tmp_path / 'src'
    source.mkdir()
    write_video(source / 'a.avi', 20, fps=27.31)
    hole_in(source / 'a.avi', 6, 9)
    labelled(source)
    with pytest.raises(
        DataError, match='Which frames are missing cannot be told, so labels would go to others'
    ):
        import_dataset(
            'mot', str(source), str(tmp_path / 'dst'), Options(val=0.0, small=True, devices=0)
        )
    assert not (tmp_path / 'dst').exists()


def corner(image):
    """Which corner of a picture() is white, as (row, column), each 0 or -1."""
    return max(
        ((r, c) for r in (0, -1) for c in (0, -1)), key=lambda place: int(image[place].sum())
    )


def test_a_video_is_read_as_it_is_shown(tmp_path):
    path = tmp_path / 'a.mp4'
    write_video(path, 3, 'mp4v')
    turn_video(path)
    for frame in open_frames(path):
        assert frame.shape == (80, 48, 3) and corner(frame) == (0, -1)


def test_images_of_a_demo_are_read_as_they_are_shown(tmp_path):
    jpeg = cv2.imencode('.jpg', picture(3))[1].tobytes()
    for orientation, shape, where in (
        (1, (48, 80), (0, 0)),
        (3, (48, 80), (-1, -1)),
        (6, (80, 48), (0, -1)),
        (8, (80, 48), (-1, 0)),
    ):
        (tmp_path / 'a.jpg').write_bytes(with_orientation(jpeg, orientation))
        (frame,) = open_frames(tmp_path)
        assert frame.shape[:2] == shape and corner(frame) == where


@pytest.mark.parametrize('declared', ['shown', 'stored', 'none'])
def test_an_import_writes_images_upright_unless_the_labels_are_of_the_stored_ones(
    tmp_path, declared
):
    source = tmp_path / 'src'
    cv2.imencode('.jpg', picture(3))[1].tofile(str(tmp_path / 'a.jpg'))
    turn_file(tmp_path / 'a.jpg', 6)
    if declared == 'none':
        (source / 'images').mkdir(parents=True)
        (source / 'labels').mkdir()
        (source / 'classes.txt').write_text('cat\n')
        (source / 'labels' / 'a.txt').write_text('0 0.5 0.5 0.5 0.5\n')
        target, kind = source / 'images' / 'a.jpg', 'yolo'
    else:
        source.mkdir()
        width, height = (48, 80) if declared == 'shown' else (80, 48)
        (source / 'a.xml').write_text(
            '<annotation><size><width>%d</width><height>%d</height></size><object><name>cat</name>'
            '<bndbox><xmin>2</xmin><ymin>3</ymin>'
            '<xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>' % (width, height)
        )
        target, kind = source / 'a.jpg', 'voc'
    (tmp_path / 'a.jpg').rename(target)
    lines = import_dataset(
        kind, str(source), str(tmp_path / 'dst'), Options(val=0.0, small=True, devices=0)
    )
    image = cv2.imread(
        str(tmp_path / 'dst/Data/DET/train/a.JPEG'),
        cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    )
    if declared == 'stored':
        assert (
            image.shape[:2] == (48, 80)
            and corner(image) == (0, 0)
            and 'images:     1 linked' in lines
        )
    else:
        assert image.shape[:2] == (80, 48) and corner(image) == (0, -1)
        assert any('1 turned upright (EXIF orientation)' in line for line in lines)
    assert not any('their size is not' in line for line in lines)


def test_a_video_of_an_extreme_shape_is_refused(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / 'a.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 25, (1024, 4)
    )
    writer.write(np.zeros((4, 1024, 3), np.uint8))
    writer.release()
    with pytest.raises(DataError, match='a.avi is 1024 x 4 pixels, too narrow for a picture'):
        list(open_frames(tmp_path / 'a.avi'))
