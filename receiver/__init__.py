"""Takes callbacks: in -> stored."""
