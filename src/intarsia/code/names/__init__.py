"""The index of names: which files define and mention what."""
