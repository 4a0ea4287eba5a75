"""How agents talk back: operations, each written once, that commands, HTTP endpoints and tools are made from.

A caller is whose secret was given. The server (`intarsia[gateway]`) is imported only where it is started.
"""
