"""Backups of one installation: Postgres and the blobs its rows name, as files; and their way back into an empty one.

A backup is a folder:

    database.dump       pg_dump's custom format, of one snapshot
    blobs/ab/ab12…      contents, each named by its SHA-256
    blobs.jsonl         which content lies under which key
    manifest.json       what this is, and the names of the keys that it needs
    SHA256SUMS          of the three files above; written last
"""
