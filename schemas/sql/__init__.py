"""Every query on a table in one file, the migrations, and the schema as it stands."""
