"""Training: the game, minibatches, checkpoints and files."""
