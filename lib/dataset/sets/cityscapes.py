"""Cityscapes (Cordts et al., CVPR 2016): 19 classes, one labelled frame in each snippet of 30."""
import logging
import os
import re
from typing import List, Optional, Set, Tuple

import numpy as np
from easydict import EasyDict

from lib.dataset.formats.classes import ClassSetting
from lib.dataset.formats.problems import ReportFunction, refuse
from lib.dataset.registry import register
from lib.dataset.sets.seg_dataset import SegDataset
from lib.dataset.formats.seg_labels import id_table
from lib.dataset.formats.seg_records import SegRecord
from dff.errors import DataError
from dff.files import image_files

# The classes of the benchmark in the order of their train ids: label id, name, colour.
CLASSES = """
7 road 128 64 128
8 sidewalk 244 35 232
11 building 70 70 70
12 wall 102 102 156
13 fence 190 153 153
17 pole 153 153 153
19 traffic light 250 170 30
20 traffic sign 220 220 0
21 vegetation 107 142 35
22 terrain 152 251 152
23 sky 70 130 180
24 person 220 20 60
25 rider 255 0 0
26 car 0 0 142
27 truck 0 0 70
28 bus 0 60 100
31 train 0 80 100
32 motorcycle 0 0 230
33 bicycle 119 11 32
""".split('\n')[1:-1]
LABEL_IDS = 34                 # ids of the full list, 0 to 33; those that are not above are ignored
FRAMES, SEQUENCE = 'leftImg8bit', 'leftImg8bit_sequence'
BEFORE, AFTER = 19, 10         # frames of a snippet around its labelled one
_FRAME = re.compile(r'(.+)_(\d{6})_leftImg8bit\.png')
_FRAME_NAME = '%s_%06d_leftImg8bit.png'
logger = logging.getLogger('dff')


@register('CityScape')
class Cityscapes(SegDataset):
    """Image sets leftImg8bit_{train,val,test}.

    <path>/leftImg8bit/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png, and for the labels
    <path>/<prefix>/<split>/<city>/<city>_<sequence>_<frame>_<prefix>_{trainIds,labelTrainIds,labelIds}.png,
    the first that exists. Frames around the labelled ones come from leftImg8bit_sequence/<split>/,
    if that exists.
    """

    annotation_prefix = 'gtFine'           # or gtCoarse

    @classmethod
    def from_config(
        cls, cfg: EasyDict, image_set: str, report: ReportFunction = refuse
    ) -> 'Cityscapes':
        """Return the image set `image_set` that `cfg.dataset` describes, its labels from
        dataset.annotation_prefix.

        report: as of SegDataset. Raises ConfigError, DataError.
        """
        dataset = super().from_config(cfg, image_set, report)
        dataset.annotation_prefix = cfg.dataset.annotation_prefix
        return dataset

    @classmethod
    def default_classes(cls, cfg: EasyDict) -> ClassSetting:
        """Return the 19 classes of the benchmark."""
        return [line.split(None, 1)[1] for line in CLASSES]

    def find_records(self) -> List[SegRecord]:
        """See SegDataset."""
        folder, _, split = self.name.partition('_')
        root = os.path.join(self.path, FRAMES, split)
        if folder != FRAMES or not split or not os.path.isdir(root):
            above = os.path.join(self.path, FRAMES)
            found = sorted(os.listdir(above)) if os.path.isdir(above) else []
            raise DataError("image set '%s': expected %s_<split>, where <split> is a folder in %s; there %s"
                            % (self.name, FRAMES, above, 'are %s' % ', '.join(found) if found else 'is none'))
        place = os.path.join(self.path, SEQUENCE, split)
        sequences = place if os.path.isdir(place) else None
        if sequences is None:
            logger.info('%s: %s does not exist: each labelled frame is a still, which is its own reference',
                        self.name, place)
        records: List[SegRecord] = []
        for city in sorted(os.listdir(root)):
            if os.path.isdir(os.path.join(root, city)):
                labels = os.path.join(self.path, self.annotation_prefix, split, city)
                records += self._city(os.path.join(root, city), labels, sequences and os.path.join(sequences, city))
        if not records:
            raise DataError("image set '%s': there is no <city>/<city>_<sequence>_<frame>_leftImg8bit.png in %s"
                            % (self.name, root))
        return records

    def _city(self, folder: str, label_folder: str,
              sequence_folder: Optional[str]) -> List[SegRecord]:
        """The records of a city; sequence_folder: None for stills."""
        labels, others = _names(label_folder), _names(sequence_folder)
        records = []
        for name in image_files(folder):
            match = _FRAME.fullmatch(name)     # the original's code leaves *_flip.png behind
            if match:
                image, (sequence, number) = os.path.join(folder, name), match.groups()
                label = self._label(image, '%s_%s' % (sequence, number), label_folder, labels)
                if not label:
                    continue
                frames, index = [image], 0
                if sequence_folder is not None:
                    frames, index = snippet(
                        image, sequence, int(number), sequence_folder, others, self.report
                    )
                records.append(SegRecord(image, label, frames, index))
        return records

    def _label(self, image: str, stem: str, folder: str, names: Set[str]) -> str:
        kinds = ['trainIds', 'labelTrainIds']
        if self.num_classes == len(CLASSES):
            kinds.append('labelIds')     # as good as train ids, but only for the benchmark's own classes
        candidates = ['%s_%s_%s.png' % (stem, self.annotation_prefix, kind) for kind in kinds]
        for name in candidates:
            if name in names:
                return os.path.join(folder, name)
        self.report(
            'frame without label',
            '',
            'frame %s has no label: %s holds none of %s; unpack the archive of %s there '
            '(dataset.annotation_prefix names it)'
            % (image, folder, ', '.join(candidates), self.annotation_prefix),
        )
        return ''

    def table_of(self, path: str) -> np.ndarray:
        """See SegDataset. In a file of label ids, the train id of a class is its place in CLASSES."""
        if not path.endswith('_labelIds.png'):
            return super().table_of(path)
        table = id_table(0, ignored=range(LABEL_IDS))      # 255 stands for id -1, the licence plate
        table[[int(line.split()[0]) for line in CLASSES]] = np.arange(len(CLASSES))
        return table


def snippet(image: str, sequence: str, number: int, folder: str, names: Set[str],
            report: ReportFunction = refuse) -> Tuple[List[str], int]:
    """Return (paths of consecutive frames, place of the labelled one among them) of the clip
    around a labelled frame.

    Args:
        image: path of the labelled frame, which stands for its copy in `folder`.
        sequence: what precedes the number in the names of frames.
        number: of the labelled frame.
        folder: of the sequence's frames.
        names: of the files in `folder`.
        report: called where the frame before the labelled one, or one between two others, is
        missing; by default it raises
            DataError. Where it returns, the snippet is the labelled frame alone.
    """
    def path(k: int) -> str:
        return os.path.join(folder, _FRAME_NAME % (sequence, number + k))
    present = [k for k in range(-BEFORE, AFTER + 1) if k == 0 or _FRAME_NAME % (sequence, number + k) in names]
    for k in range(min(present + [-1]), max(present)):
        if k not in present:
            report(
                'frames missing',
                '',
                'the sequence frame %s does not exist; unpack %s_trainvaltest.zip again, or take '
                'the '
                'folder %s away to use stills only' % (path(k), SEQUENCE, os.path.dirname(folder)),
            )
            return [image], 0
    return [path(k) if k else image for k in present], present.index(0)


def _names(folder: Optional[str]) -> Set[str]:
    return set(os.listdir(folder)) if folder and os.path.isdir(folder) else set()
