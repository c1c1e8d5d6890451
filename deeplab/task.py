"""DeepLab on every frame: the one description of the task that all commands read."""
from lib.config.defaults import segmentation_defaults
from lib.tasks.task import Demo, Task, register


def _defaults():
    config = segmentation_defaults()
    config.output_path = './output/deeplab'
    config.network.FIXED_PARAMS_RULE = 'substring'   # as the original: `gamma` and `beta` freeze every normalisation
    return config


TASK = register(Task(
    name='deeplab', title='DeepLab', recognises='segmentation', defaults=_defaults, propagates=False,
    train_script='experiments/deeplab/deeplab_train_test.py',
    demo=Demo(cfg='experiments/deeplab/cfgs/deeplab_resnet_v1_101_cityscapes_segmentation_base.yaml',
              model='model/deeplab_cityscapes', input='demo/cityscapes', output='demo/deeplab',
              symbol='resnet_v1_101_deeplab'),
    shipped={'original': 'experiments/deeplab/cfgs/deeplab_resnet_v1_101_cityscapes_segmentation_base.yaml',
             'small': 'experiments/deeplab/cfgs/toy_seg_deeplab.yaml'},
))
