"""MOT Challenge ground truth of 2016 and later, frames and pixels counted from 1.

`frame,track,left,top,width,height,considered,class,visibility`: the form of ten columns has no
class.
"""
import os

from lib.dataset.exporters.model import EXPORTERS, ExportedClip


@EXPORTERS.register('mot')
def write(clip: ExportedClip, folder: str) -> None:
    """Write <clip>/gt/gt.txt, labels.txt with the classes beside it, and <clip>/seqinfo.ini.

    Frames have the numbers of their image files where these rise, or else count from 1.

    Args:
        clip: the detections.
        folder: an empty folder.
    """
    place = os.path.join(folder, clip.name, 'gt')
    os.makedirs(place)
    classes = {name: number for number, name in enumerate(clip.classes, 1)}
    # Image files that count from 0 have one less than the labels.
    start = 1 if clip.first == 0 else 0
    with open(os.path.join(place, 'gt.txt'), 'w', encoding='utf-8') as stream:
        for track in clip.tracks():
            for frame, box in track.boxes:
                left, top, right, bottom = box.edges
                stream.write('%d,%d,%.2f,%.2f,%.2f,%.2f,1,%d,1\n' % (
                    frame.number + start, track.number, left + 1, top + 1, right - left,
                    bottom - top, classes[box.name]))
    with open(os.path.join(place, 'labels.txt'), 'w', encoding='utf-8') as stream:
        stream.writelines(name + '\n' for name in clip.classes)
    with open(os.path.join(folder, clip.name, 'seqinfo.ini'), 'w', encoding='utf-8') as stream:
        stream.write('[Sequence]\nname=%s\nframeRate=%g\nseqLength=%d\n'
                     'imWidth=%d\nimHeight=%d\n' % (
            clip.name, clip.rate, clip.length, clip.frames[0].width, clip.frames[0].height))
