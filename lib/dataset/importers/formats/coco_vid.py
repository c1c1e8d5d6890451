"""COCO-VID JSON, as mmtracking and TAO have it: COCO with a list of videos, images with video_id and frame_id, annotations
with instance_id."""
import os

from lib.dataset.importers.formats import coco
from lib.dataset.importers.media import Images, find_clip, without_video_suffix
from lib.dataset.importers.model import IMPORTERS, Clip, Labels, Source, whole
from lib.dataset.importers.paths import merged, relative
from dff.errors import DataError, shown


@IMPORTERS.register('coco-vid')
def read(src, options, report):
    """The Source of a JSON file or a folder of them, as coco.read; each video is a clip.

    Where its images are missing, a video file or a folder of its name stands in, whose frame numbers are frame_id minus
    options.first_frame.
    """
    clips, classes = [], []
    for file in coco.json_files(src):
        tree = coco.load(file)
        classes = merged(classes, coco.category_names(tree, file).values())
        clips += _clips(tree, file, options, report)
    if not clips:
        raise DataError('%s: none of the images or videos that it lists is there; --frames FOLDER says where they are' % src)
    return Source(clips, classes)


def _clips(tree, file, options, report):
    names, part = _video_names(tree, file), coco.part_of_file(file)
    boxes = coco.boxes_by_image(tree, file, report)
    frames, folders = {}, coco.image_folders(file, options)
    for index, entry in enumerate(tree['images']):
        video = entry.get('video_id')
        place = whole(entry.get('frame_id', entry.get('frame_index')))
        if not isinstance(video, (int, str)) or video not in names or place is None:
            report.skip('images: no video_id of the list of videos, or no frame_id',
                        '%s, image %s' % (os.path.basename(file), entry.get('id', index)))
            continue
        _, path = coco.find_image(entry, file, folders)
        frames.setdefault(video, {})[place] = (path, coco.labels_of(entry, boxes.get(entry['id'], []), file, report))
    clips = (_clip(names[video], listed, folders, options, part, report) for video, listed in frames.items())
    return [clip for clip in clips if clip]


def _video_names(tree, file):
    """{video id: name, a relative path}. Raises DataError."""
    videos = tree.get('videos')
    if not isinstance(videos, list) or not all(isinstance(entry, dict) for entry in videos):
        raise DataError("%s: expected a COCO-VID file; the list 'videos' is not there (for plain COCO: the format coco)" % file)
    names = {}
    for entry in videos:
        if not isinstance(entry.get('id'), (int, str)):
            raise DataError('%s: a video needs an id; found %s' % (file, shown(entry)))
        names[entry['id']] = relative(entry.get('name') or entry.get('file_name') or 'video_%s' % entry['id'], file)
    return names


def _clip(name, listed, folders, options, part, report):
    """The Clip of a video; listed: {frame_id: (path or None, boxes(height, width))}."""
    present = sorted(place for place, (path, _) in listed.items() if path)
    first = 0
    if present:
        media = Images([listed[place][0] for place in present], present)
        for _ in range(len(listed) - len(present)):
            report.skip('images: the file is missing', name)
    else:
        media = find_clip([name, without_video_suffix(name)], folders)
        first = options.first_frame
        if media is None:
            report.skip('images: the file is missing', name, len(listed))
            return None

    def open_labels():
        def boxes(number, height, width):
            found = listed.get(number + first)
            return found[1](height, width) if found else None
        return Labels(boxes, [place - first for place in listed])
    return Clip(without_video_suffix(name), media, open_labels, part)
