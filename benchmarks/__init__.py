"""The benchmarks that the docs' figures come from. No stage needs them; their results are in benchmarks/results/.

    python -m benchmarks.data_path --records 2200000 --times 10   # decompress, clean, sample and format: data.json
    python -m benchmarks.tiny_training                         # training the tiny model on a CPU: tiny_training.json
    python -m benchmarks.serving --records 2248619             # the search for titles: serving.json
    python -m benchmarks.gpu                                   # training and generation on a GPU: gpu.json

The other modules are what these four import, or run in processes of their own.
"""
