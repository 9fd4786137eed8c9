"""Files to documents to chunks. `readers.read` and `chunks.split_document` are the two doors."""
