"""Ready-to-run studies: a TOML file each, for `nasrec-opt run`."""
