"""The kernels against what else computes the same on a CPU, and against what this machine can do at most."""
