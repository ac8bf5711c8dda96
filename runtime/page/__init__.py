"""The page of a verification: one file, no network."""
