import unittest

from readable.sizes import size


class SizeTest(unittest.TestCase):
    def test_bytes(self) -> None:
        self.assertEqual(size(0), "0 B")
        self.assertEqual(size(1023), "1023 B")

    def test_units_are_powers_of_1024(self) -> None:
        self.assertEqual(size(1024), "1 KiB")
        self.assertEqual(size(1536), "1.5 KiB")
        self.assertEqual(size(5 * 1024**3), "5 GiB")
