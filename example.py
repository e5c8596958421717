"""The published example: `torchrun --nproc_per_node N example.py --ckpt_dir F/7B --tokenizer_path F/T`.

See `llama_core.generate.example`.
"""

import sys

from llama_core.generate.example import run

if __name__ == "__main__":
    run(sys.argv[1:])
