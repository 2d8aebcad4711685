"""The commands of the images, run without a container engine."""
