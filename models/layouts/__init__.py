"""Layouts: one file for each program that loads bundles, named after it; `registry` finds them."""
