"""A three-way merge of files, symbol by symbol, and the rules that every result must keep."""
