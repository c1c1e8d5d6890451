"""Makes the footage of docs/custom-dataset.md: python benchmarks/camvid_as_cvat.py data/camvid my_videos

Cuts CamVid's clip (a data set in the ILSVRC2015 layout with the set VID_val_videos) into videos,
each with its boxes as CVAT exports them: a track an object, a box for each frame it is seen in,
and one that is outside behind the last.
"""
import argparse
import os
import sys
from xml.sax.saxutils import quoteattr

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import lib  # noqa: E402,F401  (prepares the import of OpenCV)
import cv2  # noqa: E402
import numpy as np  # noqa: E402

from lib.dataset.formats.annotations import Source, parse_annotation  # noqa: E402
from lib.dataset.formats.image_sets import read_image_set  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from dff.errors import DataError  # noqa: E402
from dff.files import atomic_path  # noqa: E402
from dff.image import read_image  # noqa: E402

FPS = 15
BOX = ('    <box frame="%d" outside="%d" occluded="0" keyframe="1" xtl="%.2f" ytl="%.2f" xbr="%.2f" '
       'ybr="%.2f" z_order="0"></box>\n')


def write_video(path, images):
    """Write image files as an .mp4."""
    height, width = read_image(images[0]).shape[:2]
    with atomic_path(path) as temporary:
        writer = cv2.VideoWriter(temporary, cv2.VideoWriter_fourcc(*'mp4v'), FPS, (width, height))
        if not writer.isOpened():
            raise DataError('cannot write %s: this OpenCV has no encoder for mp4v' % path)
        for image in images:
            writer.write(read_image(image))
        writer.release()


def write_tracks(path, video, annotations):
    """Write the boxes of XML annotations as CVAT for video 1.1.

    Args:
        path: file to write.
        video: path of the video they are of.
        annotations: XML files, one a frame.
    """
    tracks = {}
    for frame, annotation in enumerate(annotations):
        for item in parse_annotation(Source(annotation, '', annotation))[1]:
            tracks.setdefault((item.track, item.name), {})[frame] = (item.x1, item.y1, item.x2 + 1, item.y2 + 1)
    labels = ''.join('<label><name>%s</name></label>' % name for name in sorted({name for _, name in tracks}))
    with atomic_path(path) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
        stream.write(
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  '
            '<meta><task><size>%d</size><labels>%s'
            '</labels></task><source>%s</source></meta>\n'
            % (len(annotations), labels, os.path.basename(video)))
        for identity, ((_, name), boxes) in enumerate(tracks.items()):
            stream.write('  <track id="%d" label=%s>\n' % (identity, quoteattr(name)))
            for frame, corners in boxes.items():
                stream.write(BOX % ((frame, 0) + corners))
                if frame + 1 not in boxes and frame + 1 < len(annotations):
                    stream.write(BOX % ((frame + 1, 1) + corners))
            stream.write('  </track>\n')
        stream.write('</annotations>\n')


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('camvid', metavar='CAMVID', help='folder with Data, Annotations and ImageSets')
    parser.add_argument('target', metavar='DST', help='folder for the videos and their XML files')
    parser.add_argument('--videos', type=int, default=4)
    args = parser.parse_args()
    paths = [entry.path for entry in read_image_set(os.path.join(args.camvid, 'ImageSets'), 'VID_val_videos').entries]
    for number, part in enumerate(np.array_split(paths, args.videos), 1):
        stem = os.path.join(args.target, 'walk%d' % number)
        images, annotations = ([os.path.join(args.camvid, kind, 'VID', path + extension) for path in part]
                               for kind, extension in (('Data', '.JPEG'), ('Annotations', '.xml')))
        write_video(stem + '.mp4', images)
        write_tracks(stem + '.xml', stem + '.mp4', annotations)
    print('%d videos and their XML files: %s' % (args.videos, args.target))


if __name__ == '__main__':
    run(main)
