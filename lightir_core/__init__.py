"""What a network is: architecture, blocks, data, training, metrics and checkpoints."""
