"""Pixels and labels that belong together, and those that do not."""
import json
import unicodedata

import cv2
import numpy as np
import pytest

from dff.errors import DataError
from dff.image import read_image
from lib.dataset.importers.library import Files
from lib.dataset.importers.media import IMAGE_SUFFIXES, Images, Video
from lib.dataset.importers.model import Report
from lib.dataset.importers.numbering import Counted, origins
from tests.helpers.import_tools import image, run_import, video


def write(path, text):
    """Write a text file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')
    return path


def coco(path, names, height=40, width=60, **more):
    """Write a COCO file of images with one box (10, 5, 29, 34) each, at the size that it states."""
    images = [{
        'id': i,
        'file_name': name,
        'height': height,
        'width': width
    } for i, name in enumerate(names)]
    boxes = [
        dict({
            'id': i,
            'image_id': i,
            'category_id': 1,
            'bbox': [10, 5, 20, 30]
        }, **more) for i in range(len(names))
    ]
    categories = [{'id': 1, 'name': 'cat'}]
    return write(path, json.dumps(dict(images=images, annotations=boxes, categories=categories)))


def cvat(path, source, width=96, height=64, subset=''):
    """Write the XML of a video of 5 frames with a box in each."""
    boxes = ''.join('<box frame="%d" outside="0" xtl="10" ytl="20" xbr="30" ybr="40"/>' % i
                    for i in range(5))
    return write(
        path,
        '<annotations><meta><task><size>5</size><labels><label><name>cat</name></label></labels>%s'
        '<original_size><width>%d</width><height>%d</height></original_size></task>'
        '<source>%s</source></meta>'
        '<track id="1" label="cat">%s</track></annotations>'
        % (subset, width, height, source, boxes))


# ---- resolution


@pytest.mark.parametrize('size, expected', [((80, 120), ('cat', 4.5, 2, 14.5, 17)),
                                            ((20, 30), ('cat', 20, 10, 59, 39)),
                                            ((40, 60), ('cat', 10, 5, 29, 34))])
def test_labels_of_another_size_are_scaled(tmp_path, size, expected):
    image(tmp_path / 'src/a.jpg')
    file = coco(tmp_path / 'src/x.json', ['a.jpg'], *size)
    data = run_import('coco', file, tmp_path / 'out', val=0)
    (found,) = data.boxes('DET_train_all')['train/a']
    assert found[0] == 'cat' and found[1:] == pytest.approx(expected[1:], abs=0.51)
    assert data.said('labelled at another size') == (size != (40, 60))


@pytest.mark.parametrize('size, turned', [((4000, 60), False), ((60, 40), True), ((44, 60), False)])
def test_labels_of_another_picture_are_an_error(tmp_path, size, turned):
    for name in ('a', 'b'):
        image(tmp_path / ('src/%s.jpg' % name))
    file = coco(tmp_path / 'src/x.json', ['a.jpg', 'b.jpg'], *size)
    with pytest.raises(DataError, match='2 images: their size is not the one that') as error:
        run_import('coco', file, tmp_path / 'out', val=0)
    assert 'x.json, b.jpg: %dx%d instead of 60x40' % size[::-1] in str(error.value)
    assert ('turned by 90 degrees' in str(error.value)) == turned
    assert not (tmp_path / 'out').exists()


def test_a_video_of_another_shape_is_an_error(tmp_path):
    video(tmp_path / 'src/walk.mp4', 5)
    cvat(tmp_path / 'src/walk.xml', 'walk.mp4', 96, 96)
    with pytest.raises(DataError, match='walk.xml, frame 0: 96x96 instead of 96x64'):
        run_import('cvat', tmp_path / 'src', tmp_path / 'out', val=0)


# ---- names

NAME = 'café münchen'


@pytest.mark.parametrize('listed', [
    NAME + '.jpg',
    unicodedata.normalize('NFD', NAME) + '.jpg', 'caf%C3%A9%20m%C3%BCnchen.jpg', 'CAFÉ München.JPG',
    'D:\\data\\Images\\%s.jpg' % NAME,
    '/data/upload/1/%s.jpg' % NAME,
    '../Images/%s.jpg' % NAME
])
def test_names_as_other_machines_write_them(tmp_path, listed):
    image(tmp_path / 'src/Images' / (NAME + '.jpg'))
    coco(tmp_path / 'src/annotations/x.json', [listed])
    data = run_import('coco', tmp_path / 'src', tmp_path / 'out', val=0)
    assert list(data.boxes('DET_train_all').values()) == [[('cat', 10, 5, 29, 34)]]


def test_yolo_in_folders_of_other_case_and_accents(tmp_path):
    image(tmp_path / 'src/Images/train' / (unicodedata.normalize('NFD', NAME) + '.jpg'))
    write(tmp_path / 'src/Labels/train' / (NAME + '.txt'), '0 0.5 0.5 0.5 0.5\n')
    write(tmp_path / 'src/classes.txt', 'cat\n')
    data = run_import('yolo', tmp_path / 'src', tmp_path / 'out', val=0)
    assert list(data.boxes('DET_train_all').values()) == [[('cat', 15, 10, 44, 29)]]


def test_nothing_outside_the_data_set_is_read(tmp_path):
    secret = image(tmp_path / 'secret.jpg')
    for name in (str(secret), '../secret.jpg'):
        with pytest.raises(DataError, match='none of the 1 images that it lists is there'):
            run_import('coco', coco(tmp_path / 'src/x.json', [name]), tmp_path / 'out', val=0)
    cvat(tmp_path / 'src/walk.xml', str(video(tmp_path / 'outside/run.mp4', 5)))
    with pytest.raises(DataError, match='found no frames') as error:
        run_import('cvat', tmp_path / 'src', tmp_path / 'out', val=0)
    assert 'looked for walk and %s' % (tmp_path / 'outside/run.mp4') in str(error.value)


def test_folders_must_not_contradict(tmp_path):
    for path in ('images/clip_a/0.jpg', 'images/clip_b/1.jpg', 'png_c/2.png', '3.jpg', 'x/4.jpg',
                 'y/4.jpg'):
        image(tmp_path / path)
    files = Files([str(tmp_path)], IMAGE_SUFFIXES)
    expected = {'labels/clip_a/0': 'images/clip_a/0.jpg', 'labels/clip_b/0': None,
                'xml_c/2': 'png_c/2.png', 'any/3': '3.jpg', '3.png': None}
    for name, path in expected.items():
        assert files.find(name, 'x') == (str(tmp_path / path) if path else None), name
    assert files.find('x/4', 'x').endswith('x/4.jpg')
    with pytest.raises(DataError,
                       match="a.json: the file name '4' fits several files: .*x/4.jpg, .*y/4.jpg"):
        files.find('4', 'a.json')


def test_a_folder_of_frames_inside_the_data_set(tmp_path):
    image(tmp_path / 'src/images/a.jpg')
    write(tmp_path / 'src/xml/a.xml', '<annotation><object><name>cat</name><bndbox><xmin>1</xmin>'
          '<ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>')
    frames = str(tmp_path / 'src/../src/images')
    data = run_import('voc', tmp_path / 'src', tmp_path / 'out', val=0, frames=frames)
    assert list(data.boxes('DET_train_all').values()) == [[('cat', 0, 0, 8, 8)]]


def test_one_image_is_of_one_annotation(tmp_path):
    image(tmp_path / 'src/0.jpg')
    for clip in 'ab':
        write(tmp_path / 'src/xml' / clip / '0.xml', '<annotation/>')
    with pytest.raises(DataError, match='0.jpg is annotated twice, as a/0 and as b/0'):
        run_import('voc', tmp_path / 'src', tmp_path / 'out', val=0)


def test_one_label_file_and_one_video_of_different_names(tmp_path):
    video(tmp_path / 'src/holiday.mp4', 5)
    cvat(tmp_path / 'src/walk.xml', 'other.mp4')
    data = run_import('cvat', tmp_path / 'src', tmp_path / 'one', val=0)
    assert len(data.boxes('VID_train_15frames')) == 5
    assert data.said('assumed:    %s belongs to %s, the only video' % (tmp_path / 'src/walk.xml',
                                                                     tmp_path / 'src/holiday.mp4'))
    video(tmp_path / 'src/work.mp4', 5)
    with pytest.raises(DataError, match=r'walk.xml, looked for walk and other.mp4'):
        run_import('cvat', tmp_path / 'src', tmp_path / 'two', val=0)
    write(tmp_path / 'mot/labels/a.txt', '1,1,11,6,20,30,1,1,1\n')
    video(tmp_path / 'mot/videos/b.flv.mp4', 3)
    assert run_import('mot', tmp_path / 'mot', tmp_path / 'three', val=0).said('a.txt belongs to')


def test_labels_and_videos_in_folders_of_their_own(tmp_path):
    for name in ('a', 'b'):
        write(tmp_path / 'src/gt' / (name + '.txt'), '1,1,11,6,20,30,1,boat,1\n')
        video(tmp_path / 'src/videos' / (name + '.mp4'), 3)
    write(tmp_path / 'src/train.txt', 'a\n')
    write(tmp_path / 'src/val.txt', 'b\n')
    data = run_import('mot', tmp_path / 'src', tmp_path / 'out')
    assert data.boxes('VID_train_15frames') == {'train/a/000000': [('boat', 10, 5, 29, 34)]}
    assert data.clips() == [('val/b', 3)] and data.classes == ['boat']


# ---- counting

@pytest.mark.parametrize('labels, usual, expected', [
    ([{0, 3}], 1, [0]), ([{1, 5}], 0, [1]), ([{1, 4}], 0, [0]), ([{1, 4}], 1, [1]),
    ([{1, 5}, {2, 3}], 0, [1, 1]), ([{0, 3}, {2, 3}], 1, [0, 0]),
    ([{0, 3}, {1, 5}, {2}], 1, [0, 1, 1]), ([set()], 0, [0]), ([{1, 9}], 1, [1])])
def test_what_labels_show(tmp_path, labels, usual, expected):
    media, report = Video(str(video(tmp_path / 'a.mp4', 5))), Report()
    clips = [Counted('clip', each, media) for each in labels]
    assert origins(clips, None, usual, report) == expected
    assert bool(report.lines()) == any(labels)
    assert origins(clips, 7, usual, Report()) == [7] * len(labels)


@pytest.mark.parametrize('first, labels, usual, expected', [
    (1, {1, 2}, 1, 0), (1, {0, 2}, 1, -1), (0, {1, 3}, 1, 1), (0, {0, 1}, 1, 0), (5, {5, 7}, 1, 0),
    (0, {1, 2}, 0, 0)])
def test_what_labels_of_image_files_show(first, labels, usual, expected):
    media = Images(['%06d.jpg' % i for i in range(first, first + 3)])
    assert origins([Counted('clip', labels, media)], None, usual, Report()) == [expected]


# ---- pictures

def grey_levels(path):
    """The mean of each quarter of the width of an image."""
    return [read_image(str(path))[:, i * 15:(i + 1) * 15].mean() for i in range(4)]


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('colour', [False, True])
@pytest.mark.parametrize('bits', [10, 16])
def test_pictures_of_more_than_8_bits(tmp_path, suffix, colour, bits):
    steps = np.repeat(np.array([0, 0.25, 0.5, 1]) * (2 ** bits - 1), 15)
    pixels = np.tile(steps, (40, 1)).astype(np.uint16)
    path = tmp_path / 'src/images' / ('a' + suffix)
    path.parent.mkdir(parents=True)
    cv2.imencode(suffix, np.dstack([pixels] * 3) if colour else pixels)[1].tofile(str(path))
    write(tmp_path / 'src/labels/a.txt', '0 0.5 0.5 0.5 0.5\n')
    write(tmp_path / 'src/classes.txt', 'cat\n')
    data = run_import('yolo', tmp_path / 'src', tmp_path / 'out', val=0)
    levels = grey_levels(data.path / 'Data/DET/train/a.JPEG')
    assert levels == pytest.approx([0, 64, 128, 255], abs=4)


@pytest.mark.parametrize('suffix', ['.bmp', '.webp', '.tif', '.TIFF'])
def test_more_kinds_of_images(tmp_path, suffix):
    path = tmp_path / 'src/images' / ('a' + suffix)
    path.parent.mkdir(parents=True)
    cv2.imencode(suffix.lower(), np.full((40, 60, 3), 90, np.uint8))[1].tofile(str(path))
    coco(tmp_path / 'src/x.json', ['a' + suffix])
    data = run_import('coco', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [('cat', 10, 5, 29, 34)]}
    assert grey_levels(data.path / 'Data/DET/train/a.JPEG') == pytest.approx([90] * 4, abs=2)


@pytest.mark.parametrize('suffix, code', [('.flv', 'FLV1'), ('.3gp', 'mp4v'), ('.mts', 'MPEG')])
def test_more_kinds_of_videos(tmp_path, suffix, code):
    (tmp_path / 'src').mkdir()
    writer = cv2.VideoWriter(str(tmp_path / 'src' / ('walk' + suffix)),
                             cv2.VideoWriter_fourcc(*code), 25, (96, 64))
    if not writer.isOpened():
        pytest.skip('this OpenCV writes no %s' % suffix)
    for i in range(5):
        writer.write(np.full((64, 96, 3), 20 * i, np.uint8))
    writer.release()
    cvat(tmp_path / 'src/walk.xml', 'walk' + suffix)
    data = run_import('cvat', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.boxes('VID_train_15frames')['train/walk/000004'] == [('cat', 10, 20, 29, 39)]


def test_a_rate_below_one_frame_a_second(tmp_path):
    (tmp_path / 'src').mkdir()
    writer = cv2.VideoWriter(str(tmp_path / 'src/walk.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 0.25,
                             (96, 64))
    for _ in range(5):
        writer.write(np.zeros((64, 96, 3), np.uint8))
    writer.release()
    cvat(tmp_path / 'src/walk.xml', 'walk.avi')
    data = run_import('cvat', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.said('frames a second: 0.25 (1 clips)')
