"""Readers of other data-set formats, one file each, and the writer of the ILSVRC2015 layout.

JSON, XML, YAML, images and videos are read by json, defusedxml, PyYAML, Pillow and OpenCV; what a
format says with them is read here. The libraries that could do it were left: pycocotools adds
nothing to the JSON but an index, and takes run lengths on trust (tests compare with it), and
supervision, which reads COCO, YOLO and VOC, needs Python 3.10, knows neither clips nor tracks, and
does not say what it leaves out.
"""
