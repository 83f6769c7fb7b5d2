"""AOTInductor: its precisions, and what is in its packages."""
