"""Testing of both detection tasks: from a checkpoint to detections and their mean average precision."""
import glob
import os
import re

from lib.engine.devices import contexts
from lib.inference.clip_results import ClipResults, file_digest, write_json
from lib.inference.clip_runner import run_clips
from lib.engine.distributed import collects, own_part, place
from lib.inference.networks import has_flow
from lib.inference.predictor import VideoDetector, load_test_params
from lib.dataset.registry import get_dataset
from lib.symbols.registry import get_symbol_instance
from dff.errors import CheckpointError
from lib.utils.log import create_logger, output_folder

def test_net(config, cfg_path, task, thresh=1e-3, interval=None, vis=False, ignore_cache=False):
    """Detect in every clip of dataset.test_image_set and evaluate.

    task: 'rfcn' or 'dff_rfcn', for messages. Finished clips of an earlier run with the same parameters and settings
    are kept unless `ignore_cache`. Workers of tools/launch.py share the clips, and the first one evaluates. Returns what results.json
    holds ('mAP', 'AP' by class, 'ms', 'frames', ...), None in the other workers.
    Raises ConfigError, DataError, CheckpointError, SetupError.
    """
    logger, folder = create_logger(config, cfg_path, config.dataset.test_image_set, quiet=place()[0] > 0)
    devices = contexts(config.gpus, logger.info)
    dataset = get_dataset(config, config.dataset.test_image_set, 'detection')
    clips = dataset.clips()
    file, prefix = parameter_file(config, cfg_path, task)
    if not has_flow(get_symbol_instance(config)):
        interval = 1
    interval = interval or config.TEST.KEY_FRAME_INTERVAL
    policy = {'fixed': '', 'middle': '_middle', 'flow': '_mismatch%g' % config.TEST.KEY_FRAME_MISMATCH}[config.TEST.KEY_FRAME_POLICY]
    variant = policy + ('_int8' if config.TEST.PRECISION == 'int8' else '')
    results = ClipResults(os.path.join(folder, '%s_interval%d%s' % (os.path.basename(file)[:-len('.params')], interval, variant)),
                          origin(config, file, thresh, interval), logger.info, ignore_cache)
    own = own_part(clips, ignore_cache)
    pending = [clip for clip in own if not results.finished(clip, vis)]
    if len(pending) < len(own):
        logger.info('%d of %d clips are finished and kept; --ignore_cache runs them again', len(own) - len(pending), len(own))
    if pending:
        params = load_test_params(prefix, config.TEST.test_epoch, logger.info)

        def make_detector(device):
            return VideoDetector(config, get_symbol_instance(config), *params, device, interval, thresh, source=file)
        run_clips(pending, devices, make_detector, results, dataset.classes if vis else None)
    if not collects(clips, lambda clip: results.finished(clip, vis)):
        return None
    detections, timing = results.merge(clips)
    return report(dataset.evaluate(detections), timing, results, logger,
                  {'detections': detections, 'parameters': file, 'interval': interval, 'image_set': config.dataset.test_image_set})


def parameter_file(config, cfg_path, task):
    """(file, prefix) of the parameters that training wrote; CheckpointError where there is none."""
    prefix = os.path.join(output_folder(config, cfg_path, config.dataset.image_set), config.TRAIN.model_prefix)
    file = '%s-%04d.params' % (prefix, config.TEST.test_epoch)
    if not os.path.isfile(file):
        found = (re.search(r'-(\d{4})\.params$', name) for name in glob.glob(glob.escape(prefix) + '-*'))
        epochs = sorted(int(match.group(1)) for match in found if match)
        if epochs:
            hint = 'set TEST.test_epoch to one that is there (%s)' % ', '.join(map(str, epochs))
        else:
            script = 'train_test' if task == 'deeplab' else 'end2end_train_test'       # as in the original
            hint = 'train first: python experiments/%s/%s_%s.py --cfg %s' % (task, task, script, cfg_path)
        raise CheckpointError('no parameters of epoch %d (TEST.test_epoch) at %s; %s' % (config.TEST.test_epoch, file, hint))
    return file, prefix


def origin(config, file, thresh, interval):
    """Everything that the detections depend on, for ClipResults."""
    parts = {key: config[key] for key in ('symbol', 'CLASS_AGNOSTIC', 'SCALES')}
    parts.update(network={key: value for key, value in config.network.items() if not key.startswith(('pretrained', 'FIXED_PARAMS'))},
                 dataset={key: config.dataset[key] for key in ('dataset', 'dataset_path', 'NUM_CLASSES')},
                 TEST={key: value for key, value in config.TEST.items() if key not in ('KEY_FRAME_INTERVAL', 'test_epoch')},
                 thresh=thresh, interval=interval, parameters=file_digest(file))
    return parts


def report(evaluation, timing, results, logger, facts):
    """Log AP and time, write results.json, return what it holds: `facts`, 'mAP', 'AP', 'ms', 'frames', 'key_frames'."""
    for line in evaluation.lines() + timing.describe().splitlines():
        logger.info(line)
    numbers = dict(facts, mAP=evaluation.mean_ap, AP=evaluation.ap, ms=timing.milliseconds(),
                   frames=sum(timing.counts.values()), key_frames=timing.counts['key'])
    path = os.path.join(results.folder, 'results.json')
    write_json(path, numbers)
    logger.info('detections: %s; all figures: %s', facts['detections'], path)
    return numbers
