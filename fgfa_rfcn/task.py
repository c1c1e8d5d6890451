"""Flow-Guided Feature Aggregation with R-FCN: the one description of the task that all commands read."""
from lib.config.defaults import fgfa_defaults
from lib.tasks.task import Demo, Task, register


def _defaults():
    config = fgfa_defaults()
    config.output_path = './output/fgfa_rfcn'
    return config


TASK = register(Task(
    name='fgfa_rfcn', title='FGFA R-FCN', recognises='detection', defaults=_defaults, propagates=True, references=2,
    train_script='experiments/fgfa_rfcn/fgfa_rfcn_end2end_train_test.py',
    demo=Demo(cfg='experiments/fgfa_rfcn/cfgs/fgfa_rfcn_vid_demo.yaml',
              model='model/rfcn_fgfa_flownet_vid', input='demo/ILSVRC2015_val_00007010', output='demo/rfcn_fgfa',
              symbol='resnet_v1_101_fgfa_rfcn'),
    other_names={'resnet_v1_101_flownet_rfcn': 'resnet_v1_101_fgfa_rfcn'},
))
