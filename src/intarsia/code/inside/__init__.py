"""Structural merge inside one unit: what is provably independent in one list, chain or body."""
