"""Exporting detections as labels; nothing appears under its name before it is whole."""
import json
import os
from typing import List

from lib.dataset.destination import Destination
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
    destination = Destination(dst, STAMP, 'tools/export_labels.py', '--output')
    destination.check([path, frames], force)
    clip = clip_of(read_results(path, thresh), frames, os.path.realpath(dst))
    boxes = [box for _, box in clip.boxes()]
    with destination.replacing() as folder:
        write(clip, folder)
        with open(os.path.join(folder, STAMP), 'w', encoding='utf-8') as stream:
            json.dump({'format': format_name, 'detections': os.path.abspath(path),
                       'frames': os.path.abspath(frames), 'thresh': thresh}, stream, indent=1)
    tracks = {box.track for box in boxes if box.track}
    return ['labels:     %s, format %s' % (dst, format_name),
            'frames:     %d of %d of %s' % (len(clip.frames), clip.length, frames),
            'boxes:      %d (tracks %d, boxes without track %d)'
            % (len(boxes), len(tracks), sum(box.track is None for box in boxes))]
