"""Simulated registries: a world of truth, and over it the wire protocols."""
