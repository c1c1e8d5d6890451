"""Archives as SRC of any format, also such as mean harm."""
import io
import json
import os
import stat
import tarfile
import tempfile
import zipfile

import pytest

from dff.errors import DataError
from lib.dataset import archives
from tests.helpers.import_tools import image, run_import
from tests.unit.test_import_formats_a import SHAPES, labelme

BOX = ('cat', 10, 5, 29, 24)
MODES = {'.zip': None, '.tar': 'w', '.tar.gz': 'w:gz', '.TGZ': 'w:gz'}


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, which every test must leave empty."""
    folder = tmp_path / 'temporary'
    folder.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def pack(folder, path):
    """Make an archive, by its suffix, of the files below a folder."""
    files = sorted(file for file in folder.rglob('*') if file.is_file())
    if path.suffix == '.zip':
        with zipfile.ZipFile(path, 'w') as target:
            for file in files:
                target.write(file, file.relative_to(folder))
    else:
        with tarfile.open(path, MODES[path.name[path.name.index('.'):]]) as target:
            target.add(folder, '.')
    return path


def clip(folder):
    """Two labelled frames of a clip, as labelme has them."""
    for number in range(2):
        image(folder / ('%d.jpg' % number))
        labelme(folder / ('%d.json' % number), SHAPES[0][0])


def add(path, *entries):
    """Make a tar of (name, type, link name, content)."""
    with tarfile.open(path, 'w') as target:
        for name, kind, link, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, len(content)
            target.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize('suffix', MODES)
@pytest.mark.parametrize('folder', ['', 'walk', 'set/walk'])
def test_kinds_and_folders(tmp_path, suffix, folder):
    clip(tmp_path / 'src' / folder)
    path = pack(tmp_path / 'src', tmp_path / ('walk' + suffix))
    data = run_import('labelme', path, tmp_path / 'out', clips=True, val=0)
    assert data.boxes('VID_train_15frames') == {'train/walk/00000%d' % n: [BOX] for n in range(2)}
    assert data.said('images:     2 copied')
    assert not (data.path / 'Data/VID/train/walk/000000.JPEG').is_symlink()
    assert json.loads((data.path / 'import.json').read_text())['source'] == str(path)


def test_parts_keep_their_folders(tmp_path):
    for part in ('train', 'val'):
        clip(tmp_path / 'src/set' / part)
    data = run_import('labelme', pack(tmp_path / 'src', tmp_path / 'a.zip'), tmp_path / 'out')
    assert list(data.boxes('DET_train_all')) == ['train/0', 'train/1'] and len(data.clips()) == 2


def test_messages_name_the_archive_and_archives_inside_are_counted(tmp_path):
    clip(tmp_path / 'src')
    (tmp_path / 'src/b.tar.gz').write_bytes(b'x')
    (tmp_path / 'src/1.jpg').write_bytes(b'no image')
    path = pack(tmp_path / 'src', tmp_path / 'a.zip')
    data = run_import('labelme', path, tmp_path / 'out', val=0)
    assert data.said('1 archives: inside the archive, not unpacked')
    assert data.said('%s/1.jpg' % path)
    assert not data.said('temporary')
    (tmp_path / 'src/1.json').write_text('{')
    path.unlink()
    with pytest.raises(DataError, match=r'a\.zip/1\.json is not valid JSON'):
        run_import('labelme', pack(tmp_path / 'src', path), tmp_path / 'other', val=0)


@pytest.mark.parametrize('name', ['../x.json', '/x.json', 'a/../../x.json', 'C:\\x.json',
                                  '..\\x.json'])
@pytest.mark.parametrize('suffix', ['.zip', '.tar'])
def test_names_that_lead_outside(tmp_path, name, suffix):
    path = tmp_path / ('a' + suffix)
    if suffix == '.zip':
        with zipfile.ZipFile(path, 'w') as target:
            target.writestr(name, '{}')
    else:
        add(path, (name, tarfile.REGTYPE, '', b'{}'))
    with pytest.raises(DataError, match=r'a\.(zip|tar): the file name .* is refused: it must be'):
        run_import('labelme', path, tmp_path / 'out')
    assert not list(tmp_path.rglob('x.json')) and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('kind, what', [
    (tarfile.SYMTYPE, 'a link'), (tarfile.LNKTYPE, 'a link'), (tarfile.FIFOTYPE, 'no plain file'),
    (tarfile.CHRTYPE, 'no plain file')])
def test_tars_with_other_than_files(tmp_path, kind, what):
    path = add(tmp_path / 'a.tar', ('x', kind, '/etc/passwd', b''),
               ('x/y.json', tarfile.REGTYPE, '', b'{}'))
    with pytest.raises(DataError, match=r"a\.tar, entry 'x' is %s: refused" % what):
        run_import('labelme', path, tmp_path / 'out')


@pytest.mark.parametrize('mode, flag, what', [
    (stat.S_IFLNK, 0, 'a link'), (stat.S_IFIFO, 0, 'no plain'), (stat.S_IFREG, 1, 'encrypted')])
def test_zips_with_other_than_files(tmp_path, mode, flag, what):
    path, info = tmp_path / 'a.zip', zipfile.ZipInfo('x')
    info.external_attr = (mode | 0o644) << 16
    with zipfile.ZipFile(path, 'w') as target:
        target.writestr(info, '/etc/passwd')
    if flag:
        data = bytearray(path.read_bytes())
        data[data.index(b'PK\x01\x02') + 8] |= flag
        path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip, entry 'x' is " + what):
        run_import('labelme', path, tmp_path / 'out')


@pytest.mark.parametrize('suffix', ['.zip', '.tar.gz'])
def test_too_much(tmp_path, monkeypatch, suffix):
    clip(tmp_path / 'src')
    (tmp_path / 'src/zeros').write_bytes(bytes(3 << 20))
    path = pack(tmp_path / 'src', tmp_path / ('a' + suffix))
    monkeypatch.setattr(archives, 'LARGEST', 2 << 20)
    with pytest.raises(DataError, match="zeros' and those before it have more than 0 GB"):
        run_import('labelme', path, tmp_path / 'out', val=0)
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temporary'))
    monkeypatch.setattr(archives, 'KEPT_FREE', 10 ** 18)
    with pytest.raises(DataError, match='more than the disk of .* has free; set TMPDIR'):
        run_import('labelme', path, tmp_path / 'out', val=0)
    monkeypatch.setattr(archives, 'KEPT_FREE', 0)
    monkeypatch.setattr(archives, 'MOST', 3)
    with pytest.raises(DataError, match='has more than 3 files: refused'):
        run_import('labelme', path, tmp_path / 'out', val=0)


def test_a_zip_that_declares_less_than_it_holds(tmp_path, monkeypatch):
    path = tmp_path / 'a.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as target:
        target.writestr('zeros', bytes(3 << 20))
    data = path.read_bytes().replace((3 << 20).to_bytes(4, 'little'), (9).to_bytes(4, 'little'))
    path.write_bytes(data)
    monkeypatch.setattr(archives, 'LARGEST', 2 << 20)
    with pytest.raises(DataError, match='cannot read the archive|more than'):
        run_import('labelme', path, tmp_path / 'out', val=0)


@pytest.mark.parametrize('suffix', ['.zip', '.tar', '.tar.gz'])
@pytest.mark.parametrize('kept', [0, 0.3, 0.8, None])
def test_damaged(tmp_path, suffix, kept):
    clip(tmp_path / 'src')
    (tmp_path / 'src/noise').write_bytes(os.urandom(50000))
    path = pack(tmp_path / 'src', tmp_path / ('a' + suffix))
    data = path.read_bytes()
    path.write_bytes(b'no archive ' * 999 if kept is None else data[:int(len(data) * kept)])
    with pytest.raises(DataError, match='cannot (read the archive|unpack) .*a' + suffix):
        run_import('labelme', path, tmp_path / 'out', val=0)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('names, found', [(('x', 'x'), "entry 'x' is there twice"),
                                          (('x', './x'), 'is there twice'),
                                          (('x', 'x/y'), 'cannot unpack .*a.tar'),
                                          (('x' * 300,), 'a.tar: File name too long')])
def test_names_that_cannot_be(tmp_path, names, found):
    path = add(tmp_path / 'a.tar', *((name, tarfile.REGTYPE, '', b'{}') for name in names))
    with pytest.raises(DataError, match=found):
        run_import('labelme', path, tmp_path / 'out', val=0)


def test_an_archive_in_the_folder_that_would_be_replaced(tmp_path):
    clip(tmp_path / 'src')
    data = run_import('labelme', tmp_path / 'src', tmp_path / 'out', val=0)
    path = pack(tmp_path / 'src', data.path / 'a.zip')
    with pytest.raises(DataError, match='are one inside the other'):
        run_import('labelme', path, tmp_path / 'out', val=0, force=True)
    assert path.exists()
