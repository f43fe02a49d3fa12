"""Every read and write of sweeps, trials, metrics and recommendations; no other module issues SQL."""
