"""The verbs of `turbo-webnn`, one per module. Each is a few lines that call a function of the package."""
