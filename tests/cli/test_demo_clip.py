"""tools/demo_clip.py: the trained model and the clip that lie in the repository, and what is said where they do not."""
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tools import demo_clip

# The labelled box of the clip's frame 100 (from 0), from its CC0 annotations: x1, y1, x2, y2.
LABELLED = (256.78, 281.52, 332.41, 326.42)


def test_model_and_clip_are_small(root):
    """As much as a clone may cost: 8 MB and 1 MB."""
    for folder, most in (('model/demo', 8e6), ('data/demo', 1e6)):
        sizes = [path.stat().st_size for path in (root / folder).iterdir()]
        assert 0 < sum(sizes) <= most, folder


@pytest.mark.slow
def test_the_object_is_found_and_drawn(root):
    done = subprocess.run([sys.executable, str(root / 'tools/demo_clip.py')], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0, done.stderr
    frames, found = map(int, re.search(r'(\d+) frames, objects found in (\d+) of them', done.stdout).groups())
    assert found >= 0.8 * frames
    assert re.search(r'R-FCN on every frame: +\d+\.\d frames a second\n', done.stdout)
    assert re.search(r'a key frame every 10: +\d+\.\d frames a second \(\d+\.\d times as many\)\n', done.stdout)
    video = cv2.VideoCapture(str(root / re.search(r'video with boxes: (\S+)', done.stdout).group(1)))
    count = 0
    while video.read()[0]:
        count += 1
    assert count == frames


@pytest.mark.slow
def test_the_box_is_where_the_label_is(root):
    import dff
    from dff.boxes import overlaps
    clip = next((root / 'data/demo').glob('*.mp4'))
    detector = dff.load(str(root / 'model/demo'), backend='mxnet')
    for result in detector(str(clip), interval=10):
        if result.index == 100:
            break
    best = result.boxes[result.scores.argmax()]
    assert overlaps(best[None].astype(float), np.array([LABELLED]))[0, 0] > 0.5


def test_without_the_clip_a_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_clip, 'CLIPS', os.path.join(str(tmp_path), 'none'))
    with pytest.raises(Exception, match='holds no .mp4: it is part of the repository, `git checkout '):
        demo_clip.demo_clip()
