"""Exported folders made to do harm: refused in one line, before anything is bound."""
import pytest

from lib.inference.exported import exported_settings
from dff.errors import CheckpointError
from tests.helpers.exported_tools import NATIVE, attributes, folders, open_folder  # noqa: F401  (fixtures)

native = pytest.mark.skipif(not NATIVE, reason='the native operators are not built')


@pytest.mark.parametrize(
    'task, name, op, values',
    [
        ('rfcn-flownet', 'frame', 'DFFProposal', dict(rpn_post_nms_top_n=2**29 + 1)),
        (
            'dff_rfcn-flownet_correlation',
            'current',
            'DFFCorrelation',
            dict(max_displacement=2**30 - 100),
        ),
        ('rfcn-flownet', 'frame', 'DFFPSROIPooling', dict(group_size=65536)),
        ('rfcn-flownet', 'frame', 'DFFProposal', dict(scales='(1e300, 2, 3)')),
        ('dff_rfcn-flownet', 'current', 'DFFImagePair', dict(factor='nan')),
    ],
)
@native
def test_attributes_beyond_their_range(open_folder, task, name, op, values):  # noqa: F811
    edited = open_folder(task)
    edited.node(name + '.*.json', op, attributes(**values))
    assert 'expected' in edited.refusal() and repr(op) in edited.refusal()


@pytest.mark.parametrize('op', ['DFFProposal', 'DFFPSROIPooling', 'DFFFlowWarp', 'DFFImagePair'])
@native
def test_fewer_inputs_than_an_operator_has(open_folder, op):  # noqa: F811
    edited = open_folder('dff_rfcn-flownet')
    edited.node('current.*.json', op, lambda node: node['inputs'].pop())
    assert 'inputs, needs' in edited.refusal()


@pytest.mark.parametrize(
    'op, number, values, message',
    [
        ('Convolution', 0, dict(num_filter=2**32 - 1), 'expected from 1 to 65536'),
        ('Convolution', 0, dict(num_group=0), 'expected from 1 to 65536'),  # MXNet divides by it
        ('Convolution', 3, dict(num_filter=4096), 'parameter'),
        ('_contrib_PSROIPooling', 0, dict(output_dim=99), 'does not fit shapes'),
        ('_contrib_PSROIPooling', 0, dict(group_size=1), 'does not fit shapes'),
        ('_contrib_Proposal', 0, dict(scales='(8.0,)'), 'does not fit shapes'),
        ('_contrib_Proposal', 0, dict(feature_stride=0), 'expected from 1 to 4096'),
        ('Reshape', -1, dict(shape='(-1, 7, 8)'), 'does not fit shapes'),  # which MXNet infers
        ('softmax', 1, dict(axis=3), 'does not fit shapes'),
        ('Pooling', 0, dict(workspace=1), "has the attribute 'workspace'"),
        ('Convolution', 0, dict(kernel='(9999, 9999)'), 'expected from 1 to 64'),
    ],
)
def test_sizes_that_mxnet_trusts(open_folder, op, number, values, message):  # noqa: F811
    edited = open_folder('rfcn-flownet', built_in=True)
    edited.node('frame.*.json', op, attributes(**values), number)
    assert message in edited.refusal()


def test_regions_must_be_proposals(open_folder):  # noqa: F811
    edited = open_folder('rfcn-flownet', built_in=True)

    def own_regions(tree):
        place = next(
            n for n, node in enumerate(tree['nodes']) if node['op'] == '_contrib_PSROIPooling'
        )
        regions = tree['nodes'][place]['inputs'][1]
        tree['nodes'].insert(
            place,
            {
                'op': '_mul_scalar',
                'name': 'moved',
                'attrs': {'scalar': '9'},
                'inputs': [list(regions)],
            },
        )
        for node in tree['nodes'][place + 1 :]:
            for end in node['inputs']:
                end[0] += end[0] >= place
        for end in tree['heads']:
            end[0] += end[0] >= place
        tree['nodes'][place + 1]['inputs'][1] = [place, 0, 0]
        tree['arg_nodes'] = [n for n, node in enumerate(tree['nodes']) if node['op'] == 'null']

    edited.change('frame.*.json', own_regions)
    assert 'are no proposals' in edited.refusal()


