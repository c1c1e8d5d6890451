"""Every reader fed with damaged and hostile files: only errors of ours come out.
benchmarks/fuzz.py feeds more of them."""
import struct
import zlib

import pytest

from benchmarks.fuzz import fuzz, fuzz_guided
from benchmarks.fuzz_targets import TARGETS, feed
from dff.errors import ConfigError, DataError
from dff.image import read_image
from lib.config.config import update_from_settings
from lib.config.defaults import detection_defaults
from lib.dataset.formats.image_sets import read_image_set
from lib.dataset.formats.seg_labels import id_table, read_label


@pytest.mark.parametrize('name', sorted(TARGETS))
def test_the_good_file_is_taken(name, tmp_path):
    assert feed(name, TARGETS[name].good, str(tmp_path)) or name == 'record'     # its checksums are those of no file


@pytest.mark.parametrize('name', sorted(TARGETS))
def test_damaged_files_give_errors_of_ours_alone(name, tmp_path):
    pytest.importorskip('hypothesis', reason='pip install -r requirements-fuzz.txt')
    fuzz(name, 60, str(tmp_path))


@pytest.mark.parametrize('name', ['settings', 'cvat'])
def test_files_drawn_by_what_they_reach(name, tmp_path):
    pytest.importorskip('atheris', reason='pip install -r requirements-fuzz.txt')
    fed, kept = fuzz_guided(name, 200, str(tmp_path))
    assert fed >= 200 and kept > 1


@pytest.mark.parametrize('name, line, message', [
    ('VID_val_videos', 'val/a 1 0 999999999', 'a clip has at most 1000000 frames'),
    ('VID_val_videos', '../../etc 1 0 3', 'must be inside the folder of the data set'),
    ('VID_val_frames', '/etc/passwd 1', 'must be inside the folder of the data set'),
])
def test_lists_cannot_fill_the_memory_nor_leave_the_data(tmp_path, name, line, message):
    (tmp_path / (name + '.txt')).write_text(line + '\n')
    with pytest.raises(DataError, match=message):
        read_image_set(str(tmp_path), name)


def test_a_small_file_that_claims_a_huge_image_is_refused(tmp_path):
    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))
    path = tmp_path / 'huge.png'
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 30000, 30000, 8, 0, 0, 0, 0))
                     + chunk(b'IDAT', zlib.compress(b'\0' * 1000)) + chunk(b'IEND', b''))
    for read in (read_image, lambda path: read_label(path, id_table(3))):
        with pytest.raises(DataError, match='huge.png'):
            read(str(path))


@pytest.mark.parametrize('text', ['[' * 2000, '2001-99-99'])
def test_settings_that_the_yaml_reader_stumbles_over(text):
    with pytest.raises(ConfigError, match='TRAIN.lr'):
        update_from_settings(detection_defaults(), ['TRAIN.lr=' + text])


def test_entities_are_not_expanded(tmp_path):
    good = TARGETS['xml'].good
    assert not feed('xml', b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + good.replace(b'n02691156', b'&a;'), str(tmp_path))
    assert not feed('xml', b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
                    + good.replace(b'n02691156', b'&a;'), str(tmp_path))


def test_a_png_whose_chunk_claims_more_than_the_file_holds_is_refused_at_once(tmp_path):
    good = TARGETS['png'].good
    at = good.index(b'IDAT') - 4
    # 5 MB, over which OpenCV sits for a minute
    (tmp_path / 'a.png').write_bytes(good[:at] + b'\x00\x50\x00\x00' + good[at + 4:])
    with pytest.raises(DataError, match='cannot decode image .*a.png'):
        read_image(str(tmp_path / 'a.png'))
    (tmp_path / 'a.png').write_bytes(good)
    assert read_image(str(tmp_path / 'a.png')).shape == (24, 32, 3)
