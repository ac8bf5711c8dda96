"""The verbs of `turbo-webnn`, one a module."""
