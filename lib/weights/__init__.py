"""Weights of other frameworks: reading their files, and turning them into this project's parameters."""
