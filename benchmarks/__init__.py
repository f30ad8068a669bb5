"""The benchmarks that README's figures come from; results are under metrics/bench/. No part of the pipeline."""
