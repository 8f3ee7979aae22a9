"""S3: the archive of mapped files."""
