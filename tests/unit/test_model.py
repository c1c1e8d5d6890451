"""What dff.load returns, around networks that compute nothing."""
import json
import os
import threading
import types

import cv2
import numpy as np
import pytest

from dff.errors import ConfigError, DataError, DFFError
from dff.live.open import Clip
from dff.runtime.backend import OneThread, class_lines
from dff.runtime.outputs import writing
from dff.runtime.results import CLASS_COLUMNS, CSV_COLUMNS
from tests.helpers.fake_model import FORM, FakeNetworks, clip, fake_model, frame
from dff.frames import prepare


def test_a_clip():
    model = fake_model()
    results = list(model(clip(6, step=30), interval=3))
    assert [result.index for result in results] == list(range(6))
    assert [result.is_key for result in results] == [True, False, False] * 2
    assert results[1].boxes.tolist() == [[30, 32, 61, 63]] and results[1].scores.tolist() == [np.float32(0.9)]
    assert results[1].names == ['square'] and results[1].class_ids.tolist() == [2]
    assert [result.track_ids.tolist() for result in results[:3]] == [[1]] * 3, 'along the flow'
    assert results[0].latency is None and results[0].name == '000000'
    assert [result.is_key for result in model(clip(5))] == [True, False, False, False, True]
    assert repr(model) == '<dff.Model: detection of 3 classes by a fake (CPU), a key frame every 4 frames>'


def test_ids_are_those_of_a_clip():
    model = fake_model()
    assert [result.track_ids.tolist() for _ in range(2) for result in model(clip(2))] == [[1]] * 4
    assert next(model(clip(1), track=False)).track_ids is None


def test_weak_detections_are_left_out():
    assert [len(next(fake_model()(clip(1), thresh=thresh)).scores) for thresh in (0.1, 0.5, 0.95)] == [2, 1, 0]


def test_a_stream_is_a_clip_frame_by_frame():
    model = fake_model()
    stream, frames = model.stream(interval=3), clip(7, step=30)
    alone = [stream(image) for image in frames]
    together = list(model(frames, interval=3))
    for one, other in zip(alone, together):
        assert one.as_dict() == other.as_dict()
    assert [one.track_ids.tolist() for one in alone] == [[1]] * 7, 'also where boxes jump at a key frame'
    stream.restart()
    again = stream(frames[0], name='mine')
    assert (again.index, again.is_key, again.name, again.track_ids.tolist()) == (0, True, 'mine', [2])


def test_several_streams_of_one_model():
    model = fake_model()
    streams, images = [model.stream(interval=3) for _ in range(2)], [clip(6, 30), clip(6, -10)]
    mixed = [[], []]
    for t in range(6):
        for which in range(2):
            mixed[which].append(streams[which](images[which][t]).as_dict())
    assert mixed == [[result.as_dict() for result in model(each, interval=3)] for each in images]


def test_a_stream_goes_on_after_a_bad_frame():
    stream = fake_model().stream(interval=9)
    stream(frame(0))
    with pytest.raises(DataError, match=r'must be a BGR image, uint8 \[height, width, 3\], .* found float32 \[4\]'):
        stream(np.zeros(4, np.float32))
    assert stream(frame(1)).index == 1 and not stream(frame(2)).is_key
    with pytest.raises(DataError, match='found NoneType'):
        stream(None)


def test_one_stream_in_two_threads():
    model = fake_model()
    inside, leave, errors = threading.Event(), threading.Event(), []
    inner = model.networks.key
    model.networks.key = lambda each: (inside.set(), leave.wait(10), inner(each))[2]
    stream = model.stream()
    thread = threading.Thread(target=lambda: errors.append(stream(frame(0)).index))
    thread.start()
    inside.wait(10)
    with pytest.raises(DFFError, match='one frame at a time, in order: give each thread a stream'):
        stream(frame(1))
    leave.set()
    thread.join()
    assert errors == [0] and stream(frame(1)).index == 1


def test_networks_of_one_thread():
    networks, errors = OneThread(FakeNetworks(), 'MXNet'), []
    _, state = networks.key(prepare(frame(0), FORM))

    def elsewhere():
        try:
            networks.current(prepare(frame(1), FORM), state)
        except DFFError as error:
            errors.append(str(error))
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(errors) == 1 and errors[0].startswith('a model in MXNet runs in one thread')
    networks.current(prepare(frame(1), FORM), state)


