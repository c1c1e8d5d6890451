"""CVAT for video 1.1 and CVAT for images 1.1, written by their specification."""
import pytest

from dff.errors import DataError
from dff.image import read_image
from tests.helpers.import_tools import image, run_import, video

META = '''<meta><task><id>3</id><name>a task</name><size>%d</size><mode>interpolation</mode><overlap>5</overlap>
<created>2021-01-01</created>%s<labels><label><name>dog</name><attributes></attributes></label>
<label><name>person</name></label></labels>
<original_size><width>96</width><height>64</height></original_size></task>
<dumped>2021-01-02</dumped><source>%s</source></meta>'''


def box(frame, x1, y1, x2, y2, outside=0, keyframe=1, occluded=0):
    return ('<box frame="%d" outside="%d" occluded="%d" keyframe="%d" xtl="%.2f" ytl="%.2f" xbr="%.2f" ybr="%.2f" '
            'z_order="0"><attribute name="pose">a</attribute></box>'
            % (frame, outside, occluded, keyframe, x1, y1, x2, y2))


def track(identity, label, *boxes):
    return '<track id="%d" label="%s" source="manual">%s</track>' % (identity, label, ''.join(boxes))


def document(*tracks, length=5, source='walk.mp4', extra=''):
    return '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>%s%s</annotations>' % (
        META % (length, extra, source), ''.join(tracks))


@pytest.fixture
def src(tmp_path):
    """Two videos and their annotations."""
    folder = tmp_path / 'my vidéos'
    for name in ('walk', 'run 2'):
        video(folder / (name + '.mp4'), 5)
        boxes = [box(i, 10 + i, 20, 30 + i, 40, occluded=i == 2, keyframe=i == 0)
                 for i in range(4)] + [box(4, 14, 20, 34, 40, outside=1)]
        (folder / (name + '.xml')).write_text(document(track(7, 'person', *boxes),
                                                       track(8, 'dog', box(0, 50, 50, 60, 60)), source=name + '.mp4'),
                                              encoding='utf-8')
    return folder


def test_tracks_in_videos(src, tmp_path):
    data = run_import('cvat', src, tmp_path / 'out', val_clips=['run 2'])
    assert data.classes == ['dog', 'person']
    assert data.boxes('VID_train_15frames') == {
        'train/walk/000000': [('person', 10, 20, 29, 39), ('dog', 50, 50, 59, 59)],
        'train/walk/000001': [('person', 11, 20, 30, 39)], 'train/walk/000002': [('person', 12, 20, 31, 39)],
        'train/walk/000003': [('person', 13, 20, 32, 39)]}
    assert data.boxes('VID_val_frames')['val/run 2/000004'] == [] and data.clips() == [('val/run 2', 5)]
    xml = data.xml('VID/train/walk/000002')
    assert '<trackid>7</trackid>' in xml and '<occluded>1</occluded>' in xml and '<generated>0</generated>' in xml
    assert data.said('images:     10 decoded from video') and data.said('tracks:     4')


def test_frames_are_those_of_the_video(src, tmp_path):
    data = run_import('cvat', src, tmp_path / 'out')
    found = [read_image(file).mean() for file in sorted((data.path / 'Data').rglob('*.JPEG'))]
    assert found == pytest.approx([0, 20, 40, 60, 80] * 2, abs=4)


def test_boxes_between_key_frames_are_interpolated(src, tmp_path):
    (src / 'walk.xml').write_text(document(track(1, 'person', box(0, 10, 20, 30, 40), box(4, 18, 20, 38, 48)),
                                           track(2, 'dog', box(1, 50, 50, 60, 60), box(3, 50, 50, 60, 60, outside=1))))
    data = run_import('cvat', src, tmp_path / 'out', val_clips=['run 2'])
    boxes = data.boxes('VID_train_15frames')
    assert boxes['train/walk/000001'] == [('person', 12, 20, 31, 41), ('dog', 50, 50, 59, 59)]
    assert boxes['train/walk/000002'] == [('person', 14, 20, 33, 43), ('dog', 50, 50, 59, 59)]
    assert boxes['train/walk/000003'] == [('person', 16, 20, 35, 45)]
    assert '<generated>1</generated>' in data.xml('VID/train/walk/000001')
    assert '<generated>0</generated>' in data.xml('VID/train/walk/000000')


def test_boxes_move_towards_a_key_frame_that_is_outside(src, tmp_path):
    """As in CVAT: the corners of the last key frame count, though the object is not seen there."""
    (src / 'walk.xml').write_text(document(track(1, 'person', box(0, 10, 20, 30, 40),
                                                 box(4, 18, 20, 38, 40, outside=1))))
    boxes = run_import('cvat', src, tmp_path / 'out', val_clips=['run 2']).boxes('VID_train_15frames')
    assert [boxes['train/walk/00000%d' % i][0][1] for i in range(4)] == [10, 12, 14, 16]
    assert 'train/walk/000004' not in boxes


