"""Docker Hub: one namespace of it is a registry."""
