"""Training that is stopped, killed, starved of disk or fed with bad images,
through the real command on a tiny network."""
import os
import resource
import signal
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest

from lib.dataset.toy.toy_generator import Size, generate
from lib.engine.checkpoint import Checkpoint, find_checkpoint, positions, save_checkpoint
from lib.train.checkpointer import draws_numbers, remove_old, resume_position
from lib.utils.stop import StopRequest
from tests.helpers.marks import slow
from tests.helpers.tiny import write_experiment

TRAIN = 'rfcn/train_end2end.py'
LONG = 12           # epochs of the run to compare with
ENDLESS = 1000      # epochs, so that a run cannot end before its signal comes, however slow the machine


@pytest.fixture(scope='module')
def experiment(tmp_path_factory):
    """(folder, YAML file) of a tiny network with 8 training batches an epoch."""
    folder = tmp_path_factory.mktemp('resume')
    generate(str(folder / 'toy_vid'), Size(train_clips=1, train_length=15, stills=0, val_clips=0), workers=1)
    names = folder / 'toy_vid' / 'ImageSets' / 'VID_train_15frames.txt'
    names.write_text(''.join(line + '\n' for line in names.read_text().splitlines()[::2]))
    path = write_experiment(folder, 'rfcn', TRAIN__FLIP=False, TRAIN__end_epoch=1, TRAIN__BATCH_ROIS=16,
                            TRAIN__ENABLE_OHEM=False, TRAIN__CHECKPOINT_EVERY=3, default__frequent=1,
                            network__BN_GLOBAL_STATS=False, TRAIN__lr=0.001)
    return folder, path


def start(experiment, output, *settings, flags=(), preexec=None):
    folder, path = experiment
    command = [sys.executable, TRAIN,
               '--cfg', str(path)] + list(flags) + ['--set', 'output_path=%s' % (folder / output)] + list(settings)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                            preexec_fn=preexec, cwd=os.path.join(os.path.dirname(__file__), '..', '..'),
                            env=dict(os.environ, OMP_NUM_THREADS='1'))


def finish(process):
    out, err = process.communicate(timeout=300)
    print(out[-3000:], err[-3000:])
    return process.returncode, out, err


def run(*arguments, **options):
    return finish(start(*arguments, **options))


def prefix(experiment, output):
    return str(experiment[0] / output / 'tiny_rfcn' / 'VID_train_15frames' / 'tiny')


def final(experiment, output, epoch):
    """{name: array} of parameters and momentum at the end of an epoch."""
    where = '%s-%04d' % (prefix(experiment, output), epoch)
    return {name: array.asnumpy() for kind in ('.params', '.states')
            for name, array in mx.nd.load(where + kind).items()}


@pytest.fixture(scope='module')
def whole(experiment):
    """whole(epoch): the parameters at the end of an epoch of a run that nothing disturbs."""
    def train(end):
        status, out, _ = run(experiment, 'whole', 'TRAIN.end_epoch=%d' % end)
        assert status == 0 and 'of it waiting for data' in out
        return end
    reached = train(LONG)
    assert positions(prefix(experiment, 'whole')) == {(epoch, 0) for epoch in range(1, LONG + 1)} | {(LONG - 1, 6)}

    def parameters(epoch):
        nonlocal reached
        if epoch > reached:
            reached = train(epoch)
        return final(experiment, 'whole', epoch)
    return parameters


