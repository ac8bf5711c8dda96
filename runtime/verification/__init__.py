"""A bundle against PyTorch: what is compared, how far apart it is, and the report of it."""
