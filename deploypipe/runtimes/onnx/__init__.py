"""The precisions of ONNX Runtime."""
