"""Frames in their right order, streamed; errors that name the file; outputs that are whole or absent."""
import os
import threading
import time

import cv2
import numpy as np
import pytest

from dff.errors import ConfigError, DataError, SetupError
from dff.files import natural_key
from dff.image import read_image, resize, to_tensor
from dff.sources import image_frames, open_frames, read_ahead
from dff.writers import check_output, chosen_fps, open_folder, open_writer
from tests.helpers import tiny


def write_folder(folder, names):
    """PNG or JPEG frames whose first pixel tells their place in `names`."""
    folder.mkdir(exist_ok=True)
    for value, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((16, 24, 3), 20 * value, np.uint8))
    return folder


def brightness(source):
    return [int(round(frame.mean() / 20)) for frame in source]


def test_frames_are_sorted_by_number(tmp_path):
    folder = write_folder(tmp_path / 'frames', ['frame%d.png' % i for i in range(12)])
    source = open_frames(folder)
    assert source.length == 12 and brightness(source) == list(range(12))
    assert [source.name(i) for i in (0, 2, 10)] == ['frame0', 'frame2', 'frame10']
    assert brightness(source) == list(range(12)), 'a source can be read again'


def test_natural_order_of_mixed_names():
    names = ['b2', 'b10', 'a', 'B1', '3', '20', '003x', 'a1b20', 'a1b3']
    assert sorted(names, key=natural_key) == ['003x', '3', '20', 'a', 'a1b3', 'a1b20', 'B1', 'b2', 'b10']


def test_only_images_are_frames(tmp_path):
    folder = write_folder(tmp_path / 'frames', ['1.JPEG', '2.jpg', '3.PNG'])
    for name in ('notes.txt', '.1.JPEG', 'Thumbs.db'):
        (folder / name).write_bytes(b'x')
    assert brightness(open_frames(folder)) == [0, 1, 2]


def test_one_image_is_a_clip_of_one_frame(tmp_path):
    write_folder(tmp_path, ['7.png'])
    assert brightness(open_frames(tmp_path / '7.png')) == [0]


def test_missing_empty_and_unreadable_input(tmp_path):
    with pytest.raises(DataError, match='no such folder or video file: .*nothing'):
        open_frames(tmp_path / 'nothing')
    with pytest.raises(DataError, match='no frames in .*: expected files ending in .jpeg, .jpg, .png'):
        open_frames(tmp_path)
    (tmp_path / 'film.mp4').write_bytes(b'not a video')
    with pytest.raises(DataError, match='cannot decode .*film.mp4 as video'):
        open_frames(tmp_path / 'film.mp4')


