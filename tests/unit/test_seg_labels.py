"""Label maps: what may stand in a file, what is said about what may not, pictures of them,
and the conversion of colours."""
import numpy as np
import pytest
from dff.labels import default_palette
from PIL import Image

from dff.errors import DataError
from dff.labels import colour_image, draw_legend, overlay
from lib.dataset.formats.label_png import write_label_png
from lib.dataset.formats.seg_labels import id_table, read_label
from lib.dataset.registry import get_dataset
from tests.helpers.seg_tools import HEIGHT, WIDTH, frame, label, seg_config
from tests.helpers.tiny import run_here
from tools import labels_to_ids

IDS = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 3
IDS = np.where(IDS == 2, 255, IDS).astype(np.uint8)
PALETTE = np.array([[10, 20, 30], [200, 100, 0]], np.uint8)


@pytest.fixture
def record(tmp_path):
    """(data set of the two classes a and b, record of its one still)."""
    (tmp_path / 'classes.txt').write_text('a 10 20 30\nb 200 100 0\n')
    frame(tmp_path / 'train' / 'x.jpg')
    label(tmp_path / 'trainannot' / 'x.png', IDS)
    data = get_dataset(seg_config('SegFolder', tmp_path, 2), 'train')
    return data, data.segdb()[0]


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
def test_one_channel_of_any_depth(tmp_path, kind):
    Image.fromarray(IDS.astype(kind)).save(tmp_path / 'x.png')
    ids = read_label(str(tmp_path / 'x.png'), id_table(2))
    assert ids.dtype == np.uint8
    np.testing.assert_array_equal(ids, IDS)


def test_one_bit(tmp_path):
    Image.fromarray(IDS == 1).save(tmp_path / 'x.png')
    np.testing.assert_array_equal(read_label(str(tmp_path / 'x.png'), id_table(2)), IDS == 1)


def saved(mode):
    def change(path):
        Image.open(path).convert(mode).save(path)
    return change


def values(row, column, value, dtype=np.uint8):
    def change(path):
        ids = IDS.astype(dtype)
        ids[row:, column] = value
        Image.fromarray(ids).save(path)
    return change


def cut(path):
    data = open(path, 'rb').read()
    open(path, 'wb').write(data[:len(data) - 40])


@pytest.mark.parametrize('change, message', [
    (saved('P'),
     r'label \S+x.png has a palette; expected one channel of class ids; `python tools/labels_to_ids.py IN OUT` writes '
     r'a '),
    (saved('RGB'),
     r'\S+x.png holds RGB colours; expected one channel of class ids; .* --classes FILE, the class of each colour'),
    (saved('RGBA'), r'x.png holds RGB colours'),
    (saved('LA'), r'x.png has transparency'),
    (values(10, 7, 2),
     r'x.png holds ids that are no class: 2 \(2 pixels; the first in row 10, column 7\). Expected 0 to 1, or 255 for '
                       r'pixels to ignore; correct the file, or the class list and dataset.NUM_CLASSES'),
    (values(11, 0, 254), r'ids that are no class: 254 \(1 pixels'),
    (values(11, 0, 300, np.uint16), r'ids that are no class: 300 \(1 pixels'),
    (lambda path: label(path, [np.arange(16)]), r'no class: 2, 3, 4, 5, 6, 7, 8, 9, \.\.\. \('),
    (lambda path: label(path, width=WIDTH - 1),
     r'label \S+x.png is 19 pixels wide and 12 high, but its frame \S+x.jpg is 20 x 12; both'),
    (cut, r'cannot read label \S+x.png: not a whole PNG file; replace it'),
    (lambda path: open(path, 'w').close(), r'cannot read label \S+x.png: not a whole PNG file'),
    (lambda path: Image.open(path).save(path, format='BMP'), r'cannot read label \S+x.png: not a whole PNG file'),
])
def test_what_is_no_label_map_is_named(record, change, message):
    data, still = record
    change(still.label)
    with pytest.raises(DataError, match=message):
        data.read_label(still)


def test_files_that_go_away(record, tmp_path):
    data, still = record
    (tmp_path / 'train' / 'x.jpg').write_text('no picture')
    with pytest.raises(DataError, match=r'cannot read image \S+x.jpg: not a JPEG or PNG file'):
        data.read_label(still)
    (tmp_path / 'train' / 'x.jpg').unlink()
    with pytest.raises(DataError, match=r'cannot read image \S+x.jpg: No such file'):
        data.read_label(still)
    np.testing.assert_array_equal(data.read_label(still.label), IDS)      # a path has no frame to compare with
    (tmp_path / 'trainannot' / 'x.png').unlink()
    with pytest.raises(DataError, match=r'label \S+x.png does not exist'):
        data.read_label(still)


