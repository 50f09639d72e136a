"""How results are looked at: side by side, by a line, in a group."""
