"""URLs in, record batches out: listing, planning and reading; knows no engine."""
