"""Exporting detections as labels; nothing appears under its name before it is whole."""
import contextlib
import json
import os
import shutil
import tempfile
from typing import Iterator, List

from dff.errors import DataError
from dff.files import flush_all
from lib.dataset.exporters.frames import clip_of
from lib.dataset.exporters.model import EXPORTERS
from lib.dataset.exporters.results import read_results

STAMP = '.export.json'      # hidden: no importer takes it for labels


def export_labels(path: str, frames: str, format_name: str, dst: str, thresh: float = 0.0,
                  force: bool = False) -> List[str]:
    """Write detections as labels of another format; return the lines of a summary.

    Args:
        path: JSON file of detections, as dff_rfcn/demo.py --json and dff run --json write it.
        frames: the folder of images, or the video, that the detector has seen.
        format_name: one of EXPORTERS.
        dst: the folder to make. An earlier export that it holds is replaced if `force` is set;
            anything else is never touched.
        thresh: detections of a lower score are left out.
        force: replace an earlier export.

    Raises:
        ConfigError: the format is unknown.
        DataError: the detections or frames cannot be read or do not belong together, or `dst`
            cannot be written or replaced.
    """
    write = EXPORTERS.get(format_name)
    _check_destination(dst, path, frames, force)
    clip = clip_of(read_results(path, thresh), frames, os.path.realpath(dst))
    boxes = [box for _, box in clip.boxes()]
    with _replacing(dst) as folder:
        write(clip, folder)
        with open(os.path.join(folder, STAMP), 'w', encoding='utf-8') as stream:
            json.dump({'format': format_name, 'detections': os.path.abspath(path),
                       'frames': os.path.abspath(frames), 'thresh': thresh}, stream, indent=1)
    tracks = {box.track for box in boxes if box.track}
    return ['labels:     %s, format %s' % (dst, format_name),
            'frames:     %d of %d of %s' % (len(clip.frames), clip.length, frames),
            'boxes:      %d (tracks %d, boxes without track %d)'
            % (len(boxes), len(tracks), sum(box.track is None for box in boxes))]


def _check_destination(dst: str, path: str, frames: str, force: bool) -> None:
    """DataError unless `dst` is free, or an export to replace, and holds none of the sources."""
    if not dst:
        raise DataError('--output: expected the name of a folder to make, found none')
    target = os.path.realpath(dst)
    for source in map(os.path.realpath, (path, frames)):
        if os.path.commonpath([source, target]) in (source, target):
            raise DataError('%s and the destination %s lie one inside the other; choose another '
                            'destination' % (source, dst))
    if not os.path.lexists(dst) or (os.path.isdir(dst) and not os.listdir(dst)):
        return
    if not os.path.isfile(os.path.join(dst, STAMP)):
        raise DataError('%s exists and was not made by tools/export_labels.py (no %s): choose '
                        'another destination, or remove it' % (dst, STAMP))
    if not force:
        raise DataError('%s exists already, perhaps with corrections; --force replaces it' % dst)


def _remove(folder: str) -> None:
    """Remove an export, or an empty folder; OSError for a folder that holds anything else."""
    if os.path.isfile(os.path.join(folder, STAMP)):
        shutil.rmtree(folder)
    else:
        os.rmdir(folder)


@contextlib.contextmanager
def _replacing(dst: str) -> Iterator[str]:
    """Yield a new folder beside `dst`, which takes its place at the end; after an error nothing of
    it stays.
    """
    target = os.path.realpath(dst)
    parent = os.path.dirname(target)
    temporary = None
    try:
        os.makedirs(parent, exist_ok=True)
        temporary = tempfile.mkdtemp(prefix='.%s.' % os.path.basename(target), dir=parent)
        os.chmod(temporary, 0o755)
        yield temporary
        flush_all()
        if os.path.isdir(target):
            _remove(target)
        os.rename(temporary, target)
    except OSError as error:
        raise DataError('cannot write %s: %s' % (dst, error.strerror or error)) from None
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
