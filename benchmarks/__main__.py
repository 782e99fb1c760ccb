"""`make bench`: every comparison, each alternating in one run."""

from benchmarks import decode, rendering

rendering.main()
decode.main()
