"""What is written to disk: fit.json, documents, folders that are whole or absent."""