def test_a_parameter_has_no_shape_of_its_own(open_folder):  # noqa: F811
    """MXNet wrote outside its memory when it asked a native operator about such a node."""
    edited = open_folder('dff_rfcn-flownet')

    def wire(tree):
        weight = next(
            n for n, node in enumerate(tree['nodes']) if node['name'].endswith('_weight')
        )
        op = 'DFFFlowWarp' if NATIVE else 'BilinearSampler'
        next(node for node in tree['nodes'] if node['op'] == op)['inputs'][1] = [weight, 0, 0]

    edited.change('current.*.json', wire)
    assert 'is a parameter, and input 1 of node' in edited.refusal()


def chain(tree, count):
    for number in range(count):
        tree['nodes'].append(
            {'op': '_copy', 'name': 'c%d' % number, 'inputs': [[tree['heads'][0][0], 0, 0]]}
        )
        tree['heads'][0] = [len(tree['nodes']) - 1, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    'edit, message',
    [
        (lambda tree: tree['heads'].pop(), 'detection takes 3 outputs, it has 2'),
        (lambda tree: tree['heads'].reverse(), 'are not those of detection with 4 classes'),
        (
            lambda tree: tree['heads'].extend([tree['heads'][0]] * 30),
            'it has 33 heads, more than 16',
        ),
        (lambda tree: chain(tree, 100000), 'it has 100'),
        (lambda tree: chain(tree, 500000), 'it is larger than 16777216 bytes'),
        (
            lambda tree: tree['nodes'][3].update(name=tree['nodes'][2]['name']),
            'is no name of a node, or is in it twice',
        ),
        (lambda tree: tree['nodes'][3].update(name='a\nb'), r"'a\nb' is no name of a node"),
        (
            lambda tree: tree['nodes'][0].update(attrs={'__shape__': '(9, 9)'}),
            "has the attribute '__shape__'",
        ),
        (lambda tree: tree['nodes'][0].update(name='data_key'), 'its inputs are data_key'),
        (
            lambda tree: [
                node['inputs'].clear() for node in tree['nodes'] if node['op'] == 'Activation'
            ],
            'has 0 inputs, needs 1',
        ),
    ],
)
def test_heads_and_nodes(open_folder, edit, message):  # noqa: F811
    edited = open_folder('rfcn-flownet')
    edited.change('frame.*.json', edit)
    refusal = edited.refusal()
    assert message in refusal and 'frame.%s.json is refused: ' % edited.kind in refusal


@pytest.mark.parametrize(
    'values, message',
    [
        (
            dict(dataset={'dataset': 'ImageNetVID', 'NUM_CLASSES': 4, 'CLASSES': '/etc/passwd'}),
            'CLASSES is no list of names',
        ),
        (
            dict(dataset={'dataset': 'ImageNetVID', 'NUM_CLASSES': 4, 'CLASSES': [3]}),
            'CLASSES is no list of names',
        ),
        (
            dict(dataset={'dataset': 'ImageNetVID', 'NUM_CLASSES': 4}),
            'CLASSES is no list of names',
        ),
        (
            dict(dataset={'CLASSES': ['a'], 'dataset_path': '/etc'}),
            "there is a setting 'dataset_path'",
        ),
        (dict(output_path='/etc'), "there is a setting 'output_path'"),
        (dict(SCALES=[600, 100000]), 'SCALES is not two sides'),
        (dict(SCALES=[8000, 8000]), 'SCALES is not two sides'),
        (dict(SCALES=[[64, 96]]), 'SCALES is not two sides'),
        (dict(SCALES=[True, 96]), 'SCALES is not two sides'),
        (dict(network={'IMAGE_STRIDE': 2**31}), 'IMAGE_STRIDE is'),
        (dict(network=3), 'its settings lack a section'),
        (dict(TEST=[]), 'its settings lack a section'),
        (dict(TEST={'NMS': float('nan')}), 'settings.TEST.NMS is nan'),
        (dict(TEST={'max_per_image': 10**400}), 'max_per_image is 1000'),
        (dict(TEST={'a\nb': 1}), 'settings.TEST is'),
        (dict(network={'a': [[[[[1]]]]]}), 'is a tree of its own'),
    ],
)
def test_settings_name_no_file_and_no_huge_size(open_folder, values, message):  # noqa: F811
    edited = open_folder('rfcn-flownet')
    edited.settings(**values)
    refusal = edited.refusal()
    assert message in refusal and 'model.json is refused: ' in refusal
    with pytest.raises(CheckpointError):
        exported_settings(str(edited.path))
