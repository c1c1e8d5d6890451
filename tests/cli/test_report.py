"""tools/report.py: one page that needs nothing else, whatever names are in it."""
import json
import os
import re
import sys

import pytest

from dff.errors import ConfigError, DataError
from lib.dataset.formats.classes import load_classes
from lib.dataset.sets.imagenet_vid import ImageNetVID
from lib.report.facts import gather
from lib.report.html_parts import text
from lib.report.page import write_report
from tests.helpers import browser
from tests.helpers.own_data import LENGTH, OwnData
from tools import evaluate_vid, report

# As a folder's name, slashes make it three; a page that does not escape it runs it.
HOSTILE = 'val/"><img/src=x/onerror=document.title=\'taken\'>&amp;%0'
CLASSES = ['<script>document.title="taken"</script>', 'dog"\' onload=alert(1)']


@pytest.fixture(scope='module')
def hostile(tmp_path_factory):
    """(data set, detections file) with names that are HTML."""
    data = OwnData(tmp_path_factory.mktemp('own') / 'a "folder" of <x> & y')
    rows = []
    for clip in ('val/v', HOSTILE):
        for i in range(LENGTH):
            names = [text(name) for name in CLASSES]
            data.image('VID', '%s/%06d' % (clip, i), data.xml(names=names))
            data.frame(clip, i).write_bytes(data.frame('train/a', i).read_bytes())
            number = len(rows) // 3
            rows += ['%d 1 0.9 5 5 24 24' % number if i % 2 else '%d 2 0.8 5 5 24 24' % number,
                     '%d 2 0.7 33 12 50 30' % number, '%d 1 0.3 0 35 9 39' % number]
    data.image_set('VID_val_videos', 'val/v 0 0 %d' % LENGTH, '%s %d 0 %d' % (HOSTILE, LENGTH, LENGTH))
    file = data.path / 'detections.txt'
    file.write_text('\n'.join(rows))
    return ImageNetVID('VID_val_videos', str(data.path), load_classes(CLASSES)), file


def written(hostile, folder, **options):
    dataset, file = hostile
    path = folder / 'report.html'
    facts = gather(dataset, str(file), **options)
    write_report(facts, str(path), 'Test of <b>"x"</b>')
    return facts, path


