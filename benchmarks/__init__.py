"""What the project claims, measured: the accuracy of its models and the speed of its kernels."""
