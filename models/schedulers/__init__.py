"""Schedulers: one file for each kind of diffusers' scheduler whose steps a schedule of plain numbers can state."""
