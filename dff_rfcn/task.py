"""Deep Feature Flow with R-FCN: the one description of the task that all commands read."""
from lib.config.defaults import detection_defaults
from lib.tasks.task import Demo, Task, register


def _defaults():
    config = detection_defaults()
    config.output_path = './output/dff_rfcn'
    return config


TASK = register(Task(
    name='dff_rfcn', title='DFF R-FCN', recognises='detection', defaults=_defaults, propagates=True,
    train_script='experiments/dff_rfcn/dff_rfcn_end2end_train_test.py',
    demo=Demo(cfg='experiments/dff_rfcn/cfgs/dff_rfcn_vid_demo.yaml',
              model='model/rfcn_dff_flownet_vid', input='demo/ILSVRC2015_val_00007010', output='demo/rfcn_dff',
              symbol='resnet_v1_101_flownet_rfcn'),
    shipped={'original': 'experiments/dff_rfcn/cfgs/resnet_v1_101_flownet_imagenet_vid_rfcn_end2end_ohem.yaml',
             'small': 'experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml',
             'half': 'experiments/dff_rfcn/cfgs/person_dff_rfcn.yaml'},
))
