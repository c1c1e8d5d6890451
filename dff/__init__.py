"""Deep Feature Flow on video: everything that runs on frames and needs neither MXNet nor `lib`.

    import dff
    detector = dff.load('exported/')                  # a folder that tools/export_model.py wrote
    for frame in detector('video.mp4', interval=10):
        print(frame.boxes, frame.scores, frame.names, frame.track_ids)

Public are `load`, what dff.runtime.model.Model and its results offer, and the errors; docs/python-api.md
shows their use. NumPy and OpenCV are all it needs, and an engine: onnxruntime, OpenVINO, or MXNet in a
checkout. Parts:

    sources, writers     frames from folders and videos, read ahead; pictures and videos from frames
    live/                cameras, network streams, standard input, lists
    frames               a frame made ready for a network
    schedule             which frames are key frames
    networks             what a pair of networks, for key and for other frames, has to answer
    loop                 the key/current loop, with its clock
    boxes                decoding, intersection over union, non-maximum suppression
    tracking/            ids for detections
    results, timing      what comes out for a frame, and where its time went
    drawing, labels      detections and class maps as pictures
    runtime/             engines, a trained model with all of this, and the commands `dff run` and `dff speed`
"""
from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence

if TYPE_CHECKING:
    from dff.runtime.model import Model

__version__ = '1.0.0'    # the one place: pyproject.toml, `dff --version` and tools/doctor.py read it


def load(model: Any, cfg: Optional[str] = None, epoch: int = 0, backend: Optional[str] = None,
         providers: Optional[Sequence[str]] = None, threads: int = 0,
         precision: str = 'float32', on_note: Optional[Callable[[str], None]] = None) -> 'Model':
    """Return the Model in a folder or a checkpoint.

    Args:
        model: a folder that tools/export_model.py wrote; or, where MXNet is, the prefix of a checkpoint.
        cfg: the settings file (YAML) of a checkpoint.
        epoch: number in the name of a checkpoint.
        backend: onnxruntime, openvino or mxnet; None: of those that are installed and fit the files the
            fastest on this machine, as `dff speed` or the export recorded it beside the model; without
            such a record the first of this order.
        providers: for onnxruntime CPU, CUDA, TensorRT, CoreML or DirectML, the first that is
            available is used (None: CUDA, DirectML, CPU); for OpenVINO its devices; for MXNet
            'cpu' or the number of a GPU.
        threads: of the engine's computations; 0: as it likes. MXNet takes them where it was not imported
            before, else OMP_NUM_THREADS.
        precision: float32; float16 or int8 of ONNX files, where they were exported so too.
        on_note: called with a line where the choice of a backend is not sure; None: it is printed to
            standard error.

    Raises SetupError where an engine is missing, CheckpointError where a file is missing or cannot be
    used, ConfigError for an unknown name.
    """
    # Not at the top, where whoever imports a part of dff would import all this and OpenCV too.
    from dff.live.live import to_stderr
    from dff.runtime.backends import Options, open_backend
    from dff.runtime.model import Model
    options = Options(cfg, epoch, providers, threads, precision)
    return Model(open_backend(model, backend, options, on_note or to_stderr))
