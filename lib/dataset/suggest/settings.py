"""Settings suggested from the data: each with its reason."""
import math
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np
from easydict import EasyDict

from lib.dataset.suggest.anchors import Anchors, best_overlaps, fit_anchors, input_boxes, recall
from lib.dataset.suggest.sample import DISTANCES, Moves, Sample

ENOUGH_BOXES = 50             # fewer say nothing about those to come
# Four fifths of the boxes are to have this side, the square root of their area, in the network's input: two
# places of its feature map.
SIDE, SHARE_BELOW = 32, 0.2
MOST_PIXELS = 10 ** 6         # of an input
STEP = 16                     # sides are multiples of this
FAR = 0.5                     # sides of the box that three quarters of the objects may move until the interval's end
LONGEST_INTERVAL = 10         # with which the method was published; a longer one saves little more
LR_ONE_DEVICE = 0.001         # the paper's rate, of all devices together
UPDATES, UPDATES_SMALL, MOST_EPOCHS = 20000, 4000, 30      # of a training; small: of narrow or shallow networks


class Suggestion(NamedTuple):
    """A setting."""

    key: str                  # as 'TRAIN.lr'
    now: Any
    value: Any                # equal to `now` where it is to stay
    reason: str


def suggest_network(cfg: EasyDict, sample: Sample) -> List[Suggestion]:
    """Return the Suggestions of the input's size and of the anchors; none where the boxes are too few to tell.

    Args:
        cfg: the settings.
        sample: what is trained on.
    """
    if len(sample.boxes) < ENOUGH_BOXES:
        return []
    scales, reason = _scales(tuple(cfg.SCALES[0]), sample)
    network = cfg.network
    present = Anchors(tuple(network.ANCHOR_SCALES), tuple(network.ANCHOR_RATIOS))
    seen = input_boxes(sample.sizes, sample.boxes, scales)
    fitted = fit_anchors(*seen, present)
    why = 'recall of the best anchor with %s at IoU 0.5 and 0.7: %s' % (
        'SCALES %d, %d' % scales, _recalls(sample, scales, fitted))
    if fitted != present:
        why += '; those now: ' + _recalls(sample, scales, present)
    if scales != tuple(cfg.SCALES[0]):
        why += '; all as now: ' + _recalls(sample, tuple(cfg.SCALES[0]), present)
    return [Suggestion('SCALES', list(cfg.SCALES[0]), list(scales), reason),
            Suggestion('network.ANCHOR_SCALES', list(present.scales), list(fitted.scales), why),
            Suggestion('network.ANCHOR_RATIOS', list(present.ratios), list(fitted.ratios),
                       'height / width, as ANCHOR_SCALES'),
            Suggestion('network.NUM_ANCHORS', network.NUM_ANCHORS, fitted.number, 'ANCHOR_SCALES x ANCHOR_RATIOS')]


def _recalls(sample: Sample, scales: Tuple[int, int], anchors: Anchors) -> str:
    overlaps = best_overlaps(*input_boxes(sample.sizes, sample.boxes, scales), anchors)
    return '%.2f and %.2f' % tuple(recall(overlaps))


def _scales(present: Tuple[int, int], sample: Sample) -> Tuple[Tuple[int, int], str]:
    """SCALES and why; never smaller than `present`."""
    shorter = sample.sizes.min(axis=1)
    sides = np.sqrt(np.prod(sample.boxes[:, 2:] - sample.boxes[:, :2] + 1, axis=1))
    now, pixels = _seen(sample, present)
    found = 'a fifth of the boxes has a side (square root of the area) below %.0f px as it is' % now
    if now >= SIDE:
        return present, found + ': large enough'
    small, middle = np.quantile(sides / shorter, (SHARE_BELOW, 0.5))
    own, aspect = float(np.median(shorter)), float((sample.sizes.max(axis=1) / shorter).max())
    # Beyond the frames' own size only where the middle box is small there, too: enlarging shows nothing new.
    shown, affordable = max(own, min(SIDE / middle, 2 * own)), math.sqrt(MOST_PIXELS / aspect)
    limit = 'the frames show no more' if shown <= affordable else 'a megapixel is the most for an input'
    side = STEP * max(1, round(min(SIDE / small, shown, affordable) / STEP))
    if side <= present[0]:
        return present, '%s, but %s' % (found, limit)
    scales = side, STEP * math.ceil(side * aspect / STEP)
    then, more = _seen(sample, scales)
    return scales, '%s, then below %.0f px%s; about %.1f times the pixels, and the time' % (
        found, then, ', as ' + limit if then < SIDE - 2 else '', more / pixels)


def _seen(sample: Sample, scales: Tuple[int, int]) -> Tuple[float, float]:
    """(side below which SHARE_BELOW of the boxes are in the network's input, pixels of that on average)."""
    sizes, boxes = input_boxes(sample.sizes, sample.boxes, scales)
    sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1))
    return float(np.quantile(sides, SHARE_BELOW)), float(np.prod(sizes, axis=1).mean())


