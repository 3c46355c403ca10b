"""Reading RSS and Atom files, and publishing their entries. Nothing is fetched."""
