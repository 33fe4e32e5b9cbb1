"""Whether an answer may be believed: the verdict, the law's own test, coverage on this design, what E is worth."""
