"""Deep Feature Flow with DeepLab: the one description of the task that all commands read."""
from lib.config.defaults import segmentation_defaults
from lib.tasks.task import Demo, Task, register


def _defaults():
    config = segmentation_defaults()
    config.output_path = './output/dff_deeplab'
    return config


TASK = register(Task(
    name='dff_deeplab', title='DFF DeepLab', recognises='segmentation', defaults=_defaults, propagates=True,
    train_script='experiments/dff_deeplab/dff_deeplab_end2end_train_test.py',
    demo=Demo(cfg='experiments/dff_deeplab/cfgs/resnet_v1_101_flownet_cityscapes_deeplab_end2end_ohem.yaml',
              model='model/dff_deeplab_cityscapes', input='demo/cityscapes', output='demo/dff_deeplab',
              symbol='resnet_v1_101_flownet_deeplab'),
    shipped={'original': 'experiments/dff_deeplab/cfgs/resnet_v1_101_flownet_cityscapes_deeplab_end2end_ohem.yaml',
             'small': 'experiments/dff_deeplab/cfgs/toy_seg_dff_deeplab.yaml'},
))
