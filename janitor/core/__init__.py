"""Decides. No I/O, no clock, no environment, no logging, no threads: values in, values out."""
