"""The reference: diffusers and transformers in PyTorch."""
