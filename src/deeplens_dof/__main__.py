"""Makes `python -m deeplens_dof` the same as `deeplens`."""

from deeplens_dof.cli.command import main

if __name__ == "__main__":
    main()
