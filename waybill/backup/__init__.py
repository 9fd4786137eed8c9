"""Back up an installation (Postgres and the blobs its rows refer to) to files, and restore it into an empty one.

A backup is a folder:

    database.dump       pg_dump's custom format, of one snapshot
    blobs/ab/ab12…      blob contents, each named by its SHA-256
    blobs.jsonl         which content belongs to which key
    manifest.json       what the backup holds, and the ids of the keys it needs
    SHA256SUMS          of the three files above; written last
"""
