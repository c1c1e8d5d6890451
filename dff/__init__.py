"""Deep Feature Flow on video: everything that runs on frames and needs neither MXNet nor `lib`.

    sources, writers     frames from folders and videos, read ahead; pictures and videos from frames
    frames               a frame made ready for a network
    schedule             which frames are key frames
    networks             what a pair of networks, for key and for other frames, has to answer
    loop                 the key/current loop, with its clock
    boxes                decoding, intersection over union, non-maximum suppression
    results, timing      what comes out for a frame, and where its time went
    drawing, labels      detections and class maps as pictures
    onnx_networks        networks that onnxruntime computes
    model                a trained model with all of this, by `dff.load`

Networks are handed in; the loop knows no engine. NumPy and OpenCV are all it needs, and onnxruntime
for `dff.load`:

    import dff
    model = dff.load('model/my_model')      # tools/export_model.py --format onnx wrote it
    for result in model('video.mp4', interval=10):
        print(result.index, result.detections)
"""


def load(folder, **options):
    """Return the dff.model.Model in `folder`; options, and errors: those of dff.model.load."""
    # Not at the top, where whoever imports a part of dff would import all this and OpenCV too.
    from dff.model import load as load_model
    return load_model(folder, **options)
