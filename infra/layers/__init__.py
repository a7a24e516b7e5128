"""The two layers: which components an environment is made of, and how settings and catalog become their arguments."""
