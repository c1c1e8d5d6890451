// The GPU operators as plain C functions on device memory, for callers without MXNet (tests/gpu).
// Each returns null, or the message of what went wrong, which stays valid until the thread's next call.
#include <exception>
#include <string>

#include "../aggregation/gpu.h"
#include "../class_map/gpu.h"
#include "../correlation/gpu.h"
#include "../flow_warp/gpu.h"
#include "../hard_examples/gpu.h"
#include "../image_pair/gpu.h"
#include "../pooled_scores/gpu.h"
#include "../proposal/gpu.h"
#include "../psroi_pooling/gpu.h"
#include "../rcnn_targets/gpu.h"

namespace {

template <typename Body>
const char* message_of(Body body) {
  static thread_local std::string message;
  try {
    body();
    return nullptr;
  } catch (const std::exception& error) {
    message = error.what();
    return message.c_str();
  }
}

}  // namespace

extern "C" {

const char* dff_gpu_warp_forward(void* stream, const dff::WarpShape* shape, const float* feature, const float* flow,
                                 const float* scale, float* out) {
  return message_of([=] { warp_forward_gpu(dff::GpuQueue(stream), *shape, feature, flow, scale, out); });
}

const char* dff_gpu_warp_backward(void* stream, const dff::WarpShape* shape, const float* grad_out, const float* feature,
                                  const float* flow, const float* scale, float* grad_feature, float* grad_flow, float* grad_scale) {
  return message_of([=] {
    warp_backward_gpu(dff::GpuQueue(stream), *shape, grad_out, feature, flow, scale, grad_feature, grad_flow, grad_scale);
  });
}

const char* dff_gpu_correlation_forward(void* stream, const dff::CorrelationShape* shape, const float* current, const float* reference,
                                        float* out) {
  return message_of([=] { correlation_forward_gpu(dff::GpuQueue(stream), *shape, current, reference, out); });
}

const char* dff_gpu_correlation_backward(void* stream, const dff::CorrelationShape* shape, const float* grad_out, const float* current,
                                         const float* reference, float* grad_current, float* grad_reference) {
  return message_of([=] {
    correlation_backward_gpu(dff::GpuQueue(stream), *shape, grad_out, current, reference, grad_current, grad_reference);
  });
}

const char* dff_gpu_aggregate_forward(void* stream, const dff::AggregateShape* shape, const float* feature, const float* embedding,
                                      const float* query, const float* flow, void* workspace, float* out) {
  return message_of([=] { aggregate_forward_gpu(dff::GpuQueue(stream), *shape, {feature, embedding, query, flow}, workspace, out); });
}

const char* dff_gpu_aggregate_backward(void* stream, const dff::AggregateShape* shape, const float* grad_out, const float* feature,
                                       const float* embedding, const float* query, const float* flow, void* workspace,
                                       float* grad_feature, float* grad_embedding, float* grad_query, float* grad_flow) {
  return message_of([=] {
    aggregate_backward_gpu(dff::GpuQueue(stream), *shape, grad_out, {feature, embedding, query, flow}, workspace,
                           {grad_feature, grad_embedding, grad_query, grad_flow});
  });
}

const char* dff_gpu_pooled_scores(void* stream, const dff::PooledScoresShape* shape, const float* data, const float* rois,
                                  const float* weight, const float* bias, float* out) {
  return message_of([=] { pooled_scores_gpu(dff::GpuQueue(stream), *shape, data, rois, weight, bias, out); });
}

const char* dff_gpu_psroi_forward(void* stream, const dff::PsroiShape* shape, const float* data, const float* rois, float* out) {
  return message_of([=] { psroi_forward_gpu(dff::GpuQueue(stream), *shape, data, rois, out); });
}

const char* dff_gpu_psroi_backward(void* stream, const dff::PsroiShape* shape, const float* grad_out, const float* rois,
                                   float* grad_data) {
  return message_of([=] { psroi_backward_gpu(dff::GpuQueue(stream), *shape, grad_out, rois, grad_data); });
}

size_t dff_gpu_proposal_workspace(const dff::ProposalShape* shape) { return proposal_workspace(*shape); }

const char* dff_gpu_proposal(void* stream, const dff::ProposalShape* shape, const float* cls_prob, const float* bbox_pred,
                             const float* im_info, void* workspace, float* rois) {
  return message_of([=] { proposal_gpu(dff::GpuQueue(stream), *shape, cls_prob, bbox_pred, im_info, workspace, rois); });
}

size_t dff_gpu_rcnn_targets_workspace(const dff::TargetShape* shape) { return rcnn_targets_workspace(*shape); }

const char* dff_gpu_rcnn_targets(void* stream, const dff::TargetShape* shape, const float* rois, const float* truths,
                                 const float* chance, void* workspace, float* kept_rois, float* label, float* target, float* weight) {
  return message_of([=] {
    rcnn_targets_gpu(dff::GpuQueue(stream), *shape, rois, truths, chance, workspace, {kept_rois, label, target, weight});
  });
}

size_t dff_gpu_hard_examples_workspace(const dff::MiningShape* shape) { return hard_examples_workspace(*shape); }

const char* dff_gpu_hard_examples(void* stream, const dff::MiningShape* shape, const float* score, const float* deltas,
                                  const float* label, const float* target, const float* weight, void* workspace,
                                  float* kept_label, float* kept_weight) {
  return message_of([=] {
    hard_examples_gpu(dff::GpuQueue(stream), *shape, {score, deltas, label, target, weight}, workspace, kept_label, kept_weight);
  });
}

const char* dff_gpu_class_map(void* stream, const dff::ClassMapShape* shape, const float* score, const float* rows, const float* columns,
                              unsigned char* labels) {
  return message_of([=] { class_map_gpu(dff::GpuQueue(stream), *shape, score, rows, columns, labels); });
}

const char* dff_gpu_image_pair(void* stream, const dff::ImagePairShape* shape, const float* current, const float* reference,
                               float* pair) {
  return message_of([=] { image_pair_gpu(dff::GpuQueue(stream), *shape, current, reference, pair); });
}
}
