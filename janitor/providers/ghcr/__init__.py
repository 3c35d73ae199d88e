"""GitHub Container Registry: the API that lists and deletes, and the registry that tells what is what."""