def suggest_schedule(cfg: EasyDict, frames: int, devices: int) -> List[Suggestion]:
    """Return the Suggestions of the learning rate and the epochs.

    Args:
        cfg: the settings.
        frames: to train on.
        devices: to train on; their gradients are summed.
    """
    train, network = cfg.TRAIN, cfg.network
    small = network.width < 1 or network.depth < 50
    found = []
    if not small:
        rate = LR_ONE_DEVICE / devices
        found.append(Suggestion('TRAIN.lr', train.lr, rate, "the paper's %g, shared by %d devices, whose gradients "
                                'are summed' % (LR_ONE_DEVICE, devices)))
    else:
        found.append(Suggestion('TRAIN.lr', train.lr, train.lr, 'there is no rule for a network of depth %d and width '
                                '%g: half of it where the loss does not fall or turns to nan'
                                % (network.depth, network.width)))
    updates = max(1, frames * (2 if train.FLIP else 1) // (devices * train.BATCH_IMAGES))
    wanted = UPDATES_SMALL if small else UPDATES
    epochs = epochs_for(updates, wanted)
    if train.end_epoch / 1.5 <= epochs <= train.end_epoch * 1.5:
        epochs = train.end_epoch
    why = '%d updates an epoch; about %d make a training, %d epochs at most' % (updates, wanted, MOST_EPOCHS)
    if updates * MOST_EPOCHS < wanted:
        why += '; list more frames, as with tools/make_image_sets.py --per_clip 0'
    found.append(Suggestion('TRAIN.end_epoch', train.end_epoch, epochs, why))
    step = train.lr_step if epochs == train.end_epoch else '%.3g' % (epochs * 2 / 3)
    found.append(Suggestion('TRAIN.lr_step', train.lr_step, step, 'the rate falls after two thirds'))
    return found


def epochs_for(updates: int, wanted: int) -> int:
    """Return how many epochs of so many `updates` make about `wanted`, from 2 to MOST_EPOCHS."""
    return min(MOST_EPOCHS, max(2, math.ceil(wanted / updates)))


def suggest_interval(cfg: EasyDict, sample: Sample) -> List[Suggestion]:
    """Return the Suggestions of the key-frame interval and the offsets of reference frames in training.

    None where the data do not tell how objects move, for want of track ids.

    Args:
        cfg: the settings of a task that propagates features.
        sample: what is trained on.
    """
    if sample.moves is None:
        return []
    interval = longest_interval(sample.moves)
    present = cfg.TEST.KEY_FRAME_INTERVAL
    if present <= interval:
        interval = present
    why = 'three quarters of the objects move less than %g sides of their box in %.3g frames' % (
        FAR, _reach(sample.moves))
    offset = min(-max(interval - 1, 1), cfg.TRAIN.MAX_OFFSET)
    return [Suggestion('TEST.KEY_FRAME_INTERVAL', present, interval, why),
            Suggestion('TRAIN.MIN_OFFSET', cfg.TRAIN.MIN_OFFSET, offset,
                       'pairs of training are as far apart as the last frame of an interval and its key frame')]


def longest_interval(moves: Moves) -> int:
    """Return the longest interval, at most LONGEST_INTERVAL, at whose end three quarters of the objects have moved
    less than FAR sides of their box."""
    return max(1, min(LONGEST_INTERVAL, int(_reach(moves)) + 1))


def _reach(moves: Moves) -> float:
    """Frames after which a quarter of the objects has moved FAR, between the distances that were measured."""
    frames, shifts = [0.0], [0.0]
    for distance in DISTANCES:
        rows = moves.distances == distance
        if rows.any():
            frames.append(float(distance))
            shifts.append(max(shifts[-1], float(np.quantile(moves.shifts[rows], 0.75))))
    beyond = [i for i, shift in enumerate(shifts) if shift > FAR]
    if not beyond:
        return frames[-1]
    i = beyond[0]
    return frames[i - 1] + (frames[i] - frames[i - 1]) * (FAR - shifts[i - 1]) / (shifts[i] - shifts[i - 1])


def motion_lines(moves: Optional[Moves]) -> List[str]:
    """Return lines that say how far objects move: a table by distance."""
    if moves is None:
        return ['motion: not known, as no object has a track id and a box some frames before; as a rule an interval '
                'is a third of a second: 10 at 30 frames a second, 5 at 15, 2 at 7']
    lines = ['motion      objects   move of half / of three quarters of them (sides of their box)   IoU >= 0.5 with '
             'their box before']
    for distance in DISTANCES:
        rows = moves.distances == distance
        if rows.any():
            half, most = np.quantile(moves.shifts[rows], (0.5, 0.75))
            lines.append('%2d frames  %8d   %.2f / %.2f   %3.0f %%'
                         % (distance, rows.sum(), half, most, 100 * np.mean(moves.overlaps[rows] >= 0.5)))
    clips = {str(name): longest_interval(Moves(*(column[moves.clips == name] for column in moves)))
             for name in np.unique(moves.clips)}
    fastest = sorted(clips.items(), key=lambda item: (item[1], item[0]))[:3]
    if len(clips) > 1:
        lines.append('intervals that suit single clips, the fastest first: %s'
                     % ', '.join('%d in %s' % (interval, name) for name, interval in fastest))
    return lines


def with_settings(tree: Dict[str, Any], values: Dict[str, Any]) -> Dict[str, Any]:
    """Return `tree`, nested settings, with {'section.key': value} put in, in place."""
    for name, value in values.items():
        *sections, key = name.split('.')
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[key] = value
    return tree


def changed(suggestions: Iterable[Suggestion]) -> Dict[str, Any]:
    """Return {key: value} of those that differ from the settings."""
    return {each.key: each.value for each in suggestions if each.value != each.now}
