#ifndef FT_ONNX_H
#define FT_ONNX_H

#include "onnx.pb-c.h"

// Swift sees a constant's value but not its address, which is what identifies a message type.
static inline const ProtobufCMessageDescriptor *ft_onnx_model_descriptor(void) {
    return &onnx__model_proto__descriptor;
}

static inline const ProtobufCMessageDescriptor *ft_onnx_tensor_descriptor(void) {
    return &onnx__tensor_proto__descriptor;
}

#endif
