"""A bundle behind HTTP: the Open Inference Protocol v2, health, and metrics for Prometheus."""