def stop_after(process, text, number):
    """Read the output until `text` is in it, then send the signal; returns what was read."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            process.send_signal(number)
            return ''.join(lines)
    raise AssertionError('no %r in: %s' % (text, ''.join(lines) + process.stderr.read()))


def stopped_run(experiment, output, number):
    """Send the signal to a run in its second epoch; returns (status, stderr, its newest whole checkpoint)."""
    process = start(experiment, output, 'TRAIN.end_epoch=%d' % ENDLESS)
    stop_after(process, 'epoch 2 batch 4/8', number)
    status, _, err = finish(process)
    return status, err, find_checkpoint(prefix(experiment, output))


def check_resumed(experiment, output, whole, end):
    """Resume the run up to the end of an epoch and compare its parameters; returns its output."""
    status, out, _ = run(experiment, output, 'TRAIN.end_epoch=%d' % end, flags=['--resume'])
    resumed, undisturbed = final(experiment, output, end), whole(end)
    assert status == 0 and resumed.keys() == undisturbed.keys()
    assert all(np.array_equal(resumed[name], undisturbed[name]) for name in resumed)
    return out


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_numbers(experiment, whole):
    status, _, at = stopped_run(experiment, 'killed', signal.SIGKILL)
    assert status == -9 and (at.epoch, at.batch) >= (1, 0)
    out = check_resumed(experiment, 'killed', whole, at.epoch + 1)
    assert 'resuming from %s' % at.params_file in out and 'epoch %d batch %d/8' % (at.epoch + 1, at.batch + 1) in out


@pytest.mark.slow
def test_a_stopped_run_goes_on_from_the_newest_whole_checkpoint(experiment, whole):
    status, err, newest = stopped_run(experiment, 'stopped', signal.SIGTERM)
    assert status == 143 and 'Traceback' not in err and (newest.epoch, newest.batch) >= (1, 4)
    assert 'stopping after this batch, with a checkpoint' in err
    assert '--resume continues from %s' % newest.params_file in err
    with open(newest.states_file, 'r+b') as stream:
        stream.truncate(os.path.getsize(newest.states_file) // 2)
    out = check_resumed(experiment, 'stopped', whole, newest.epoch + 1)
    assert 'passed over: %s is damaged' % newest.states_file in out and 'resuming from ' in out


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint(experiment, whole):
    status, err, newest = stopped_run(experiment, 'interrupted', signal.SIGINT)
    assert status == 130 and 'Traceback' not in err and '--resume continues from %s' % newest.params_file in err
    check_resumed(experiment, 'interrupted', whole, newest.epoch + 1)


def test_the_first_signal_asks_and_the_second_ends():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
def test_no_room_for_a_checkpoint_ends_with_one_line(experiment):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))     # of every file
    status, _, err = run(experiment, 'limited', preexec=limit)
    assert status == 2 and err.count('error: ') == 1 and 'Traceback' not in err
    assert 'cannot write ' in err and 'Training stops here; there is no checkpoint yet' in err
    assert positions(prefix(experiment, 'limited'), 'params') == set()


@pytest.fixture
def disk(experiment):
    """disk(options): a file system in memory, mounted, or mounted anew with other options,
    as the output folder 'disk'."""
    folder = experiment[0] / 'disk'
    folder.mkdir(exist_ok=True)

    def mount(options):
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'none', str(folder)], stderr=subprocess.PIPE,
                              universal_newlines=True)
        if done.returncode:
            pytest.skip('a file system in memory cannot be mounted here (Linux and root are needed): %s'
                        % done.stderr.strip())
    yield mount
    if os.path.ismount(str(folder)):
        subprocess.run(['umount', str(folder)], check=True)


@pytest.mark.slow
def test_on_a_full_disk_it_stops_and_goes_on_when_there_is_room(experiment, whole, disk):
    disk('size=2500k')               # room for one checkpoint of 1.7 MB
    status, out, err = run(experiment, 'disk')
    start = find_checkpoint(prefix(experiment, 'disk'))
    assert status == 2 and err.count('error: ') == 1 and 'Traceback' not in err and (start.epoch, start.batch) == (0, 3)
    assert 'error: cannot write %s' % prefix(experiment, 'disk') in err
    assert '--resume continues from %s' % start.params_file in err
    assert positions(prefix(experiment, 'disk'), 'params') == {(0, 3)}
    assert not list((experiment[0] / 'disk').rglob('.*tmp*'))
    disk('remount,size=50m')
    check_resumed(experiment, 'disk', whole, 1)

    disk('remount,ro')
    status, _, err = run(experiment, 'disk', flags=['--resume'])
    assert status == 2 and err.count('error: cannot write to the output folder') == 1 and 'Traceback' not in err


@pytest.mark.parametrize('settings, message', [
    (['TRAIN.lr=1e30'], 'is nan'),
    slow(['TRAIN.MAX_LOSS=1e-6'], '(above TRAIN.MAX_LOSS, 1e-06) in epoch 1, batch 1, with the images '),
])
def test_a_loss_that_is_no_number_ends_the_run(experiment, settings, message):
    status, _, err = run(experiment, 'diverged', *settings)
    assert status == 2 and 'error: training diverged: ' in err and 'Traceback' not in err
    assert message in err and '.JPEG' in err and 'effective learning rate' in err and 'TRAIN.clip_gradient' in err
    assert positions(prefix(experiment, 'diverged'), 'params') == set()


@pytest.mark.slow
def test_clipped_gradients_keep_it_from_diverging(experiment):
    status, _, _ = run(experiment, 'clipped', 'TRAIN.lr=1e-6', 'TRAIN.clip_gradient=1e-3')
    assert status == 0
    one = final(experiment, 'clipped', 1)
    # Momentum is at most lr * clip / (1 - momentum), plus the decay of the weights.
    assert np.abs(one['rfcn_cls_bias']).max() <= 1e-6 * 1e-3 / (1 - 0.9)


@pytest.mark.slow
def test_bad_images_are_left_out_and_listed_on_request(experiment):
    folder, _ = experiment
    frames = sorted((folder / 'toy_vid' / 'Data' / 'VID').rglob('*.JPEG'))
    contents = {frames[2]: frames[2].read_bytes(), frames[4]: frames[4].read_bytes()}
    try:
        frames[2].write_bytes(contents[frames[2]][:-200])
        frames[4].write_bytes(b'nothing')
        status, _, err = run(experiment, 'bad')
        assert status == 2 and '%s (' % frames[2] in err and 'breaks off before its end' in err
        status, out, _ = run(experiment, 'bad', 'TRAIN.SKIP_BAD_IMAGES=true')
    finally:
        for path, content in contents.items():
            path.write_bytes(content)
    assert status == 0 and 'epoch 1 batch 8/8' in out
    listed = [line for line in out.splitlines() if 'left out (TRAIN.SKIP_BAD_IMAGES)' in line]
    assert len(listed) == 2 and any('%s is cut short' % frames[2] in line for line in listed)
    assert any('cannot decode image %s' % frames[4] in line for line in listed)


def test_of_checkpoints_within_epochs_the_newest_two_stay(tmp_path):
    where = str(tmp_path / 'm')
    for epoch, batch in ((0, 5), (0, 10), (1, 0), (1, 5)):
        save_checkpoint(where, epoch, {'w': mx.nd.ones(2)}, {}, {}, 1, batch=batch)
        remove_old(where)
    assert positions(where) == positions(where, 'states') == {(1, 0), (1, 5)}
    save_checkpoint(where, 2, {'w': mx.nd.ones(2)}, {}, {}, 1)
    remove_old(where)
    assert positions(where) == {(1, 0), (1, 5), (2, 0)}


def test_another_batch_size_goes_on_at_the_same_share_of_the_epoch():
    lines = []
    at = Checkpoint(1, 50, 'p', 's', 150, {'batches_per_epoch': 100})
    assert resume_position(at, 100, lines.append) == (50, 150) and not lines
    assert resume_position(at, 25, lines.append) == (12, 38) and '100 batches an epoch, this one has 25' in lines[0]


def test_networks_that_draw_random_numbers_are_recognised():
    data = mx.sym.Variable('data')
    assert draws_numbers(mx.sym.Dropout(data)) and draws_numbers(mx.sym.random.uniform_like(data))
    assert not draws_numbers(mx.sym.FullyConnected(data, num_hidden=2))


@pytest.mark.slow
def test_augmented_and_balanced_runs_resume_exactly(experiment):
    varied = ['TRAIN.PHOTOMETRIC=true', 'TRAIN.RANDOM_CROP=0.5', 'TRAIN.ZOOM_OUT=0.3', 'TRAIN.BALANCE=1.0',
              'SCALES=[[64,96],[48,80]]']
    assert run(experiment, 'varied', 'TRAIN.end_epoch=2', *varied)[0] == 0
    status, out, _ = run(experiment, 'resumed', 'TRAIN.end_epoch=1', *varied)
    assert status == 0 and 'TRAIN.BALANCE 1: ' in out
    assert run(experiment, 'resumed', 'TRAIN.end_epoch=2', *varied, flags=['--resume'])[0] == 0
    expected, resumed = final(experiment, 'varied', 2), final(experiment, 'resumed', 2)
    assert expected.keys() == resumed.keys() and all(np.array_equal(expected[name], resumed[name]) for name in expected)
    status, out, _ = run(experiment, 'resumed', 'TRAIN.end_epoch=3', *varied, 'TRAIN.RANDOM_CROP=0', flags=['--resume'])
    assert status == 0 and 'TRAIN.RANDOM_CROP 0.5 -> 0.0: counts from the next batch on' in out
