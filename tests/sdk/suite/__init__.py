"""What drive.py and the tests are made of."""
