"""The catalogue: what was read of an archive, kept as Parquet, to be asked and kept current."""