def test_the_page_holds_everything_and_no_script(hostile, tmp_path):
    facts, path = written(hostile, tmp_path)
    page = path.read_text(encoding='utf-8')
    assert facts.mean_ap == pytest.approx(hostile[0].evaluate(str(hostile[1])).mean_ap)
    assert 'Mean AP@0.5: %.1f' % (100 * facts.mean_ap) in page
    assert '<script' not in page and '<img/' not in page and 'Test of <b>"' not in page
    assert text(CLASSES[0]) in page and text(HOSTILE) in page and 'class: on an object' in page
    for words in ('Kinds of error', 'by class, size and speed', 'AP by clip', 'Precision and recall', 'Confusion',
                  'The worst frames', 'Misses in time'):
        assert words in page, words
    assert re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,|\./)[^"]*"', page) == [], 'from nowhere else'
    assert page.count('<img ') == 2, 'neighbouring frames of six are near copies'
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_chromium_shows_the_page_and_runs_nothing_of_its_names(hostile, tmp_path):
    _, path = written(hostile, tmp_path)
    looked = tmp_path / 'looked.html'
    looked.write_text(path.read_text(encoding='utf-8') + '''<pre id="told">{}</pre><script>
        const all = name => Array.from(document.querySelectorAll(name))
        onload = () => { document.getElementById('told').textContent = JSON.stringify({
            title: document.title, scripts: all('script').length, tables: all('table').length,
            handlers: all('*').filter(each => each.getAttributeNames().some(name => name.startsWith('on'))).length,
            widths: all('img').map(image => image.naturalWidth), polylines: all('polyline').length,
            drawn: all('rect').filter(each => each.getBoundingClientRect().width > 0).length,
            wide: document.documentElement.scrollWidth,
            links: all('a').map(each => new URL(each.getAttribute('href'), document.baseURI).href)
        }) }</script>''', encoding='utf-8')
    told = browser.told(browser.dom_of(looked.as_uri(), tmp_path / 'profile', '--window-size=1200,900'))
    assert told['title'] == 'Test of <b>"x"</b>' and told['scripts'] == 1 and told['handlers'] == 0
    assert told['widths'] == [60, 60] and told['polylines'] == 2 and told['tables'] == 5
    assert told['drawn'] >= 6, 'a cat is missed in every other frame'
    assert told['wide'] <= 1200
    frames = {browser.path_of(address) for address in told['links']}
    assert len(frames) >= 6 and all(frame.is_file() for frame in frames)


def test_the_command(hostile, tmp_path, monkeypatch, capsys):
    dataset, file = hostile
    classes = tmp_path / 'classes.txt'
    classes.write_text('\n'.join('n%d %s' % each for each in enumerate(CLASSES)))
    cameras = tmp_path / 'cameras.txt'
    cameras.write_text('front v\n')
    words = ['report.py', str(file.parent), '--dataset', dataset.path, '--image_set', 'VID_val_videos',
             '--output', str(tmp_path / 'r.html'), '--cameras', str(cameras), '--score', '0.5', '--frames', '0']
    monkeypatch.setattr(sys, 'argv', words)
    monkeypatch.setattr(report, 'open_dataset', lambda args, cfg: dataset)
    report.main()
    assert 'Mean AP@0.5 = ' in capsys.readouterr().out
    page = (tmp_path / 'r.html').read_text(encoding='utf-8')
    assert 'AP by camera' in page and 'score of 0.5' in page and '<img ' not in page


@pytest.mark.parametrize('tool', [evaluate_vid, report])
def test_detections_of_a_test_are_compared_with_what_it_tested(hostile, tmp_path, monkeypatch, capsys, tool):
    dataset, file = hostile
    folder = tmp_path / 'run'
    folder.mkdir()
    (folder / 'detections.txt').write_text(file.read_text())
    (folder / 'results.json').write_text('{"image_set": "VID_val_videos"}')
    classes, cfg = tmp_path / 'classes.txt', tmp_path / 'other.yaml'
    classes.write_text('\n'.join('n%d %s' % each for each in enumerate(CLASSES)))
    cfg.write_text('dataset: {dataset: ImageNetVID, dataset_path: %s, CLASSES: %s, NUM_CLASSES: %d, '
                   'test_image_set: VID_val_fewer}' % (dataset.path, classes, len(CLASSES) + 1))
    # The second clip alone: its frames would be given the numbers of the first one's.
    sets = os.path.join(dataset.path, 'ImageSets')
    with open(os.path.join(sets, 'VID_val_fewer.txt'), 'w', encoding='utf-8') as stream:
        stream.write('%s 0 0 %d\n' % (HOSTILE, LENGTH))
    flags = ['--detections'] * (tool is evaluate_vid) + [str(folder / 'detections.txt'), '--cfg', str(cfg)]

    def said(*more):
        monkeypatch.setattr(sys, 'argv', [tool.__name__] + flags + list(more))
        tool.main()
        output = capsys.readouterr()
        return re.search(r'Mean AP@0.5 = (\S+)', output.out).group(1), output.err
    mean, errors = said()
    assert mean == '%.4f' % dataset.evaluate(str(file)).mean_ap
    assert 'is of a test on VID_val_videos, which is taken instead of VID_val_fewer' in errors
    assert said('--image_set', 'VID_val_videos') == (mean, '')

    # The test was on another data set than the file names: --set dataset.dataset_path=FOLDER.
    cfg.write_text(cfg.read_text().replace(str(dataset.path), str(tmp_path)))
    (folder / 'made_with.json').write_text(json.dumps({'dataset': {'dataset_path': str(dataset.path)}}))
    found, errors = said('--image_set', 'VID_val_videos')
    assert found == mean and 'is of a test on the data set %s, which is taken instead of %s; --dataset names' % (
        dataset.path, tmp_path) in errors
    # One that is not there any more was moved to where the settings say.
    cfg.write_text(cfg.read_text().replace('dataset_path: %s' % tmp_path, 'dataset_path: %s' % dataset.path))
    for content in ({'dataset': {'dataset_path': str(tmp_path / 'gone')}}, {'dataset': 'x'}, []):
        (folder / 'made_with.json').write_text(json.dumps(content))
        assert said('--image_set', 'VID_val_videos') == (mean, '')


def test_the_evaluation_says_ap_by_clip_and_camera(hostile, tmp_path, monkeypatch, capsys):
    dataset, file = hostile
    cameras = tmp_path / 'cameras.txt'
    cameras.write_text('front v\n')
    monkeypatch.setattr(sys, 'argv', [
        'evaluate_vid.py', '--dataset', 'x', '--image_set', 'x', '--detections', str(file), '--by-clip',
        '--cameras', str(cameras), '--json', str(tmp_path / 'r.json')])
    monkeypatch.setattr(evaluate_vid, 'open_dataset', lambda args, cfg: dataset)
    evaluate_vid.main()
    lines = capsys.readouterr().out.splitlines()
    alone = dataset.evaluate(str(file), (0, LENGTH - 1)).mean_ap
    assert lines[0] == 'Mean AP@0.5 of val/v = %.4f (%d boxes)' % (alone, 2 * LENGTH)
    assert lines[2] == lines[0].replace('val/v', 'front') and lines[3] == lines[1] and HOSTILE in lines[1]
    found = json.loads((tmp_path / 'r.json').read_text())
    assert found['clips']['val/v'] == found['cameras']['front'] == pytest.approx(alone)
    with pytest.raises(ConfigError, match='are of whole clips: leave --numbers out'):
        evaluate_vid.parse_arguments(['--dataset', 'x', '--image_set', 'x', '--detections', 'x', '--numbers', '0-3',
                                      '--by-clip'])
    with pytest.raises(ConfigError, match='--cameras needs --detections FILE'):
        evaluate_vid.parse_arguments(['--dataset', 'x', '--image_set', 'x', '--tracks', 'x', '--cameras', 'x'])


def test_frames_that_are_gone_and_nothing_found(hostile, tmp_path):
    dataset, file = hostile
    empty = tmp_path / 'empty.txt'
    empty.write_text('')
    facts = gather(dataset, str(empty))
    assert facts.mean_ap == 0 and facts.chosen.missed.sum() == 4 * LENGTH
    clip = facts.clips[0]
    clip.pattern = clip.pattern.replace('val/v', 'val/gone')
    write_report(facts, str(tmp_path / 'r.html'), 'empty')
    assert 'cannot read image' in (tmp_path / 'r.html').read_text(encoding='utf-8')


def test_what_is_wrong_is_said(hostile, tmp_path):
    with pytest.raises(ConfigError, match='give either --cfg FILE.yaml or --dataset FOLDER'):
        report.parse_arguments(['x.txt'])
    with pytest.raises(DataError, match='holds no detections.txt: give the folder of a test run'):
        report.detections_of(str(tmp_path))
    facts = gather(hostile[0], str(hostile[1]))
    with pytest.raises(DataError, match='cannot write .*report.html'):
        write_report(facts, '/dev/null/report.html', 'x')
    with pytest.raises(DataError, match='hands out no ground truth'):
        gather(object(), str(hostile[1]))
