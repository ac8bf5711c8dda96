"""Families: one file for each pipeline class, made of parts, wiring and constants; `registry` finds them."""
