"""R-FCN on every frame: the one description of the task that all commands read."""
from lib.config.defaults import detection_defaults
from lib.tasks.task import Demo, Task, register


def _defaults():
    config = detection_defaults()
    config.output_path = './output/rfcn'
    return config


TASK = register(Task(
    name='rfcn', title='R-FCN', recognises='detection', defaults=_defaults, propagates=False,
    train_script='experiments/rfcn/rfcn_end2end_train_test.py',
    demo=Demo(cfg='experiments/rfcn/cfgs/rfcn_vid_demo.yaml',
              model='model/rfcn_vid', input='demo/ILSVRC2015_val_00007010', output='demo/rfcn',
              symbol='resnet_v1_101_rfcn'),
    shipped={'original': 'experiments/rfcn/cfgs/resnet_v1_101_imagenet_vid_rfcn_end2end_ohem.yaml',
             'small': 'experiments/rfcn/cfgs/toy_vid_rfcn.yaml',
             'half': 'experiments/rfcn/cfgs/person_rfcn.yaml'},
))
