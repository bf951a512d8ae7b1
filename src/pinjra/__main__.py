"""`python -m pinjra` is the command `pinjra`."""

from pinjra.cli import main

if __name__ == "__main__":
    main()