def test_a_single_image(tmp_path):
    model = fake_model()
    cv2.imwrite(str(tmp_path / 'a.png'), frame(2))
    for image, name in ((frame(2), '000000'), (str(tmp_path / 'a.png'), str(tmp_path / 'a.png'))):
        result = model.detect(image)
        assert result.boxes.tolist() == [[16, 32, 47, 63]] and result.track_ids is None
        assert result.name == name
    with pytest.raises(DataError, match='cannot read image'):
        model.detect(str(tmp_path / 'none.png'))


def test_class_maps():
    model = fake_model('segmentation')
    result = next(model(clip(1)))
    assert result.label_map.sum() == 1024 and result.names == ['ground', 'square']
    assert result.as_dict()['pixels'] == {'ground': 14336, 'square': 1024}
    assert result.to_csv() == '0,000000,ground,14336\n0,000000,square,1024\n'
    assert result.draw()[40, 10].tolist() == [128, 128, 255], 'half red, half white'


def test_what_a_result_writes():
    result = next(fake_model()(clip(1)))
    assert json.loads(result.to_json()) == {
        'frame': 0, 'name': '000000', 'key': True,
        'detections': [{'class': 'square', 'score': 0.9, 'box': [0, 32, 31, 63], 'track': 1}]}
    assert result.to_mot() == '1,1,1.00,33.00,32.00,32.00,0.9000,2,-1\n'
    assert result.to_csv() == '0,000000,square,0.9000,0.00,32.00,31.00,63.00,1\n'
    assert len(CSV_COLUMNS.split(',')) == 9 and len(CLASS_COLUMNS.split(',')) == 4
    untracked = next(fake_model()(clip(1), track=False))
    assert untracked.to_mot().startswith('1,-1,') and untracked.to_csv().endswith(',63.00,\n')
    assert 'track' not in untracked.as_dict()['detections'][0]
    given = result.to_supervision()
    assert given['xyxy'].tolist() == [[0, 32, 32, 64]] and given['tracker_id'].tolist() == [1]
    assert given['data']['class_name'].tolist() == ['square']
    empty = next(fake_model()(clip(1), thresh=1.0))
    assert empty.to_mot() == empty.to_csv() == '' and len(empty.to_supervision()['xyxy']) == 0
    assert (result.draw() != result.image).any() and not (empty.draw() != empty.image).any()


def test_files_of_results(tmp_path):
    paths = {name: str(tmp_path / 'new' / ('out.' + name)) for name in ('json', 'mot', 'csv')}
    model = fake_model()
    with writing(model.recognises, model.classes, 25, str(tmp_path / 'out.mp4'), paths['json'],
                 paths['mot'], paths['csv']) as write:
        for result in model(clip(3)):
            write(result)
    with open(paths['json'], encoding='utf-8') as stream:
        found = json.load(stream)
    assert found['classes'] == model.classes and [each['frame'] for each in found['frames']] == [0, 1, 2]
    with open(paths['csv'], encoding='utf-8') as stream:
        assert stream.read().splitlines()[0] == CSV_COLUMNS
    assert os.path.getsize(str(tmp_path / 'out.mp4')) > 0
    with pytest.raises(DataError, match='cannot write .*: it is a folder'):
        with writing(model.recognises, model.classes, 25, json_path=str(tmp_path)):
            pass


@pytest.mark.parametrize('options,error', [
    ({'interval': 0}, 'the key-frame interval must be a whole number, 1 or more, found 0'),
    ({'policy': 'often'}, "no key-frame policy 'often'"),
    ({'policy': 'both'}, "model in a fake .CPU. does not have: pass policy='middle', or load a checkpoint"),
    ({'policy': 'flow'}, "which a fake .CPU. does not measure: pass policy='fixed'"),
    ({'thresh': 2}, 'thresh must be a score from 0 to 1, found 2')])
def test_bad_options(options, error):
    with pytest.raises(ConfigError, match=error):
        fake_model()(clip(1), **options)
    with pytest.raises(ConfigError, match=error):
        fake_model().stream(**options)


