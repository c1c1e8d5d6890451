"""Writers of detections as labels of other formats, one file each, for correcting by hand."""
