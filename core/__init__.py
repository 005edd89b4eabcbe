"""The shared library: pure rooms (no clock, disk, network) and the I/O rooms around them."""
