"""The key ring in use: which key seals what, and a new one taken up while the line runs."""
