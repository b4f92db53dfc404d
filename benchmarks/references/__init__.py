"""Ground truth: Hamiltonian Monte Carlo (NumPyro) and exact samplers."""
