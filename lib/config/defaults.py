"""Default settings of the tasks: every key that a YAML file may set, with its type.

lib/config/ranges.py says what each number may be. Keys in capitals and the section names are the
original's; the YAML files written for it load unchanged.
"""
from easydict import EasyDict


def detection_defaults():
    """Settings of `rfcn` and `dff_rfcn` as a new EasyDict; the type of a default is the type of its key."""
    return EasyDict({
        'MXNET_VERSION': '',           # without effect, as others that lib/config/without_effect.py lists
        'plugins': [],                 # Python files, or folders of tasks, that register what this file names
        'output_path': './output',
        'symbol': '',
        'gpus': '',                    # '0,1' or '' / 'cpu'; 'cpu,cpu' makes two CPU devices
        'CLASS_AGNOSTIC': True,
        # shorter side, longest side allowed, pixels; of several one is drawn for each batch, and tests take the first
        'SCALES': [(600, 1000)],
        # tensorboard: training writes event files, too (requirements-tensorboard.txt)
        'default': {'frequent': 20, 'kvstore': 'device', 'tensorboard': False},
        'network': _network(),
        'dataset': _dataset(),
        'TRAIN': dict(_train(), **_augmentation(), **_watching()),
        'TEST': _test(),
    })


def fgfa_defaults():
    """Settings of `fgfa_rfcn`: those of detection, changed and added to."""
    config = detection_defaults()
    config.network.update({
        'FGFA_FEAT_DIM': 3072,         # channels of the feature (DFF_FEAT_DIM) and of its embedding together
        'BN_EPS': 2e-5,                # the original's here; R-FCN and DFF have 1e-5
    })
    config.dataset.update({'motion_iou_path': '', 'enable_detailed_eval': True})     # unused
    config.TRAIN.update({'MAX_OFFSET': 9})
    config.TEST.update({'KEY_FRAME_INTERVAL': 9})    # K: the window is K frames to each side
    return config


def segmentation_defaults():
    """Settings of `deeplab` and `dff_deeplab`: those of detection, which their demo files set too, changed
    and added to.
    """
    config = detection_defaults()
    _without_augmentation(config.TRAIN)
    config.SCALES = [(1024, 2048)]
    config.network.pop('FEATURE_STRIDE')
    config.network.update({
        # unused, as it was
        'FIXED_PARAMS_SHARED': ['conv1', 'bn_conv1', 'res2', 'bn2', 'res3', 'bn3', 'res4', 'bn4', 'gamma', 'beta'],
        # unused: the carried res5c_relu has the channels that depth and width give
        'DFF_FEAT_DIM': 2048,
        # True: the scale map multiplies the warped feature, as in the paper
        'USE_SCALE_MAP': False,
    })
    config.dataset.update({
        'dataset': 'CityScape', 'dataset_path': './data/cityscapes', 'annotation_prefix': 'gtFine',
        'image_set': 'leftImg8bit_train', 'test_image_set': 'leftImg8bit_val', 'NUM_CLASSES': 19,
    })
    config.TRAIN.update({
        'lr': 0.0005, 'lr_step': '40.336', 'warmup': True, 'warmup_lr': 0.00005, 'warmup_step': 1000,
        'end_epoch': 53, 'ENABLE_OHEM': False, 'MIN_OFFSET': -4,
        'ENABLE_CROP': True, 'CROP_HEIGHT': 768, 'CROP_WIDTH': 1024,   # pixels of the scaled image
        'RANDOM_SCALE': [1.0, 1.0],                  # before the crop, SCALES times a factor drawn from here
    })
    config.TEST.update({'KEY_FRAME_INTERVAL': 5})
    return config


def flow_defaults():
    """Settings of the flow network's own training (experiments/flownet): those of detection, changed and added to."""
    config = detection_defaults()
    _without_augmentation(config.TRAIN)
    for key in _watching():
        config.TRAIN.pop(key)
    config.default.pop('tensorboard')
    config.SCALES = [(192, 320)]                     # pixels of the pairs; what is larger is cut
    config.dataset.update({
        'dataset': 'SyntheticPairs',                 # or FlyingChairs
        'dataset_path': './data/FlyingChairs_release', 'image_set': 'train', 'test_image_set': 'val',
        'MOTION': 12.0,                              # synthetic pairs: standard deviation of a shape's shift, pixels
        'TEXTURES': '',                              # synthetic pairs: a folder of images to cut from; '': noise
    })
    config.TRAIN.update({'lr': 0.0001, 'BATCH_IMAGES': 8, 'BATCHES': 600000, 'AUGMENT': True})
    config.TEST.pop('WORKERS')
    config.TEST.update({'PAIRS': 100})               # pairs to measure on
    return config


