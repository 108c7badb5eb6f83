"""What training does together with other processes; one process does the same with itself."""
