"""Judging a graph: does it run wholly on WebNN?"""
