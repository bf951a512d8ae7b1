"""One mechanism of the kernel a file, standard library only."""
