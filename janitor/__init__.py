"""Registry janitor: cleans container registries by a small declarative policy."""

__version__ = "0.1.0"
