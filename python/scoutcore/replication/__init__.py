"""Multi-master replication over streams of dat-replication-protocol 4.1.2. ``csrc/FORMAT.md`` has the messages."""
