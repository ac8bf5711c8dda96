"""A fuzzer: runs the command on damaged and hostile inputs, made by mutation of intact ones, and checks the outcome."""
