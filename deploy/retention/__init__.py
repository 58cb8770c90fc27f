"""How long each kind of data is kept, and the deletion of what is kept no longer."""
