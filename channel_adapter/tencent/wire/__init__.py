"""Request and reply bodies, one file an area. Attribute names are ours, aliases are the JSON names."""
