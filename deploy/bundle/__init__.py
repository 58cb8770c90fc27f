"""All there is about one workflow in one file, which anybody can verify with openssl and sha256sum."""
