import unittest

from readable.durations import duration


class DurationTest(unittest.TestCase):
    def test_zero(self) -> None:
        self.assertEqual(duration(0), "0 s")

    def test_parts(self) -> None:
        self.assertEqual(duration(59), "59 s")
        self.assertEqual(duration(5400), "1 h 30 min")
        self.assertEqual(duration(3661), "1 h 1 min 1 s")