@pytest.mark.parametrize('content', [b'', b'no image', None])
def test_unreadable_frame(tmp_path, content):
    folder = write_folder(tmp_path / 'frames', ['0.jpg', '1.jpg'])
    whole = (folder / '1.jpg').read_bytes()
    (folder / '1.jpg').write_bytes(whole[:len(whole) // 2] if content is None else content)
    frames = iter(open_frames(folder))
    next(frames)
    with pytest.raises(DataError, match=r'cannot decode image .*1\.jpg'):
        next(frames)


def test_missing_frame_of_a_list(tmp_path):
    with pytest.raises(DataError, match=r'cannot read image .*000003\.JPEG: No such file'):
        list(image_frames([tmp_path / '000003.JPEG']))


@pytest.mark.parametrize('name', ['clip.mp4', 'clip.AVI', 'clip.mkv', 'clip.webm'])
def test_video_there_and_back(tmp_path, name):
    path = tmp_path / 'new' / name
    with open_writer(path, 12) as write:
        for t in range(7):
            write(tiny.frame(t), '%06d' % t)
            assert not path.exists(), 'it appears when it is whole'
    source = open_frames(path)
    frames = list(source)
    assert (len(frames), source.length, source.fps) == (7, 7, 12)
    assert frames[0].shape == (64, 96, 3)
    assert np.abs(frames[5].astype(int) - tiny.frame(5)).mean() < 15
    assert os.listdir(path.parent) == [name]


@pytest.mark.parametrize('name, ending', [('out.gif', '.gif'), ('out.MOV', '.mov'), ('a/out.wmv', '.wmv'),
                                          ('out.jpg', '.jpg'), ('out.v2', '.v2'), ('out.mp4.json', '.json')])
def test_an_ending_that_is_not_written_is_named(tmp_path, name, ending):
    path = tmp_path / name
    message = ('%s: files ending in %s are not written. A name that ends in .mp4, .avi, .mkv, .webm gives a video, '
               'one without an ending a folder of JPEG files' % (path, ending))
    for attempt in (lambda: check_output(path), lambda: open_writer(path).__enter__()):
        with pytest.raises(DataError) as error:
            attempt()
        assert message in str(error.value)
    assert os.listdir(tmp_path) == []
    with open_writer('%s/' % path) as write, open_folder(str(path)) as again:
        write(tiny.frame(0), '0')
        again(tiny.frame(1), '1')
    assert sorted(os.listdir(path)) == ['0.jpg', '1.jpg']
    check_output(path)


@pytest.mark.parametrize('name', ['out', 'out/', 'run.12', '.hidden', 'out.mp4/', 'results.2024-10'])
def test_names_without_an_ending_are_folders(tmp_path, name):
    with open_writer(os.path.join(str(tmp_path), name)) as write:
        write(tiny.frame(0), '0')
    assert os.listdir(tmp_path / name.rstrip('/')) == ['0.jpg']


def test_a_folder_in_the_place_of_a_video_is_named(tmp_path):
    (tmp_path / 'out.avi').mkdir()
    with pytest.raises(DataError, match='out.avi: a video is to be written, but there is a folder of that name'):
        check_output(tmp_path / 'out.avi')


def test_frames_of_another_size_fit_into_the_video(tmp_path):
    with open_writer(tmp_path / 'clip.mp4', 10) as write:
        for frame in tiny.clip(2) + tiny.clip(2, 40, 40) + tiny.clip(2, 200, 100):
            write(frame, '')
    assert [frame.shape for frame in open_frames(tmp_path / 'clip.mp4')] == [(64, 96, 3)] * 6


def test_folder_output_keeps_names(tmp_path):
    with open_writer(tmp_path / 'out' / 'deep') as write:
        write(tiny.frame(0), 'img9')
        write(tiny.frame(1), 'img10')
    source = open_frames(tmp_path / 'out' / 'deep')
    assert [source.name(i) for i in range(2)] == ['img9', 'img10'] and len(list(source)) == 2


@pytest.mark.parametrize('name', ['clip.mp4', 'folder'])
def test_after_an_error_nothing_half_written_stays(tmp_path, name):
    with pytest.raises(RuntimeError, match='stop'):
        with open_writer(tmp_path / name) as write:
            write(tiny.frame(0), '0')
            raise RuntimeError('stop')
    left = [file for _, _, files in os.walk(str(tmp_path)) for file in files]
    assert left == ([] if name == 'clip.mp4' else ['0.jpg'])


def test_unwritable_output(tmp_path):
    (tmp_path / 'file').write_bytes(b'')
    for output in ('file/frames', 'file/clip.mp4', 'file'):
        with pytest.raises(DataError, match='cannot write .*file'):
            with open_writer(tmp_path / output) as write:
                write(tiny.frame(0), '0')


def test_no_encoder(tmp_path, monkeypatch):
    class NoVideoWriter:
        def __init__(self, *args):
            pass

        def isOpened(self):
            return False

        def release(self):
            pass
    monkeypatch.setattr(cv2, 'VideoWriter', NoVideoWriter)
    with pytest.raises(SetupError, match='cannot encode .mp4 video; pass a folder'):
        check_output(tmp_path / 'clip.mp4')
    with pytest.raises(SetupError, match='cannot encode .mp4 video; pass a folder'):
        with open_writer(tmp_path / 'clip.mp4') as write:
            write(tiny.frame(0), '0')
    assert os.listdir(str(tmp_path)) == []


def test_the_rate_of_a_video():
    assert chosen_fps(None, 7.0, 'folder') == 7.0
    assert chosen_fps(12.5, 7.0, 'a.webm') == 12.5
    for wrong in (0, -1, 1001, float('nan')):
        with pytest.raises(ConfigError, match='--fps must be above 0 and at most 1000 frames a second'):
            chosen_fps(wrong, 7.0, 'a.mp4')
    for output in ('folder', None):
        with pytest.raises(ConfigError, match='--fps is for a video: let --output name one .*webm'):
            chosen_fps(7, 7.0, output)


def test_read_ahead_keeps_order_and_bounds_memory():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i
    ahead, most = [], 0
    for value in read_ahead(items(), depth=3):
        ahead.append(value)
        most = max(most, len(made) - len(ahead))
        if value < 5:
            time.sleep(0.01)   # lets the thread run as far ahead as it may
    assert ahead == list(range(100)) and most <= 3 + 1


def test_read_ahead_passes_errors_on_in_their_place():
    def items():
        yield 1
        raise DataError('broken')
    found = []
    with pytest.raises(DataError, match='broken'):
        for item in read_ahead(items()):
            found.append(item)
    assert found == [1]


def test_closing_read_ahead_ends_its_thread_and_its_source():
    closed = []

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)
    before = threading.active_count()
    reader = read_ahead(items(), depth=2)
    next(reader)
    assert threading.active_count() == before + 1
    reader.close()
    assert threading.active_count() == before and closed == [True]


@pytest.mark.parametrize('height, width, shape, scale', [
    (720, 1280, (562, 1000), 1000 / 1280), (600, 800, (600, 800), 1.0), (480, 500, (600, 625), 1.25),
    (1280, 720, (1000, 562), 1000 / 1280)])
def test_resize_follows_shorter_and_longer_side(height, width, shape, scale):
    image, found = resize(np.zeros((height, width, 3), np.uint8), (600, 1000))
    assert image.shape[:2] == shape and found == pytest.approx(scale)


def test_padding_is_black_on_the_right_and_at_the_bottom():
    image, _ = resize(np.full((50, 70, 3), 9, np.uint8), (50, 100), stride=32)
    assert image.shape == (64, 96, 3) and (image[:50, :70] == 9).all()
    assert not image[50:].any() and not image[:, 70:].any()


def test_network_input_is_exact():
    means = [103.06, 115.90, 123.15]
    frame = np.random.RandomState(0).randint(0, 256, (13, 17, 3)).astype(np.uint8)
    expected = (frame.astype(np.float64) - means)[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    for image in (frame, frame[:, ::-1]):
        tensor = to_tensor(image, means)
        assert tensor.dtype == np.float32 and tensor.flags.c_contiguous
        np.testing.assert_array_equal(tensor, expected if image is frame else expected[:, :, :, ::-1])


def test_read_image_takes_any_name(tmp_path):
    path = tmp_path / 'größe %06d 图.png'
    cv2.imencode('.png', tiny.frame(1))[1].tofile(str(path))
    np.testing.assert_array_equal(read_image(path), tiny.frame(1))


def test_opening_an_encoder_says_nothing(tmp_path, capfd):
    """OpenCV remarks on VP8's tag, though the file is right."""
    with open_writer(tmp_path / 'clip.webm') as write:
        write(tiny.frame(0), '0')
    assert capfd.readouterr().err == ''
    assert len(list(open_frames(tmp_path / 'clip.webm'))) == 1
