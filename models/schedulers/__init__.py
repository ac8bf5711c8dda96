"""Schedulers: one file for each kind of diffusers' scheduler that a schedule of plain numbers can repeat."""