def test_boxes_between_key_frames_of_a_task_with_a_step(src, tmp_path):
    extra = '<start_frame>0</start_frame><stop_frame>4</stop_frame><frame_filter>step=2</frame_filter>'
    (src / 'walk.xml').write_text(document(track(1, 'person', box(0, 10, 20, 30, 40), box(4, 18, 20, 38, 40)), length=3,
                                           extra=extra))
    boxes = run_import('cvat', src, tmp_path / 'out', val_clips=['run 2']).boxes('VID_train_15frames')
    assert {path[-1]: found[0][1] for path, found in boxes.items()} == {'0': 10, '2': 14, '4': 18}


@pytest.mark.parametrize('names', [['%06d.jpg' % (i + 1) for i in range(3)], ['cam 7.jpg', 'cam 8.jpg', 'cam 12.jpg'],
                                   ['a.png', 'b.png', 'c.png']])
def test_images_are_the_frames_of_the_task_in_their_order(tmp_path, names):
    """A task of images: frame numbers are places, whatever numbers the names hold."""
    for clip in ('one', 'two'):
        for name in names:
            image(tmp_path / 'src' / clip / name, 64, 96)
        person = track(1, 'person', box(1, 10, 20, 30, 40), box(2, 12, 20, 32, 40))
        (tmp_path / 'src' / (clip + '.xml')).write_text(document(person, length=3))
    data = run_import('cvat', tmp_path / 'src', tmp_path / 'out', val_clips=['two'])
    assert data.boxes('VID_train_15frames') == {'train/one/000001': [('person', 10, 20, 29, 39)],
                                                'train/one/000002': [('person', 12, 20, 31, 39)]}


def test_frames_that_the_task_leaves_out_are_not_labelled(src, tmp_path):
    """A task of every second frame from 1 to 3: numbers are those of the video."""
    extra = '<start_frame>1</start_frame><stop_frame>3</stop_frame><frame_filter>step=2</frame_filter>'
    (src / 'walk.xml').write_text(document(track(1, 'person', box(1, 10, 20, 30, 40), box(3, 12, 20, 32, 40)), length=2,
                                           extra=extra))
    data = run_import('cvat', src, tmp_path / 'out', val_clips=['run 2'])
    assert list(data.boxes('VID_train_15frames')) == ['train/walk/000001', 'train/walk/000003']
    assert len(list((data.path / 'Data/VID/train/walk').iterdir())) == 5
    again = run_import('cvat', src, tmp_path / 'again', val_clips=['walk'])
    assert again.said('warning:    3 frames for validation are not labelled')
    assert len(again.boxes('VID_val_frames')) == 5


def test_the_folder_of_an_export(tmp_path):
    """annotations.xml with images/frame_000000.PNG beside it."""
    for task in ('one', 'two'):
        folder = tmp_path / 'src' / task
        folder.mkdir(parents=True)
        (folder / 'annotations.xml').write_text(document(track(1, 'person', box(1, 10, 20, 30, 40)), length=3))
        for i in range(3):
            image(folder / 'images' / ('frame_%06d.PNG' % i), 64, 96)
    data = run_import('cvat', tmp_path / 'src', tmp_path / 'out', val_clips=['two'])
    assert data.boxes('VID_train_15frames') == {'train/one/000001': [('person', 10, 20, 29, 39)]}
    assert data.said('6 converted to JPEG (quality 95)')


def test_other_shapes_are_counted(src, tmp_path):
    (src / 'walk.xml').write_text(document(track(1, 'person', box(0, 1, 2, 3, 4),
                                                 '<polygon frame="0" points="1,2;3,4"/>',
                                                 '<box frame="1" rotation="30" xtl="1" ytl="1" xbr="9" ybr="9"/>')))
    assert run_import('cvat', src, tmp_path / 'out').said('2 shapes: not upright boxes (walk.xml, track 1')


@pytest.mark.parametrize('text, expected', [
    ('<annotations><version>1.1</version><meta/><image id="0" name="a.jpg"/></annotations>',
     'export each task by itself'),
    ('<annotations><image id="0" name="a.jpg"/></annotations>', 'export the task as CVAT for video 1.1'),
    ('<annotations>%s<image id="0" name="a.jpg"/></annotations>' % META % (1, '', 'a'),
     'import it with the format cvat-images'),
    ('<annotations/>', 'expected CVAT for video 1.1'),
    ('<annotation><object/></annotation>', 'expected CVAT for video 1.1'),
    ('<annotations><meta>', 'walk.xml is not valid XML: '),
    ('<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><annotations>&z;</annotations>',
     'walk.xml is refused: entity definitions'),
])
def test_what_is_refused(src, tmp_path, text, expected):
    (src / 'walk.xml').write_text(text)
    with pytest.raises(DataError) as error:
        run_import('cvat', src, tmp_path / 'out')
    assert expected in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['my vidéos']


