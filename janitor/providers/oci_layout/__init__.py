"""Image layouts in a local folder, as skopeo, buildx, oras and regctl write."""
