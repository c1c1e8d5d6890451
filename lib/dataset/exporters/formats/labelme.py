"""labelme JSON: a file an image, a rectangle an object, its track as group_id."""
import json
import os
from typing import Any, Dict, List

from lib.dataset.exporters.model import EXPORTERS, ExportedClip, Frame

VERSION = '5.0.1'      # of the form; labelme reads those of other versions


@EXPORTERS.register('labelme')
def write(clip: ExportedClip, folder: str) -> None:
    """Write <image>.json for every frame and, of a video, the frames.

    imagePath leads from the JSON file to the image.

    Args:
        clip: the detections.
        folder: an empty folder.
    """
    for frame in clip.frames:
        path = os.path.join(folder, os.path.splitext(frame.file)[0] + '.json')
        with open(path, 'w', encoding='utf-8') as stream:
            json.dump(_tree(frame), stream, indent=2)
    clip.write_images(folder)


def _tree(frame: Frame) -> Dict[str, Any]:
    shapes: List[Dict[str, Any]] = []
    for box in frame.detections:
        left, top, right, bottom = box.edges
        shapes.append({'label': box.name, 'points': [[left, top], [right, bottom]],
                       'group_id': box.track, 'shape_type': 'rectangle', 'flags': {}})
    return {'version': VERSION, 'flags': {}, 'shapes': shapes, 'imagePath': frame.image,
            'imageData': None, 'imageHeight': frame.height, 'imageWidth': frame.width}
