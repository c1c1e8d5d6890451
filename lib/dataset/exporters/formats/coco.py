"""COCO detection JSON, with attributes.track_id as CVAT has it."""
import json
import os

from lib.dataset.exporters.model import EXPORTERS, ExportedClip


@EXPORTERS.register('coco')
def write(clip: ExportedClip, folder: str) -> None:
    """Write annotations.json and, of a video, the labelled frames in images/.

    Args:
        clip: the detections.
        folder: an empty folder.
    """
    categories = {name: number for number, name in enumerate(clip.classes, 1)}
    annotations = []
    for number, (frame, box) in enumerate(clip.boxes(), 1):
        left, top, right, bottom = box.edges
        width, height = round(right - left, 4), round(bottom - top, 4)
        attributes = {} if box.track is None else {'track_id': box.track}
        annotations.append({
            'id': number, 'image_id': frame.position + 1, 'category_id': categories[box.name],
            'bbox': [left, top, width, height], 'area': round(width * height, 2), 'iscrowd': 0,
            'segmentation': [], 'score': box.score, 'attributes': attributes})
    tree = {
        'images': [{'id': frame.position + 1, 'file_name': frame.file, 'width': frame.width,
                    'height': frame.height} for frame in clip.frames],
        'annotations': annotations,
        'categories': [{'id': number, 'name': name} for name, number in categories.items()]}
    with open(os.path.join(folder, 'annotations.json'), 'w', encoding='utf-8') as stream:
        json.dump(tree, stream)
    clip.write_images(os.path.join(folder, 'images'))
