"""One file's bytes in, one header out; knows no storage, no Arrow and no engine."""
