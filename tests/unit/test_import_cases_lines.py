"""Lines of text files that look alike and mean different things: YOLO and MOT; and what an import
says.
"""
import pytest

from dff.errors import DataError
from dff.image import read_image
from tests.helpers.import_tools import image, run_import, video
from tests.unit.test_import_cases_pairing import coco, write

BOX = ('cat', 24, 14, 35, 25)          # 0.5 0.5 0.2 0.3 of 60x40


def yolo(tmp_path, *texts, **yaml):
    """Import stills with the text files `texts`; returns the Imported."""
    write(tmp_path / 'src/data.yaml',
          ''.join('%s: %s\n' % item for item in dict(names='[cat]', **yaml).items()))
    for i, text in enumerate(texts):
        image(tmp_path / ('src/images/%d.jpg' % i))
        write(tmp_path / ('src/labels/%d.txt' % i), text)
    return run_import('yolo', tmp_path / 'src', tmp_path / 'out', val=0)


@pytest.mark.parametrize('lines, tracks', [
    (['0 0.5 0.5 0.2 0.3'], []), (['0 0.5 0.5 0.2 0.3 7'], [7]), (['0 0.5 0.5 0.2 0.3 0.93'], []),
    (['0 0.5 0.5 0.2 0.3 0.93', '0 0.5 0.5 0.2 0.3 1'], []), (['0 0.5 0.5 0.2 0.3 0.9 3'], [3]),
    (['0 0.5 0.5 0.2 0.3 0.9 1'], [1])])
def test_boxes_with_confidence_and_track(tmp_path, lines, tracks):
    data = yolo(tmp_path, *lines)
    assert set(map(tuple, data.boxes('DET_train_all').values())) == {(BOX,)}
    assert [data.xml('DET/train/0').count('<trackid>%d</trackid>' % track)
            for track in tracks] == [1] * len(tracks)
    assert data.said('tracks:     %d' % len(tracks))


@pytest.mark.parametrize('points, shape', [
    (' 0.1 0.2 2 0.3 0.9 1 0 0 0', '[3, 3]'), (' 0.1 0.2 0.3 0.9', '[2, 2]'),
    (' 0.1 0.2 2 0.3 0.9 1 0 0 0', None), (' 0.1 0.2 2 0.3 0.9 1 0 0 0 0.91 4', '[3, 3]')])
def test_boxes_with_key_points(tmp_path, points, shape):
    data = yolo(tmp_path, '0 0.5 0.5 0.2 0.3' + points, **({'kpt_shape': shape} if shape else {}))
    assert data.boxes('DET_train_all') == {'train/0': [BOX]}


ORIENTED = '0 0.4 0.5 0.5 0.35 0.6 0.5 0.5 0.65'


@pytest.mark.parametrize('lines, said', [
    ([ORIENTED], 'oriented boxes became'),
    ([ORIENTED + ' 0.88', ORIENTED + ' 0.7'], 'oriented boxes became'),
    ([ORIENTED, '0 0.4 0.35 0.6 0.35 0.6 0.65 0.5 0.6 0.4 0.6'], 'outlines became'),
    (['0 0.4 0.35 0.6 0.35 0.6 0.65'], 'outlines became'),
    (['0 0.4 0.35 0.6 0.35 0.4 0.65', '0 0 0.5 0.5 0.2 1 1', ORIENTED], 'outlines became')])
def test_outlines_and_oriented_boxes(tmp_path, lines, said):
    data = yolo(tmp_path, *lines)
    assert data.boxes('DET_train_all')['train/0'] == [BOX]
    assert data.said('changed:    %d %s' % (len(lines), said))


def test_what_is_no_outline(tmp_path):
    lines = ['0 0.5 0.5 0.2 0.3', '0 0.4 0.35 0.6 0.35 0.6 1.5', '0 0.4 0.35 0.6 0.35 0.6 -0.5',
             '0 100 60 40 50', '0 0.1 0.2']
    data = yolo(tmp_path, '\n'.join(lines))
    assert data.boxes('DET_train_all') == {'train/0': [BOX]}
    assert data.said('2 boxes: the line is no outline')
    assert data.said('1 boxes: coordinates above 1: these are pixels')
    assert data.said('1 boxes: the line is not `class x_centre')


def mot(tmp_path, text, **options):
    """Import a sequence of 3 frames with the list `text`; returns {frame: boxes} and the
    Imported.
    """
    for i in range(1, 4):
        image(tmp_path / ('src/seq/img1/%06d.jpg' % i))
    write(tmp_path / 'src/seq/gt/gt.txt', text)
    data = run_import('mot', tmp_path / 'src', tmp_path / 'out', val=0, **options)
    return {int(path[-1]): boxes for path, boxes in data.boxes('VID_train_15frames').items()}, data


@pytest.mark.parametrize('columns, name, corner, occluded', [
    ('1', 'pedestrian', 10, 0), ('1,3,0.2', 'car', 10, 1), ('1,3,0.8', 'car', 10, 0),
    ('1,3,-1', 'car', 10, 0), ('1,-1,-1,-1', 'pedestrian', 10, 0),
    ('1,4.3,5.1,0', 'pedestrian', 10, 0), ('1,4,0,2', 'car', 11, 1), ('1,4,0,1', 'car', 11, 0),
    ('1,drone,1', 'drone', 10, 0)])
