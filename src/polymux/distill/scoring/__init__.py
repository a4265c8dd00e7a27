"""What the models know: masked words, and linear probes on a frozen encoder."""
