"""What a bundle can run on: this machine, others by ssh and adb, and emulated processors."""
