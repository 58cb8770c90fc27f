"""Where sealed images are kept: Postgres, a folder or a bucket, each blob under a key that its image's row names."""
