"""All-or-nothing output, locks, archives, listing of folders, retries: files on disks that fail."""
