"""Several classifiers that share a part of the network and are averaged."""
