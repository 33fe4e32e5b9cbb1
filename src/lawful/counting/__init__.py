"""How N and C are counted, and what counting does to the answer."""
