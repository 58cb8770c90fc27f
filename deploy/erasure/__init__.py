"""A person's data, deleted here and at Jumio, with a certificate that says nothing about the person."""
