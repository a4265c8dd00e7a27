"""Train a model on labelled examples."""
