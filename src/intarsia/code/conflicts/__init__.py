"""Semantic conflicts: what two sides' changes break together though their text merges."""
