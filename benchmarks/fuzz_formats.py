"""Good files of formats of tools/import_dataset.py, for benchmarks/fuzz_targets.py."""
import json

_CORNERS = {'x1': 1, 'y1': 2, 'x2': 9, 'y2': 9}
_LABEL_STUDIO = {'type': 'rectanglelabels', 'from_name': 'l', 'original_width': 32, 'original_height': 24,
                 'value': {'x': 10, 'y': 10, 'width': 20, 'height': 20, 'rotation': 0, 'rectanglelabels': ['cat']}}
_TREES = {
    'labelme': {'shapes': [{'label': 'cat', 'shape_type': 'rectangle', 'points': [[1, 2], [9, 9]], 'group_id': 1},
                           {'label': 'dog', 'shape_type': 'polygon', 'points': [[1, 2], [9, 9], [3, 8]]}],
                'imagePath': '000000.jpg'},
    'label-studio': [{'id': 1, 'data': {'image': '000000.jpg'}, 'annotations': [{'id': 1, 'result': [_LABEL_STUDIO]}]}],
    'youtube-vis': {'videos': [{'id': 1, 'file_names': ['clip/%06d.jpg' % i for i in range(3)]}],
                    'annotations': [{'id': 1, 'video_id': 1, 'category_id': 1,
                                     'bboxes': [[1, 2, 8, 8], None, [2, 2, 8, 8]]}],
                    'categories': [{'id': 1, 'name': 'cat'}]},
    'bdd100k': [{'name': '%06d.jpg' % i, 'videoName': 'clip', 'frameIndex': i,
                 'labels': [{'id': '1', 'category': 'car', 'box2d': _CORNERS}]} for i in range(3)],
    'datumaro': {'categories': {'label': {'labels': [{'name': 'cat'}]}},
                 'items': [{'id': '000000', 'image': {'path': '000000.jpg'}, 'annotations': [
                     {'type': 'bbox', 'bbox': [1, 2, 8, 8], 'label_id': 0, 'attributes': {'track_id': 1}},
                     {'type': 'polygon', 'points': [1, 2, 9, 9, 3, 8], 'label_id': 0}]}]},
}
_OUTLINES = [{'type': 'polygon', 'points': [1, 2, 9, 9, 3, 8], 'label_id': 0, 'z_order': 1},
             {'type': 'mask', 'rle': {'size': [24, 32], 'counts': [30, 700, 38]}, 'label_id': 0}]
_TREES.update({
    'masks-labelme': _TREES['labelme'],
    'masks-datumaro': {'categories': {'label': {'labels': [{'name': 'cat'}]}},
                       'items': [{'id': '000000', 'image': {'path': '000000.jpg', 'size': [24, 32]},
                                  'annotations': _OUTLINES}]},
    'masks-coco': {'images': [{'id': 1, 'file_name': '000000.jpg', 'height': 24, 'width': 32}],
                   'categories': [{'id': 1, 'name': 'cat'}], 'annotations': [
                       {'id': 1, 'image_id': 1, 'category_id': 1, 'segmentation': [[1, 2, 9, 9, 3, 8]]},
                       {'id': 2, 'image_id': 1, 'category_id': 1,
                        'segmentation': {'size': [24, 32], 'counts': 'S1_c0'}},
                       {'id': 3, 'image_id': 1, 'category_id': 1,
                        'segmentation': {'size': [24, 32], 'counts': [30, 700, 38]}}]},
})
# {format: (file, what is in it)}
FORMATS = {name: ('a.json', json.dumps(tree).encode()) for name, tree in _TREES.items()}
FORMATS['visdrone'] = 'clip.txt', b'1,1,1,2,8,8,1,1,0,0\n2,1,2,2,8,8,1,4,0,1\n'
FORMATS['kitti'] = 'clip.txt', b'0 1 Car 0 0 -1 1 2 9 9 1 1 1 0 0 0 0\n1 1 Car 0 0 -1 2 2 9 9 1 1 1 0 0 0 0\n'
FORMATS['masks-cvat'] = 'clip.xml', b'''<annotations><version>1.1</version><meta><task><size>1</size><labels><label>
<name>cat</name></label></labels></task></meta><image id="0" name="000000.jpg" width="32" height="24">
<polygon label="cat" points="1.00,2.00;9.00,9.00;3.00,8.00" z_order="1"></polygon>
<mask label="dog" rle="1, 2, 3" left="8" top="2" width="3" height="2" z_order="0"></mask></image></annotations>'''
