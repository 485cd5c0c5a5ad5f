"""A deterministic simulator of meshes of databases: one seed is one life of a few of them, with all its accidents."""
