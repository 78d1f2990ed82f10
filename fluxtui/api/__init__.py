"""What the CRDs say: typed kinds, conditions, kstatus, CRD generation. Pure data, no I/O."""
