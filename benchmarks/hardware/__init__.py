"""The machine that computes: devices, GPU leases, energy, provenance."""
