"""What leaves the kernel, and what comes in from elsewhere: the mirror, outbound synchronisation, Mai projects."""