def _network():
    return {
        'pretrained': '', 'pretrained_flow': '', 'pretrained_epoch': 0,
        'PIXEL_MEANS': [103.06, 115.90, 123.15],     # blue, green, red
        'IMAGE_STRIDE': 0,
        'FEATURE_STRIDE': 16,                        # pixels for a cell of the feature map: 16, or 8 for small objects
        'RPN_FEAT_STRIDE': 16, 'RCNN_FEAT_STRIDE': 16,      # follow FEATURE_STRIDE
        'FIXED_PARAMS': ['conv1', 'bn_conv1', 'res2', 'bn2', 'gamma', 'beta'],
        'FIXED_PARAMS_RULE': 'prefix',               # or substring: which names an entry freezes
        # sides in units of 16 pixels, whatever FEATURE_STRIDE is
        'ANCHOR_SCALES': [8.0, 16.0, 32.0], 'ANCHOR_RATIOS': [0.5, 1.0, 2.0], 'NUM_ANCHORS': 9,
        'NORMALIZE_RPN': True, 'ANCHOR_MEANS': [0.0, 0.0, 0.0, 0.0], 'ANCHOR_STDS': [0.1, 0.1, 0.4, 0.4],
        'DFF_FEAT_DIM': 1024,                        # channels of feat_conv_3x3, which the flow carries
        'RFCN_GROUP_SIZE': 7,                        # bins along each side of a RoI
        # For the symbols resnet_v1_rfcn and resnet_v1_flownet_rfcn, whose size is a setting:
        'backbone': 'resnet_v1', 'depth': 101, 'width': 1.0, 'flow_width': 1.0,
        'stem_width': 0.0,                           # of conv1 alone; 0: as width
        # or flownet_inception, an eighth of its work, or flownet_correlation, learned sooner
        'flow': 'flownet',
        'FLOW_PASSES': 1,                            # flow networks, each for what the one before left
        'FLOW_INPUT_SCALE': 0.5,                     # sides of the images that they see; 0.25: a quarter of the work
        'EMBED_DIM': 2048,                           # channels in which AGGREGATE compares features
        'EMBED_SHARPNESS': 1.0,                      # factor of their cosines before the softmax; 1 as in the paper
        'BN_GLOBAL_STATS': True,                     # False: batch statistics are learned (training from scratch)
        'STRIDE_IN_3X3': False,                      # True: for a backbone converted from torchvision's weights
    }


def _dataset():
    return {
        'dataset': 'ImageNetVID', 'root_path': './data', 'dataset_path': './data/ILSVRC2015',
        'image_set': 'DET_train_30classes+VID_train_15frames', 'test_image_set': 'VID_val_videos',
        'NUM_CLASSES': 31, 'CLASSES': None,          # None: ImageNet VID; a list, or a file of `id name` lines
        'proposal': 'rpn',
    }


