"""Bundles: their format, packing, checking, loading and verification."""
