"""Parts: one file for each torch module class, with everything that is said of it. None imports torch on its own."""
