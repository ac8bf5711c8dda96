"""The verbs of `turbo-webnn`, one a module: a few lines each over the package that does its work."""
