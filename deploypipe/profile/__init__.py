"""Latency receipts: what a bundle costs on a device, in samples that can be checked."""