def test_middle_key_frames_wait_for_frames():
    model = fake_model(policy='middle')
    assert [result.is_key for result in model(clip(4))] == [False, False, True, False]
    with pytest.raises(ConfigError, match="which the policy middle does: pass policy='fixed'"):
        model.stream()
    assert model.stream(policy='fixed')(frame(0)).is_key


def test_frames_between_two_key_frames():
    model = fake_model(policy='both', two_sided=True)
    seen = []

    def between(frame, state, other, share):
        seen.append((state // 8, other // 8, share))
        return FakeNetworks().current(frame, state)
    model.networks.between = between
    results = list(model(clip(8)))
    assert [result.is_key for result in results] == [False, False, True, False, False, False, True, False]
    assert seen == [(2, 6, 0.25), (6, 2, 0.5), (6, 2, 0.25)]
    assert [result.track_ids.tolist() for result in results] == [[1]] * 8
    with pytest.raises(ConfigError, match="which the policy both does: pass policy='fixed'"):
        model.stream()


def test_networks_of_one_thread_pass_everything_on():
    class Recursive(FakeNetworks):
        joins_key_frames = True

        def key(self, frame, before):
            return before

        def between(self, *given):
            return given
    networks = OneThread(Recursive(), 'MXNet')
    assert networks.joins_key_frames and not OneThread(FakeNetworks(), 'MXNet').joins_key_frames
    assert networks.key(1, 2) == 2 and networks.between(1, 2, 3, 0.5) == (1, 2, 3, 0.5)


def test_a_baseline_has_key_frames_only():
    assert all(result.is_key for result in fake_model(propagates=False, interval=1)(clip(3), interval=5))


def test_class_lists():
    names, palette = class_lines('segmentation', ['traffic light 250 170 30', 'sky 1 2 3'])
    assert names == ['traffic light', 'sky'] and palette.tolist() == [[250, 170, 30], [1, 2, 3]]
    names, palette = class_lines('segmentation', ['a', 'b'])
    assert names == ['a', 'b'] and palette.shape == (2, 3)


def test_seq_nms(tmp_path):
    """A box that is weak in every other frame gets the score of its path; frames and names are those of the clip."""
    model = fake_model()
    assert [len(result.scores) for result in model(clip(4), thresh=0.5)] == [1, 1, 1, 1]
    results = list(model(clip(4), thresh=0.5, seq_nms=True))
    assert [result.scores.tolist() for result in results] == [[pytest.approx(0.6)]] * 4
    assert [result.boxes.tolist() for result in results] == [[[8 * t, 32, 8 * t + 31, 63]] for t in range(4)]
    assert all((result.image == frame(t)).all() for t, result in enumerate(results))
    assert [result.is_key for result in results] == [True, False, False, False]
    assert [result.track_ids for result in results] == [None] * 4 and results[3].name == '000003'
    assert [result.scores.tolist() for result in model(clip(4), seq_nms='max')] == [[pytest.approx(0.9)]] * 4
    assert list(model(clip(4), thresh=0.7, seq_nms=True))[0].scores.tolist() == []
    for t, image in enumerate(clip(3)):
        cv2.imwrite(str(tmp_path / ('f%d.png' % t)), image)
    assert [result.name for result in model(str(tmp_path), seq_nms=True)] == ['f0', 'f1', 'f2']


def test_where_seq_nms_cannot_be():
    model = fake_model()
    for source, options, error in [
            (clip(2), {'seq_nms': 'mean'}, "seq_nms must be True, False, 'avg' or 'max'; found 'mean'"),
            (clip(2), {'seq_nms': True, 'track': True}, 'ask for one of them'),
            ((image for image in clip(2)), {'seq_nms': True}, 'reads a clip twice, to find and to show')]:
        with pytest.raises(ConfigError, match=error):
            model(source, **options)
    with pytest.raises(ConfigError, match='Seq-NMS is for detections; this model finds classes of pixels'):
        fake_model('segmentation')(clip(2), seq_nms=True)
    closed = []
    live = types.SimpleNamespace()
    with pytest.raises(ConfigError, match="after the clip's end, which a live source has not"):
        model.run(Clip(clip(2), None, 25.0, str, live, lambda: closed.append(1)), model.schedule(None, None), 0.5,
                  seq_nms=True)
    assert closed == [1], 'the camera was left open'
