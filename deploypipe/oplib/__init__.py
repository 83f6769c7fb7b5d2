"""Libraries of custom ops: their Python half, their registry, loading and skeletons."""
