"""`python -m distill.cli` is the command `distill`."""

from distill.cli import main

if __name__ == "__main__":  # Workers import it too.
    main()
