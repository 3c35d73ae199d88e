"""Google Artifact Registry: by its gRPC client, whose messages are read raw."""
