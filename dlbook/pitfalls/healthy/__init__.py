"""Programs that look like faults and are right."""
