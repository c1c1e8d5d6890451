"""CVAT for video 1.1, written by its specification."""
import pytest
from import_tools import image, run_import, video

from lib.utils.errors import DataError
from lib.utils.image import read_image

META = '''<meta><task><id>3</id><name>a task</name><size>%d</size><mode>interpolation</mode><overlap>5</overlap>
<created>2021-01-01</created>%s<labels><label><name>dog</name><attributes></attributes></label><label><name>person</name></label></labels>
<original_size><width>96</width><height>64</height></original_size></task><dumped>2021-01-02</dumped><source>%s</source></meta>'''


def box(frame, x1, y1, x2, y2, outside=0, keyframe=1, occluded=0):
    return ('<box frame="%d" outside="%d" occluded="%d" keyframe="%d" xtl="%.2f" ytl="%.2f" xbr="%.2f" ybr="%.2f" z_order="0">'
            '<attribute name="pose">a</attribute></box>' % (frame, outside, occluded, keyframe, x1, y1, x2, y2))


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
        boxes = [box(i, 10 + i, 20, 30 + i, 40, occluded=i == 2, keyframe=i == 0) for i in range(4)] + [box(4, 14, 20, 34, 40, outside=1)]
        (folder / (name + '.xml')).write_text(document(track(7, 'person', *boxes), track(8, 'dog', box(0, 50, 50, 60, 60)),
                                                       source=name + '.mp4'), encoding='utf-8')
    return folder


def test_tracks_in_videos(src, tmp_path):
    data = run_import('cvat', src, tmp_path / 'out', val_clips=['run 2'])
    assert data.classes == ['dog', 'person']
    assert data.boxes('VID_train_15frames') == {
        'train/walk/000000': [('person', 10, 20, 29, 39), ('dog', 50, 50, 59, 59)], 'train/walk/000001': [('person', 11, 20, 30, 39)],
        'train/walk/000002': [('person', 12, 20, 31, 39)], 'train/walk/000003': [('person', 13, 20, 32, 39)]}
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


def test_frames_that_the_task_leaves_out_are_not_labelled(src, tmp_path):
    """A task of every second frame from 1 to 3: numbers are those of the video."""
    extra = '<start_frame>1</start_frame><stop_frame>3</stop_frame><frame_filter>step=2</frame_filter>'
    (src / 'walk.xml').write_text(document(track(1, 'person', box(1, 10, 20, 30, 40), box(3, 12, 20, 32, 40)), extra=extra))
    data = run_import('cvat', src, tmp_path / 'out', val_clips=['run 2'])
    assert list(data.boxes('VID_train_15frames')) == ['train/walk/000001', 'train/walk/000003']
    assert len(list((data.path / 'Data/VID/train/walk').iterdir())) == 5
    again = run_import('cvat', src, tmp_path / 'again', val_clips=['walk'])
    assert again.said('warning:    3 frames for validation are not labelled') and len(again.boxes('VID_val_frames')) == 5


def test_the_folder_of_an_export(tmp_path):
    """annotations.xml with images/frame_000000.PNG beside it."""
    for task in ('one', 'two'):
        (tmp_path / 'src' / task).mkdir(parents=True)
        (tmp_path / 'src' / task / 'annotations.xml').write_text(document(track(1, 'person', box(1, 10, 20, 30, 40)), length=3))
        for i in range(3):
            image(tmp_path / 'src' / task / 'images' / ('frame_%06d.PNG' % i), 64, 96)
    data = run_import('cvat', tmp_path / 'src', tmp_path / 'out', val_clips=['two'])
    assert data.boxes('VID_train_15frames') == {'train/one/000001': [('person', 10, 20, 29, 39)]}
    assert data.said('6 converted to JPEG (quality 95)')


def test_other_shapes_are_counted(src, tmp_path):
    (src / 'walk.xml').write_text(document(track(1, 'person', box(0, 1, 2, 3, 4), '<polygon frame="0" points="1,2;3,4"/>',
                                                 '<box frame="1" rotation="30" xtl="1" ytl="1" xbr="9" ybr="9"/>')))
    assert run_import('cvat', src, tmp_path / 'out').said('2 shapes: not upright boxes (walk.xml, track 1')


@pytest.mark.parametrize('text, expected', [
    ('<annotations><version>1.1</version><meta/><image id="0" name="a.jpg"/></annotations>', 'export each task by itself'),
    ('<annotations><image id="0" name="a.jpg"/></annotations>', 'export the task as CVAT for video 1.1'),
    ('<annotations/>', 'expected CVAT for video 1.1'),
    ('<annotation><object/></annotation>', 'expected CVAT for video 1.1'),
    ('<annotations><meta>', 'walk.xml is not valid XML: '),
    ('<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><annotations>&z;</annotations>', 'walk.xml is refused: entity definitions'),
    (document(source='../secret.mp4'), "the file name '../secret.mp4' is refused"),
    (document(source='/etc/passwd'), "the file name '/etc/passwd' is refused"),
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