def _train():
    return {
        'lr': 0.00025, 'lr_step': '1.333', 'lr_factor': 0.1, 'momentum': 0.9, 'wd': 0.0005,
        'warmup': False, 'warmup_lr': 0.0, 'warmup_step': 0,
        'begin_epoch': 0, 'end_epoch': 2, 'model_prefix': 'model', 'RESUME': False, 'SEED': 0,
        'CHECKPOINT_EVERY': 0,                       # batches between checkpoints within an epoch; 0: at its end only
        'clip_gradient': 0.0,                        # every value of the gradient is cut to +-this; 0: not
        'MAX_LOSS': 1000.0,                          # a batch with a loss above this ends the run, as nan does
        'SKIP_BAD_IMAGES': False,                    # True: the next image takes the place of one that cannot be used
        'FLIP': True, 'SHUFFLE': True, 'ASPECT_GROUPING': True, 'BATCH_IMAGES': 1, 'END2END': True,
        'ENABLE_OHEM': True, 'BATCH_ROIS': -1, 'BATCH_ROIS_OHEM': 128,
        'FG_FRACTION': 0.25, 'FG_THRESH': 0.5, 'BG_THRESH_HI': 0.5, 'BG_THRESH_LO': 0.0,
        'BBOX_REGRESSION_THRESH': 0.5, 'BBOX_WEIGHTS': [1.0, 1.0, 1.0, 1.0],
        'RPN_BATCH_SIZE': 256, 'RPN_FG_FRACTION': 0.5, 'RPN_POSITIVE_OVERLAP': 0.7, 'RPN_NEGATIVE_OVERLAP': 0.3,
        'RPN_CLOBBER_POSITIVES': False, 'RPN_BBOX_WEIGHTS': [1.0, 1.0, 1.0, 1.0], 'RPN_POSITIVE_WEIGHT': -1.0,
        'CXX_PROPOSAL': True, 'RPN_NMS_THRESH': 0.7, 'RPN_PRE_NMS_TOP_N': 6000, 'RPN_POST_NMS_TOP_N': 300,
        'RPN_MIN_SIZE': 0,
        'BBOX_NORMALIZATION_PRECOMPUTED': True, 'BBOX_MEANS': [0.0, 0.0, 0.0, 0.0], 'BBOX_STDS': [0.1, 0.1, 0.2, 0.2],
        'MIN_OFFSET': -9, 'MAX_OFFSET': 0,           # reference frame minus labelled frame, frames
        # recursive: the reference frame's feature is joined with that of a frame MAX_OFFSET - MIN_OFFSET + 1 before
        'AGGREGATE': 'none',
    }


def _augmentation():
    """Settings of detection's TRAIN only; lib/train/loaders/{augment,balance}.py say what they do."""
    return {
        'PHOTOMETRIC': False,                        # True: brightness, contrast, saturation and hue change
        'RANDOM_CROP': 0.0,                          # share of the images of which a part is seen, enlarged
        'ZOOM_OUT': 0.0,                             # share of the images that are shown smaller, on a canvas
        'BALANCE': 0.0,                              # classes in a smaller share of the frames come more often
    }


def _watching():
    """Settings of TRAIN that the flow network's own training has not: lib/train/watch, lib/train/averages.py."""
    return {
        # epochs, as 1 or 0.25, between tests of the parameters, of which the best are kept; 0: none
        'VALIDATE_EVERY': 0.0,
        'VALIDATE_CLIPS': 0,                         # of dataset.test_image_set, evenly spread; 0: all
        'PATIENCE': 0,                               # so many tests without a better one end training; 0: none
        'EMA': 0.0,                                  # decay of averaged parameters, as 0.999; 0: none
    }


def _without_augmentation(train):
    for key in _augmentation():
        train.pop(key)


def _test():
    return {
        'DETECT_ONLY': False,                        # True: write the detections, evaluate nothing
        'HAS_RPN': True, 'BATCH_IMAGES': 1, 'KEY_FRAME_INTERVAL': 10,
        'PRECISION': 'float32',                      # or int8, on the CPU, where that is faster
        # fixed: the first of every interval; middle: the middle one, for which frames wait half an interval;
        # both: as middle, and frames between two key frames take the features of both, for which they wait longer;
        # flow: the first, and where the image does not follow the flow
        'KEY_FRAME_POLICY': 'fixed',
        # with flow: how far the moved key frame is off, grey levels, summed
        'KEY_FRAME_MISMATCH': 80.0,
        # recursive: a key frame's feature is joined with that of the key frames before (TRAIN.AGGREGATE)
        'AGGREGATE': 'none',
        'TRACK': False,                              # True: an id for every detection, followed along the flow
        'CXX_PROPOSAL': True, 'RPN_NMS_THRESH': 0.7, 'RPN_PRE_NMS_TOP_N': 6000, 'RPN_POST_NMS_TOP_N': 300,
        'RPN_MIN_SIZE': 0, 'NMS': 0.3, 'max_per_image': 300,
        'FLIP': False,                               # True: look at the mirrored frame, too
        'SCALES': [],                                # sizes as SCALES, to look at frames at each; []: at SCALES
        'test_epoch': -1,                            # -1: the last one trained, TRAIN.end_epoch; or best
        # True: boxes of a clip that follow each other share a score; results come at the clip's end
        'SEQ_NMS': False,
        'SEQ_NMS_RESCORE': 'avg',                    # the mean of their scores, or max, the largest
        'SAVE_RAW': False,                           # True: tests save the boxes before NMS, too
        # clips that a test works on at once, each in a process with its share of the cores; auto: docs/distributed.md
        'WORKERS': 1,
    }
