"""Source text: outlines, touched symbols, merging, the index, semantic conflicts.

Pure functions over bytes. Nothing here knows of git, of a database server or of agents.
"""
