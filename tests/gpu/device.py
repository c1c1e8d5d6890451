"""The native GPU operators on CuPy arrays, through the C functions of lib/operator_cxx/common/gpu_api.cc."""
import ctypes

import cupy
import numpy as np


class WarpShape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ('feature_images', 'images', 'channels', 'height', 'width')]


class PsroiShape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ('images', 'height', 'width', 'rois', 'output_dim', 'pooled', 'group')]
    _fields_ += [('spatial_scale', ctypes.c_float)]


class PooledScoresShape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ('images', 'all_channels', 'height', 'width', 'rois', 'first',
                                                  'channels', 'outputs', 'pooled')]
    _fields_ += [('spatial_scale', ctypes.c_float)]


class ProposalShape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ('images', 'anchors', 'height', 'width', 'before_nms', 'after_nms')]
    _fields_ += [(name, ctypes.c_float) for name in ('stride', 'threshold',
                                                     'min_size')] + [('anchor', ctypes.c_float * 4 * 64)]


class TargetShape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int)
                for name in ('images', 'proposals', 'boxes', 'kept', 'foreground_limit', 'sets', 'agnostic')]
    _fields_ += [(name, ctypes.c_float) for name in ('foreground', 'background_high', 'background_low')]
    _fields_ += [(name, ctypes.c_float * 4) for name in ('mean', 'std', 'weight')]


class MiningShape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ('images', 'rois', 'classes', 'deltas', 'keep')]


class ClassMapShape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ('classes', 'height', 'width', 'rows', 'columns')]


class CorrelationShape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ('images', 'channels', 'height', 'width', 'displacement')]


class AggregateShape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ('frames', 'images', 'channels', 'embedding', 'height', 'width')]


class ImagePairShape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ('images', 'references', 'channels', 'height',
                                                  'width')] + [('factor', ctypes.c_float)]


