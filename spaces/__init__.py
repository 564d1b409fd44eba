"""What may be chosen: search spaces as plain data, no tensor."""
