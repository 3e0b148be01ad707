"""`python -m awry`."""

from awry.cli import main

if __name__ == "__main__":
    main()
