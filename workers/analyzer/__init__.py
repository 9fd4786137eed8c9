"""The process ``waybill guard serve``: analyzes the texts of all pools over a local socket.

    server    the process: its socket, its signals       batches   requests in a queue, and who analyzes them
    app       the HTTP that it speaks                    child     what runs in a sandboxed child

``docs/adr/0032-the-guards-analyzer.md`` says why it is one process a host.
"""
