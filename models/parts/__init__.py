"""Parts: one file for each torch module class, with its whole description. Importing a part does not import torch."""
