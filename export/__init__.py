"""From a checkpoint to a bundle: trace, passes, weights, writer, and the WebNN target."""
