"""Building and loading the native library: what is missing or does not fit is said in one line and
never ends the program."""
import ctypes
import glob
import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.operator_cxx import build, cuda_image, loader, sources

built = pytest.mark.skipif(sources.read_manifest() is None,
                           reason='the native operators are not built (sh init.sh builds them)')

# Loads the operators from a copied build folder and runs one, native or not.
SCRIPT = '''
import logging, sys
sys.path.insert(0, {root!r})
import lib
from lib.operator_cxx import loader, sources
logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stdout)
sources.BUILD, sources.MANIFEST = {folder!r}, {folder!r} + '/library.json'
import mxnet as mx
from lib.symbols import operators
print('native', loader.load(), loader.load())
symbol = operators.flow_warp(mx.sym.Variable('a'), mx.sym.Variable('b'))
print(symbol.bind(mx.cpu(), [mx.nd.ones((1, 1, 2, 3)), mx.nd.zeros((1, 2, 2, 3))]).forward()[0].sum().asscalar())
'''


def run_with(root, folder, environment=None):
    """Output of a process that loads the operators from `folder`."""
    result = subprocess.run([sys.executable, '-c', SCRIPT.format(root=str(root), folder=str(folder))],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                            env=dict(os.environ, **(environment or {})))
    assert result.returncode == 0 and result.stdout.strip().endswith('6.0'), result.stdout
    return result.stdout


@pytest.fixture
def copy(tmp_path):
    """A copy of the build folder and its manifest, for spoiling."""
    folder = tmp_path / 'build'
    shutil.copytree(sources.BUILD, str(folder))
    return folder, sources.read_manifest()


@built
def test_native_is_loaded_once(root, copy):
    text = run_with(root, copy[0])
    assert 'native True True' in text
    assert text.count('operators: native') == 1


@built
def test_built_in_on_request(root, copy):
    text = run_with(root, copy[0], {'DFF_NATIVE': '0'})
    assert "operators: MXNet's own" in text and 'DFF_NATIVE=0 in the environment' in text
    assert 'native False False' in text


@built
def test_a_damaged_library_falls_back(root, copy):
    folder, manifest = copy
    library = folder / manifest['library']
    library.unlink()
    library.write_bytes(b'\x7fELF damaged')
    text = run_with(root, folder)
    assert "operators: MXNet's own" in text and 'does not load' in text


@built
def test_a_library_of_another_interface_falls_back(root, copy):
    folder, manifest = copy
    target = folder / manifest['library']
    target.unlink()
    source = folder / 'other.cc'
    source.write_text('extern "C" int _opVersion() { return 7; }\nextern "C" int initialize(int) { return 0; }\n')
    try:
        build.run([build.find_compiler(), '-shared', '-fPIC', str(source), '-o', str(target)])
    except build.BuildError as error:
        pytest.skip(str(error))
    assert 'does not load' in run_with(root, folder)


@built
@pytest.mark.parametrize('change, message', [
    (dict(mxnet='1.8.0'), 'the library was built for MXNet 1.8.0, this is 1.9.1; run `sh init.sh`'),
    (dict(sources='other'), 'the sources have changed since the library was built; run `sh init.sh`'),
    (dict(library='gone.so'), 'gone.so is missing; run `sh init.sh`'),
    (dict(library=None), 'the native library is not built; run `sh init.sh`'),
])
def test_a_library_that_does_not_fit(monkeypatch, copy, change, message):
    folder, manifest = copy
    (folder / 'library.json').write_text(json.dumps(dict(manifest, **change)))
    monkeypatch.setattr(sources, 'BUILD', str(folder))
    monkeypatch.setattr(sources, 'MANIFEST', str(folder / 'library.json'))
    with pytest.raises(loader._Unfit, match=message.replace('.', r'\.')):
        loader.library_path('1.9.1')


def test_an_unreadable_manifest_is_no_manifest(monkeypatch, tmp_path):
    (tmp_path / 'library.json').write_text('{"library": ')
    monkeypatch.setattr(sources, 'MANIFEST', str(tmp_path / 'library.json'))
    assert sources.read_manifest() is None


