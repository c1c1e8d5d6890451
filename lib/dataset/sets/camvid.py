"""CamVid: the 480x360 edition with 11 classes (Brostow, Fauqueur, Cipolla, 2009; as prepared for
SegNet).
"""
from typing import List, Optional, Sequence, Tuple

from easydict import EasyDict

from lib.dataset.formats.classes import ClassSetting
from lib.dataset.registry import register
from lib.dataset.sets.seg_folder import SegFolder, frame_number

CLASSES = """
sky 128 128 128
building 128 0 0
pole 192 192 128
road 128 64 128
pavement 60 40 222
tree 128 128 0
sign 192 128 128
fence 64 64 128
car 64 0 128
pedestrian 64 64 0
bicyclist 0 128 192
""".split('\n')[1:-1]
CLIP_STEP = 2      # frame numbers are this far apart in the 15 Hz clip, and 30 in the sets of one frame a second


@register('CamVid')
class CamVid(SegFolder):
    """<path>/{train,val,...}/ and {train,val,...}annot/ without clip folders.

    Frames at most CLIP_STEP apart make a clip. Id 11 means pixels to ignore.
    """

    ignored_ids = (11,)

    @classmethod
    def default_classes(cls, cfg: EasyDict) -> ClassSetting:
        """Return the 11 classes."""
        return CLASSES

    def split(self, stems: Sequence[str], place: str, folder: str) -> List[List[str]]:
        """See SegFolder.split. A frame that follows no other within CLIP_STEP numbers starts a new
        clip.
        """
        clips: List[List[str]] = []
        last: Optional[Tuple[str, int]] = None
        for stem in stems:
            prefix, number = frame_number(stem)
            if last is None or number is None or last[0] != prefix or number - last[1] > CLIP_STEP:
                clips.append([])
            clips[-1].append(stem)
            last = None if number is None else (prefix, number)
        return clips
