"""Bugs that are put into healthy agents, to prove that the rules find them."""