def test_default_palette():
    palette = default_palette(254)
    assert palette[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert palette[20].tolist() == [0, 64, 128] and len(np.unique(palette, axis=0)) == 254


def test_palette_png_shows_colours_and_keeps_ids(tmp_path):
    path = tmp_path / 'new' / 'x.png'
    write_label_png(str(path), IDS, PALETTE)
    image = Image.open(path)
    np.testing.assert_array_equal(np.asarray(image), IDS)
    expected = np.where((IDS == 255)[..., None], 0, PALETTE[np.where(IDS == 255, 0, IDS)])
    np.testing.assert_array_equal(np.asarray(image.convert('RGB')), expected)
    np.testing.assert_array_equal(colour_image(IDS, PALETTE)[..., ::-1], expected)
    assert [file.name for file in path.parent.iterdir()] == ['x.png']


def test_overlay():
    picture = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    palette = np.array([[0, 0, 0], [200, 100, 0]], np.uint8)
    drawn = overlay(picture, IDS, palette, 0.25)
    assert drawn.dtype == np.uint8 and (picture == 100).all()
    assert (drawn[IDS != 1] == 100).all()                       # black classes, and pixels to ignore, stay as they are
    assert (drawn[IDS == 1] == [75, 100, 125]).all()            # blue, green, red
    before = drawn.copy()
    draw_legend(drawn, ['a', 'b'], palette, [1])
    assert (drawn != before).any() and (drawn[3, 3] == [0, 100, 200]).all()


def convert(*words):
    return run_here(labels_to_ids.main, *words)


def test_conversion(tmp_path):
    known = np.where(IDS == 255, 0, IDS)
    write_label_png(str(tmp_path / 'in' / 'clip' / 'p.png'), known, PALETTE)
    done = convert(tmp_path / 'in', tmp_path / 'ids')
    assert (done.returncode, done.stdout, done.stderr) == (0, '1 label maps are in %s\n' % (tmp_path / 'ids'), '')
    np.testing.assert_array_equal(read_label(str(tmp_path / 'ids' / 'clip' / 'p.png'), id_table(2)), known)
    (tmp_path / 'classes.txt').write_text('a 10 20 30\nb 200 100 0\n')
    Image.fromarray(colour_image(IDS, PALETTE)[..., ::-1]).save(tmp_path / 'in' / 'rgb.PNG')       # 255 is black there
    done = convert(tmp_path / 'in', tmp_path / 'rgb', '--classes', tmp_path / 'classes.txt')
    assert done.returncode == 2
    assert 'rgb.PNG, row 0, column 2: the colour 0 0 0 is of no class; add it to the class file' in done.stderr
    done = convert(tmp_path / 'in', tmp_path / 'rgb', '--classes', tmp_path / 'classes.txt', '--ignore')
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(read_label(str(tmp_path / 'rgb' / 'rgb.png'), id_table(2)), IDS)
    np.testing.assert_array_equal(read_label(str(tmp_path / 'rgb' / 'clip' / 'p.png'), id_table(2)), known)


def test_conversion_of_what_needs_none(tmp_path):
    label(tmp_path / 'in' / 'x.png', IDS)
    done = convert(tmp_path / 'in', tmp_path / 'out')
    assert done.returncode == 2
    assert 'has no palette (mode L); for colours give --classes FILE; a file of one' in done.stderr
    done = convert(tmp_path / 'in', tmp_path / 'in')
    assert done.returncode == 2
    assert done.stderr == 'error: %s would be overwritten; give another folder for the result\n' % done.args[1]
    done = convert(tmp_path / 'none', tmp_path / 'out')
    assert done.returncode == 2 and done.stderr == 'error: the folder %s does not exist\n' % (tmp_path / 'none')
    (tmp_path / 'classes.txt').write_text('a 1 2 3\nb 1 2 3\n')
    done = convert(tmp_path / 'in', tmp_path / 'out', '--classes', tmp_path / 'classes.txt')
    assert done.returncode == 2 and "classes.txt: 'a' and 'b' have the same colour, 1 2 3" in done.stderr
