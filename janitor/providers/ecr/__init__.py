"""Amazon ECR, private registries: by boto3, with answers read by their types."""