@built
def test_post_processing_without_the_library(monkeypatch, caplog):
    monkeypatch.setenv('DFF_NATIVE', '0')
    loader.c_library.cache_clear()
    try:
        with caplog.at_level(logging.INFO, 'dff.native'):
            assert loader.c_library() is None
        assert 'post-processing: NumPy: DFF_NATIVE=0' in caplog.text
    finally:
        loader.c_library.cache_clear()


def test_building_without_a_compiler_is_one_warning(root, tmp_path):
    result = subprocess.run([sys.executable, str(root / 'lib/operator_cxx/build.py')], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, universal_newlines=True,
                            env=dict(os.environ, PATH=str(tmp_path), CXX=''))
    assert result.returncode == 0
    assert result.stderr == ("warning: the native operators are not built (no C++ compiler (g++, c++, clang++): "
                             "install g++ and run `sh init.sh` again); MXNet's own are used, slower\n")


@built
def test_building_again_takes_no_compilation(monkeypatch):
    monkeypatch.setattr(build, 'compile_library', None)
    assert build.build().startswith('native operators are up to date')


def test_building_where_nothing_can_be_written_is_an_os_error(monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('')
    monkeypatch.setattr(sources, 'BUILD', str(tmp_path / 'file' / 'build'))
    monkeypatch.setattr(sources, 'MANIFEST', str(tmp_path / 'file' / 'build' / 'library.json'))
    with pytest.raises(OSError):  # main() turns it into the warning
        build.build()


def test_a_failing_compilation_names_its_first_error(tmp_path):
    source = tmp_path / 'bad.cc'
    source.write_text('int x = ;\n')
    try:
        compiler = build.find_compiler()
    except build.BuildError as error:
        pytest.skip(str(error))
    with pytest.raises(build.BuildError, match='failed: .*bad.cc:1.*error'):
        build.run([compiler, '-c', str(source), '-o', str(tmp_path / 'bad.o')])


def test_merged_source_stands_alone():
    text = cuda_image.merged_source()
    assert '#include "' not in text
    assert text.count('struct WarpTap {') == 1
    kernels = sum(Path(path).read_text().count('extern "C" __global__') for path in sources.find('cu'))
    assert text.count('extern "C" __global__') == kernels > 15


@pytest.mark.slow
@pytest.mark.skipif(cuda_image.find_nvcc() is None, reason='no nvcc')
def test_kernels_compile_with_nvcc(tmp_path):
    done = cuda_image.write(str(tmp_path), cuda_image.find_nvcc(), build.run, build.BuildError)
    assert done.startswith('CUDA kernels for compute capability')
    assert (tmp_path / 'kernels.fatbin').stat().st_size > 10000


def test_kernels_compile_with_nvrtc():
    spec = importlib.util.find_spec('nvidia')
    found = [path for folder in (spec.submodule_search_locations if spec else ())
             for path in glob.glob(os.path.join(folder, 'cuda_nvrtc', 'lib', 'libnvrtc.so.*'))]
    if not found:
        pytest.skip('no NVRTC (pip install nvidia-cuda-nvrtc-cu11)')
    nvrtc, program, size = ctypes.CDLL(found[0]), ctypes.c_void_p(), ctypes.c_size_t()
    text = cuda_image.merged_source().encode()
    for capability in (52, 70, 86):
        assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b'kernels.cu', 0, None, None) == 0
        options = (ctypes.c_char_p * 3)(b'--gpu-architecture=compute_%d' % capability, b'--std=c++11', b'--fmad=false')
        failed = nvrtc.nvrtcCompileProgram(program, 3, options)
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        assert not failed, log.value.decode()


def test_without_nvcc_the_library_holds_the_source_only(tmp_path):
    assert 'no nvcc' in cuda_image.write(str(tmp_path), None, build.run, build.BuildError)
    assert (tmp_path / 'kernels.fatbin').stat().st_size == 0
    assert '__global__' in (tmp_path / 'kernels.cu').read_text()
