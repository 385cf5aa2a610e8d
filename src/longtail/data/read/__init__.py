"""What is read from outside: arrays, folders of images, tables, the hub and CIFAR, each by its own reader."""
