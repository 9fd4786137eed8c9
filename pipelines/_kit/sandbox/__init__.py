"""Runs untrusted parsers and unstable code in warm child processes that can be killed.

    profile   what a child loads and what it may use          frames    messages on a pipe, bounded in length
    pool      some children of one profile, and their reuse   spawner   the thread that starts and ends children
    process   one child, seen from the parent                 child     the child's own side

``docs/adr/0021-warm-children.md`` gives the reasons for this design, and what it does not protect against.
"""
