"""The process ``waybill guard serve``: analyzes the texts of all pools over a local socket.

    server    the process: its socket, its signals       batches   the request queue, and the threads that serve it
    app       its HTTP interface                         child     the code in a sandboxed child

``docs/adr/0032-the-guards-analyzer.md`` explains why there is one process per host.
"""
