"""Turns files into documents and documents into chunks, by `readers.read` and `chunks.split_document`."""
