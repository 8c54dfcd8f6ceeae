"""What this machine's CPU is and can do."""

from __future__ import annotations

import re
from pathlib import Path

CPU = dict(re.findall(r"^(.*?)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
FLAGS = ["avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"]
FLAGS = [flag for flag in FLAGS if flag in CPU.get("flags", "").split()]
HAS_VNNI = bool({"avx512_vnni", "avx_vnni"} & set(FLAGS))
# Of the precisions with floating point, bf16 is only measured where the CPU has it.
FLOATS = ["fp32", *(["bf16"] if {"avx512_bf16", "amx_bf16"} & set(FLAGS) else [])]
