"""The embedded models `tiny` and `tiny-xl`: their architecture, data and training."""