def test_lists_told_by_their_columns(tmp_path, columns, name, corner, occluded):
    boxes, data = mot(tmp_path, '1,5,11,6,20,30,%s\n2,5,11,6,20,30,%s\n' % (columns, columns))
    assert boxes == {i: [(name, corner, corner - 5, corner + 19, corner + 24)] for i in (0, 1)}
    xml = data.xml('VID/train/seq/000001')
    assert '<occluded>%d</occluded>' % occluded in xml and '<trackid>5</trackid>' in xml


def test_what_seqinfo_says(tmp_path):
    """The rate, and the size of the frames that were labelled."""
    write(tmp_path / 'src/seq/seqinfo.ini',
          '[Sequence]\nframeRate=14\nimWidth = 120\nimHeight = 80\n')
    boxes, data = mot(tmp_path, '1,5,21,11,40,60,1,1,1\n')
    assert boxes == {0: [('pedestrian', 10, 5, 29, 34)]}
    assert data.said('frames a second: 14 (1 clips)')
    assert data.said('gt.txt, frame 1: from 120x80 to 60x40')


def test_regions_to_ignore_of_visdrone(tmp_path):
    boxes, data = mot(tmp_path, '1,0,1,1,9,9,0,0,0,0\n1,1,11,6,20,30,1,11,1,0\n')
    assert boxes == {0: [('others', 11, 6, 30, 35)]}
    assert data.said('1 boxes: marked as not to be considered')


def test_the_first_frame_can_be_stated(tmp_path):
    boxes, _ = mot(tmp_path, '1,5,11,6,20,30\n', first_frame=0)
    assert list(boxes) == [1]


@pytest.mark.parametrize('attributes, track', [
    (dict(attributes=dict(track_id=7, occluded=True)), 7),
    (dict(instance_id=3, attributes=dict(track_id=7)), 3), (dict(track_id=4), 4),
    (dict(attributes=[]), None)])
def test_tracks_of_coco(tmp_path, attributes, track):
    image(tmp_path / 'src/walk_0.jpg')
    coco(tmp_path / 'src/x.json', ['walk_0.jpg'], **attributes)
    data = run_import('coco', tmp_path / 'src', tmp_path / 'out', clips=True, val=0)
    xml = data.xml('VID/train/walk/000000')
    assert ('<trackid>%s</trackid>' % track in xml) == (track is not None)
    assert '<occluded>%d</occluded>' % ('occluded' in str(attributes)) in xml


# ---- what an import says

def test_the_end_of_an_import(tmp_path):
    for name, length in (('a', 20), ('b', 5)):
        video(tmp_path / 'src' / (name + '.mp4'), length)
        write(tmp_path / 'src' / (name + '.txt'),
              ''.join('%d,1,11,6,20,30,1,1,1\n' % i for i in range(1, length + 1)))
    data = run_import('mot', tmp_path / 'src', tmp_path / 'out', val_clips=['b'])
    for line in ('training:   clips 1, frames 20, labelled 20, boxes 20',
                 'validation: clips 1, frames 5, labelled 5',
                 'classes:    pedestrian (boxes 20 + 5)', 'tracks:     2',
                 'size:       96x64 (25 frames); frames a second: 10 (2 clips)',
                 'parts:      as --val_clips',
                 'training names 15 of 20 labelled frames; --per_clip 0 names all with a box',
                 'look at:    %s' % (data.path / 'contact_sheet.png')):
        assert data.said(line), line
    whole = run_import('mot', tmp_path / 'src', tmp_path / 'all', val_clips=['b'], per_clip=0)
    assert whole.said('training names 20 of 20 labelled frames')


def test_the_contact_sheet(tmp_path):
    """Six frames of grey, boxes in the colour of their class where they are."""
    for i in range(10):
        image(tmp_path / ('src/%d.jpg' % i), 320, 480, grey=100)
    coco(tmp_path / 'src/x.json', ['%d.jpg' % i for i in range(10)], 320, 480)
    data = run_import('coco', tmp_path / 'src', tmp_path / 'out', val=0)
    sheet = read_image(str(data.path / 'contact_sheet.png'))
    assert sheet.shape == (2 * 342, 3 * 480, 3)
    for row in range(2):
        for column in range(3):
            tile = sheet[row * 342:row * 342 + 320, column * 480:(column + 1) * 480].astype(int)
            coloured = abs(tile - 100).max(axis=2) > 60
            assert coloured[5:35, 10].all() and coloured[5:35,
                                                         29].all() and not coloured[45:, 60:].any()


def test_nothing_to_train_on_is_an_error(tmp_path):
    for name in ('a', 'b'):
        video(tmp_path / 'src' / (name + '.mp4'), 3)
        write(tmp_path / 'src' / (name + '.txt'), '1,1,11,6,20,30,%d,1,1\n' % (name == 'b'))
    with pytest.raises(
            DataError,
            match='there is nothing to train on: none of the 3 frames for training has a box'
    ) as error:
        run_import('mot', tmp_path / 'src', tmp_path / 'out', val_clips=['b'])
    assert 'left out:   1 boxes: marked as not to be considered' in str(error.value)
    assert run_import('mot', tmp_path / 'src', tmp_path / 'out', val=1).clips() == [('val/a', 3),
                                                                                    ('val/b', 3)]


def test_classes_are_named_where_they_were_asked_for(tmp_path):
    with pytest.raises(
            DataError,
            match='no box of any class could be imported; --classes lists dog; the classes of'):
        image(tmp_path / 'src/a.jpg')
        run_import('coco',
                   coco(tmp_path / 'src/x.json', ['a.jpg']),
                   tmp_path / 'out',
                   val=0,
                   classes=['dog'])
