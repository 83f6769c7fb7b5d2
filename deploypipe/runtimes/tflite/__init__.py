"""What the two runtimes that read `.tflite` files share."""
