"""Where trees are grown: on a GPU when there is one. A bundle predicts on the processor, wherever it was grown."""

import ctypes
import sys
from typing import Literal

from models.training.errors import TrainingError
from models.training.settings import Device


def chosen_device(wanted: Device, *, external: bool = False) -> Literal["cpu", "cuda"]:
    """What XGBoost is told. Raises TrainingError when a GPU is asked for that is not there or of no use here.

    Fitting from disk (`external`) goes by the processor: a GPU would want every block on itself, for every tree.
    """
    if wanted == "cpu" or (wanted == "auto" and external):
        return "cpu"
    if external:
        raise TrainingError(
            "--device cuda does not go with external memory", hint="say --in-memory, or leave out --device"
        )
    missing = _missing()
    if not missing:
        return "cuda"
    if wanted == "cuda":
        raise TrainingError(
            f"--device cuda: {missing}",
            hint="install NVIDIA's driver and an XGBoost built with CUDA, or say --device cpu or auto",
        )
    return "cpu"


def _missing() -> str:
    """What is missing for training on a GPU; "" when nothing is."""
    import xgboost

    if not xgboost.build_info().get("USE_CUDA"):
        return "this XGBoost was built without CUDA"
    return "" if gpus() else "no NVIDIA GPU was found"


def gpus() -> int:
    """GPUs that NVIDIA's driver offers; 0 without a driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
