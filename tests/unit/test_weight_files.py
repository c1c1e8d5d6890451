"""Files of weights: what is read, what is refused, and that nothing in them is executed."""
import codecs
import pickle

import numpy as np
import pytest

from dff.errors import CheckpointError, SetupError
from lib.weights.formats import torch_file
from lib.weights.readers import read_source
from tests.helpers import foreign


def test_without_pytorch_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / 'a.pth').write_bytes(b'')
    monkeypatch.setattr(torch_file, 'import_torch', lambda: None)
    with pytest.raises(SetupError, match='needs PyTorch: `pip install -r requirements-convert.txt`'):
        read_source(tmp_path / 'a.pth')


def test_safetensors(tmp_path):
    numpy_io = pytest.importorskip('safetensors.numpy',
                                   reason='safetensors is not installed: pip install -r requirements-convert.txt')
    path = tmp_path / 'm.safetensors'
    numpy_io.save_file({'conv1.weight': np.arange(4, dtype=np.float16),
                        'bn1.num_batches_tracked': np.zeros(1, np.int64)}, str(path))
    tensors = read_source(path).tensors
    assert list(tensors) == ['conv1.weight'] and tensors['conv1.weight'].dtype == np.float32
    whole = path.read_bytes()
    for cut in (0, 1, 8, 20, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(CheckpointError, match='m.safetensors is not a .safetensors file'):
            read_source(path)


class Evil:
    def __reduce__(self):
        return exec, ('raise SystemExit("it ran")',)


class Codec:
    def __reduce__(self):
        return codecs.encode, (b'x', 'zlib')


@pytest.mark.parametrize('protocol', [0, 2, 4, 5])
def test_pickled_arrays(tmp_path, protocol):
    arrays = {'a': np.arange(6, dtype='>f8').reshape(2, 3),
              'b': np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
              'c': np.arange(3, dtype=np.uint8), 'd': np.ones((1, 2), np.float16)}
    path = tmp_path / 'w.pkl'
    path.write_bytes(pickle.dumps({'model': arrays, '__author__': 'me', 'n': np.float64(3), 'extra': {'x': 1}},
                                  protocol))
    source = read_source(path)
    assert source.author == 'me' and sorted(source.tensors) == sorted(arrays)
    for name, array in arrays.items():
        assert source.tensors[name].dtype == np.float32
        np.testing.assert_array_equal(source.tensors[name], array)


def test_pickles_of_python_2(tmp_path):
    """Text of bytes, not bytes: written here by hand as Python 2 did."""
    data = np.array([1.5, -2], '<f4').tobytes()
    text = (b"(dp1\nS'w'\np2\ncnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4\n(I0\ntS'b'\ntRp5\n"
            b"(I1\n(I2\ntcnumpy\ndtype\np6\n(S'f4'\nI0\nI1\ntRp7\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS"
            + repr(data)[1:].encode() + b"\ntbs.")
    (tmp_path / 'w.pkl').write_bytes(text)
    np.testing.assert_array_equal(read_source(tmp_path / 'w.pkl').tensors['w'], [1.5, -2])


@pytest.mark.parametrize('content, reason', [
    (lambda: pickle.dumps({'a': np.array([{}], object)}), "it holds values of type 'O8'"),
    (lambda: pickle.dumps({'conv1_w': Evil()}), 'it names builtins.exec, which no file of weights needs'),
    (lambda: pickle.dumps({'conv1_w': Codec()}), "it encodes text as 'zlib'"),
    (lambda: pickle.dumps([1]), 'holds a list, not a dictionary of weights'),
    (lambda: pickle.dumps({'model': 3, '__author__': ''}), 'its model is a int'),
    (lambda: pickle.dumps({'a': np.zeros(3)})[:-30], 'was not read'),
    (lambda: b'', 'was not read'),
    (lambda: pickle.dumps({'a': 'text'}), 'holds no tensors under names'),
])
def test_pickles_that_are_not_weights(tmp_path, content, reason):
    path = tmp_path / 'w.pkl'
    path.write_bytes(content())
    with pytest.raises(CheckpointError, match=reason):
        read_source(path)


@pytest.mark.parametrize('zipped', [True, False])
def test_torch_files_that_name_functions(torch, tmp_path, zipped):
    """Whether in the weights or beside them; both of PyTorch's formats, and a bare pickle of any name."""
    for content in ({'a': Evil()}, {'state_dict': {'a': torch.ones(2)}, 'args': Evil()}):
        torch.save(content, str(tmp_path / 'w.pth'), _use_new_zipfile_serialization=zipped)
        with pytest.raises(CheckpointError,
                           match=r'it names \S*exec, which no file of weights needs. .* nothing is executed'):
            read_source(tmp_path / 'w.pth')
    (tmp_path / 'w.pth.tar').write_bytes(pickle.dumps({'a': Evil()}))
    with pytest.raises(CheckpointError, match='w.pth.tar was not read: .* nothing is executed'):
        read_source(tmp_path / 'w.pth.tar')


def test_torch_files_with_more_than_weights(torch, tmp_path):
    """What NVIDIA's and other training scripts put beside them."""
    content = {'epoch': 3, 'best_EPE': np.float64(2.5),
               'state_dict': {'a': torch.ones(2).half(), 'n.num_batches_tracked': torch.tensor(1)}}
    for zipped in (True, False):
        torch.save(content, str(tmp_path / 'w.pth'), _use_new_zipfile_serialization=zipped)
        tensors = read_source(tmp_path / 'w.pth').tensors
        assert list(tensors) == ['a'] and tensors['a'].dtype == np.float32 and tensors['a'].tolist() == [1, 1]


def test_torch_files_that_are_not_weights(torch, tmp_path):
    path = tmp_path / 'w.pth'
    torch.save({'conv1.weight': torch.ones(4, 3, 7, 7)}, str(path))
    whole = path.read_bytes()
    for content in (b'', b'not a checkpoint', whole[:1], whole[:1000], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match='w.pth was not read: ') as caught:
            read_source(path)
        assert '\n' not in str(caught.value)
        assert 'weights_only' not in str(caught.value), 'no advice to read it unsafely'
    for content, reason in (({'a': torch.ones(2, device='meta')}, 'was not read'), (torch.ones(2), 'holds no tensors'),
                            ({'a': torch.ones(2, dtype=torch.complex64)}, 'holds no tensors'),
                            (torch.nn.Linear(1, 1), 'it names torch.nn')):
        torch.save(content, str(path))
        with pytest.raises(CheckpointError, match=reason):
            read_source(path)


@pytest.mark.parametrize('cut', [1, 7, 1000])
def test_a_caffemodel_cut_short(tmp_path, cut):
    path = foreign.write_caffemodel(tmp_path / 'm.caffemodel', [('conv1', 'Convolution', [np.ones((64, 3, 7, 7))])])
    assert read_source(path).tensors['conv1.weight'].shape == (64, 3, 7, 7)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(CheckpointError, match='m.caffemodel is not a whole .caffemodel file'):
        read_source(path)