class Device:
    """Calls the operators on CuPy's current stream; inputs and results are CuPy float32 arrays. Raises RuntimeError."""

    def __init__(self, library):
        self._library = library

    def _call(self, name, shape, *arrays):
        function = getattr(self._library, name)
        function.restype = ctypes.c_char_p
        pointers = [ctypes.c_void_p(None if array is None else array.data.ptr) for array in arrays]
        message = function(ctypes.c_void_p(cupy.cuda.get_current_stream().ptr), ctypes.byref(shape), *pointers)
        if message:
            raise RuntimeError(message.decode())

    def _workspace(self, name, shape):
        function = getattr(self._library, name + '_workspace')
        function.restype = ctypes.c_size_t
        return cupy.empty(function(ctypes.byref(shape)), np.uint8)

    @staticmethod
    def _warp_shape(feature, flow):
        return WarpShape(feature.shape[0], flow.shape[0], *feature.shape[1:])

    def warp(self, feature, flow, scale=None, out=None):
        if out is None:
            out = cupy.empty((flow.shape[0],) + feature.shape[1:], np.float32)
        self._call('dff_gpu_warp_forward', self._warp_shape(feature, flow), feature, flow, scale, out)
        return out

    def warp_gradients(self, grad_out, feature, flow, scale=None, out=None):
        """[grad_feature, grad_flow, grad_scale or None]"""
        if out is None:
            out = [None if array is None else cupy.full(array.shape, 7, np.float32) for array in (feature, flow, scale)]
        self._call('dff_gpu_warp_backward', self._warp_shape(feature, flow), grad_out, feature, flow, scale, *out)
        return out

    def correlation(self, current, reference, displacement, out=None):
        if out is None:
            out = cupy.empty((len(current), (2 * displacement + 1) ** 2) + current.shape[2:], np.float32)
        self._call('dff_gpu_correlation_forward', CorrelationShape(*current.shape, displacement), current,
                   reference, out)
        return out

    def correlation_gradients(self, grad_out, current, reference, displacement, out=None):
        """[grad_current, grad_reference]"""
        if out is None:
            out = [cupy.full(array.shape, 7, np.float32) for array in (current, reference)]
        self._call('dff_gpu_correlation_backward', CorrelationShape(*current.shape, displacement), grad_out, current,
                   reference, *out)
        return out

    @staticmethod
    def _aggregate_shape(feature, embedding, query):
        images = len(query)
        shape = AggregateShape(len(feature) // images, images, feature.shape[1], *embedding.shape[1:])
        return shape, cupy.empty(feature.shape[2] * feature.shape[3] * (4 * len(feature) + images), np.float32)

    def aggregate(self, feature, embedding, query, flow=None):
        shape, workspace = self._aggregate_shape(feature, embedding, query)
        out = cupy.empty((len(query),) + feature.shape[1:], np.float32)
        self._call('dff_gpu_aggregate_forward', shape, feature, embedding, query, flow, workspace, out)
        return out

    def aggregate_gradients(self, grad_out, feature, embedding, query, flow=None):
        """[grad_feature, grad_embedding, grad_query, grad_flow or None]"""
        shape, workspace = self._aggregate_shape(feature, embedding, query)
        out = [None if array is None else cupy.full(array.shape, 7, np.float32)
               for array in (feature, embedding, query, flow)]
        self._call('dff_gpu_aggregate_backward', shape, grad_out, feature, embedding, query, flow, workspace, *out)
        return out

    @staticmethod
    def _psroi_shape(data_shape, rois, spatial_scale, output_dim, pooled_size, group_size):
        images, _, height, width = data_shape
        return PsroiShape(images, height, width, len(rois), output_dim, pooled_size, group_size, spatial_scale)

    def psroi(self, data, rois, out=None, **settings):
        shape = self._psroi_shape(data.shape, rois, **settings)
        if out is None:
            out = cupy.empty((len(rois), shape.output_dim, shape.pooled, shape.pooled), np.float32)
        self._call('dff_gpu_psroi_forward', shape, data, rois, out)
        return out

    def psroi_gradient(self, grad_out, rois, data_shape, out=None, **settings):
        if out is None:
            out = cupy.full(data_shape, 7, np.float32)
        self._call('dff_gpu_psroi_backward', self._psroi_shape(data_shape, rois, **settings), grad_out, rois, out)
        return out

    def pooled_scores(self, data, rois, weight, bias, first, channels, pooled, spatial_scale):
        images, all_channels, height, width = data.shape
        shape = PooledScoresShape(images, all_channels, height, width, len(rois), first, channels, bias.shape[1],
                                  pooled, spatial_scale)
        out = cupy.full((len(rois), bias.shape[1]), 7, np.float32)
        self._call('dff_gpu_pooled_scores', shape, data, rois, weight, bias, out)
        return out

    def proposal(self, cls_prob, bbox_pred, im_info, anchors, stride, before_nms, after_nms, threshold):
        images, _, height, width = cls_prob.shape
        shape = ProposalShape(images, len(anchors), height, width, before_nms, after_nms, stride, threshold, 0)
        for to, anchor in zip(shape.anchor, anchors):
            to[:] = [float(value) for value in anchor]
        out = cupy.empty((images * after_nms, 5), np.float32)
        self._call('dff_gpu_proposal', shape, cls_prob, bbox_pred, im_info,
                   self._workspace('dff_gpu_proposal', shape), out)
        return out

    def targets(self, rois, truths, foreground=0.5):
        """All candidates, class-agnostic, means 0, stds and weights 1: [rois, label, target, weight]"""
        images, boxes, _ = truths.shape
        rows = len(rois) + images * boxes
        four = ctypes.c_float * 4
        shape = TargetShape(images, len(rois) // images, boxes, rows // images, -1, 2, 1, foreground, foreground, 0,
                            four(), four(1, 1, 1, 1), four(1, 1, 1, 1))
        out = [cupy.empty(size, np.float32) for size in ((rows, 5), (rows,), (rows, 8), (rows, 8))]
        self._call('dff_gpu_rcnn_targets', shape, rois, truths, None,
                   self._workspace('dff_gpu_rcnn_targets', shape), *out)
        return out

    def hard_examples(self, score, deltas, label, target, weight, images, keep):
        """[label, weight]"""
        shape = MiningShape(images, len(score) // images, score.shape[1], deltas.shape[1], keep)
        out = [cupy.empty_like(label), cupy.empty_like(weight)]
        self._call('dff_gpu_hard_examples', shape, score, deltas, label, target, weight,
                   self._workspace('dff_gpu_hard_examples', shape), *out)
        return out


    def class_map(self, score, rows, columns):
        shape = ClassMapShape(*score.shape, len(rows), len(columns))
        out = cupy.empty((len(rows), len(columns)), np.uint8)
        self._call('dff_gpu_class_map', shape, score, rows, columns, out)
        return out

    def image_pair(self, current, reference, factor):
        images, channels, height, width = current.shape
        out = cupy.empty((images, 2 * channels, (height + 1) // 2, (width + 1) // 2), np.float32)
        self._call('dff_gpu_image_pair', ImagePairShape(images, len(reference), channels, height, width, factor),
                   current, reference, out)
        return out
