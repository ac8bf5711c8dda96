"""The forms of configs: for each module class the types and bounds of its values, checked when a config is read."""