def test_damaged_behind_the_head(src, tmp_path):
    (src / 'walk.xml').write_text(document(track(1, 'person', box(0, 1, 2, 30, 40)))[:-30])
    with pytest.raises(DataError, match=r'walk\.xml is not valid XML'):
        run_import('cvat', src, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_a_box_in_a_far_frame_costs_nothing(src, tmp_path):
    (src / 'walk.xml').write_text(document(track(1, 'person', box(0, 10, 20, 30, 40), box(10 ** 12, 10, 20, 30, 40))))
    data = run_import('cvat', src, tmp_path / 'out', val_clips=['run 2'])
    assert len(data.boxes('VID_train_15frames')) == 5
    assert data.said('1 frames: labelled, but the clip does not have them (walk, frame 1000000000000)')


def test_videos_elsewhere(src, tmp_path):
    (tmp_path / 'xml').mkdir()
    for name in ('walk', 'run 2'):
        (src / (name + '.xml')).rename(tmp_path / 'xml' / (name + '.xml'))
    with pytest.raises(DataError, match='--frames FOLDER says where'):
        run_import('cvat', tmp_path / 'xml', tmp_path / 'out')
    assert len(run_import('cvat', tmp_path / 'xml', tmp_path / 'out', frames=str(src)).clips()) == 1


# ---- CVAT for images

def images_document(*images):
    return '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>%s%s</annotations>' % (
        META % (len(images), '', 'x'), ''.join(images))


def image_element(name, *shapes, height=40, width=60):
    return ('<image id="0" name="%s" width="%d" height="%d">%s<tag label="x"></tag></image>'
            % (name, width, height, ''.join(shapes)))


def image_box(label, x1, y1, x2, y2, more=''):
    return ('<box label="%s" source="manual" occluded="1" xtl="%s" ytl="%s" xbr="%s" ybr="%s" z_order="0"%s>'
            '<attribute name="a">1</attribute></box>' % (label, x1, y1, x2, y2, more))


def test_cvat_for_images(tmp_path):
    """Images beside the XML and in images/; other shapes, and values that cannot be."""
    for name in ('é 1/a.jpg', 'é 1/b.jpg', 'c.png'):
        image(tmp_path / 'src' / ('images' if name[0] == 'é' else '') / name)
    (tmp_path / 'src/annotations.xml').write_text(images_document(
        image_element('é 1/a.jpg', image_box('person', 10, 5, 30.5, 35), image_box('dog', 0, 0, 60, 40),
                      '<polygon label="dog" points="1,2;3,4"/>'),
        image_element('é 1/b.jpg', image_box('person', 'nan', 5, 30, 35),
                      image_box('person', 1, 1, 9, 9, ' rotation="30.0"')),
        image_element('c.png', image_box('person', 1, 1, 9, 9)),
        image_element('gone.jpg', image_box('dog', 1, 1, 9, 9))), encoding='utf-8')
    data = run_import('cvat-images', tmp_path / 'src', tmp_path / 'out', val=0)
    assert data.classes == ['dog', 'person']
    assert data.boxes('DET_train_all') == {'train/é 1/a': [('person', 10, 5, 29.5, 34), ('dog', 0, 0, 59, 39)],
                                           'train/c': [('person', 1, 1, 8, 8)]}
    assert '<occluded>1</occluded>' in data.xml('DET/train/c')
    for line in ('2 shapes: not upright boxes', '1 boxes: a coordinate is no number',
                 '1 images: the file is missing (gone)'):
        assert data.said(line), line


def test_cvat_for_images_of_the_frames_of_videos(tmp_path):
    for name in ('walk', 'run'):
        video(tmp_path / 'src' / name / (name + '.mp4'), 4)
        (tmp_path / 'src' / name / 'x.xml').write_text(images_document(
            *(image_element('%s/frame_%06d' % (name, i), image_box('dog', i, 1, 20, 20), height=64, width=96)
              for i in (0, 2))))
    data = run_import('cvat-images', tmp_path / 'src/walk/x.xml', tmp_path / 'one', clips=True, val=0)
    assert data.boxes('VID_train_15frames') == {'train/walk/00000%d' % i: [('dog', i, 1, 19, 19)] for i in (0, 2)}
    assert len(run_import('cvat-images', tmp_path / 'src', tmp_path / 'two', clips=True).clips()) == 1


@pytest.mark.parametrize('text, expected', [
    (images_document(
        image_element('../secret.jpg')), 'none of the 1 images that it lists is there'),
    (images_document(image_element('/etc/passwd')), 'none of the 1 images that it lists is there'),
    (images_document(image_element('')), 'an <image> has no name'),
    (document(track(1, 'person', box(
        0, 1, 2, 3, 4))), 'is CVAT for video 1.1: import it with the format cvat, or'),
    ('<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><annotations>&z;</annotations>',
     'is refused: entity definitions'),
    ('<annotations/>', 'expected CVAT for images 1.1'),
    ('', 'is not valid XML'),
])
def test_what_is_no_cvat_for_images(tmp_path, text, expected):
    (tmp_path / 'src').mkdir()
    (tmp_path / 'src/a.xml').write_text(text)
    with pytest.raises(DataError) as error:
        run_import('cvat-images', tmp_path / 'src', tmp_path / 'out')
    assert expected in str(error.value) and not (tmp_path / 'out').exists()
