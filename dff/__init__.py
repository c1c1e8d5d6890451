"""Deep Feature Flow on video: everything that runs on frames and needs neither MXNet nor `lib`.

    sources, writers     frames from folders and videos, read ahead; pictures and videos from frames
    frames               a frame made ready for a network
    schedule             which frames are key frames
    networks             what a pair of networks, for key and for other frames, has to answer
    loop                 the key/current loop, with its clock
    boxes                decoding, intersection over union, non-maximum suppression
    results, timing      what comes out for a frame, and where its time went
    drawing, labels      detections and class maps as pictures

Networks are handed in; nothing here knows which engine runs them. NumPy and OpenCV are all it needs.
"""
