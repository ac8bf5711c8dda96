"""Damaged and hostile input: made from good input by mutations, given to the command, and judged by what it did."""
