"""Save small state dicts and networks with PyTorch in every way that it has: run by hand.

pip install torch
python -m tests.golden.checkpoints
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "checkpoints"


def arrays():
    """Tensors that lie in memory in different ways, two of them on one storage."""
    import torch

    base = torch.arange(24, dtype=torch.float32) / 7
    return OrderedDict(
        plain=torch.linspace(-1, 1, 6).reshape(2, 3),
        turned=torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
        part=base[5:17].reshape(3, 4)[:, 1::2],
        whole=base,
        number=torch.tensor(7),
        double=torch.tensor([1 / 3, -2.0], dtype=torch.float64),
        half=torch.tensor([1 / 3, 65504.0], dtype=torch.float16),
        brain=torch.tensor([[1 / 3, -2.0], [3e38, 0.0]], dtype=torch.bfloat16).T,
        bytes=torch.tensor([0, 255], dtype=torch.uint8),
        yes=torch.tensor([True, False]),
        parameter=torch.nn.Parameter(torch.tensor([1.5, 2.5])),
    )


def network():
    """A small network with batch norm; its state dict has versions hung on it."""
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2))


def main() -> None:
    """Write all files, and what PyTorch reads from them."""
    import torch

    FOLDER.mkdir(exist_ok=True)
    old = {"_use_new_zipfile_serialization": False}
    values = {key: value.detach().float().numpy() for key, value in arrays().items()}
    np.savez_compressed(FOLDER / "arrays.npz", **values)
    torch.save(arrays(), FOLDER / "old.pth", **old)
    torch.save(arrays(), FOLDER / "new.pth")
    torch.save(arrays(), FOLDER / "protocol5.pth", pickle_protocol=5)
    torch.save(arrays(), FOLDER / "old_protocol4.pth", pickle_protocol=4, **old)

    net = network()
    state = {key: value.numpy() for key, value in net.state_dict().items()}
    np.savez_compressed(FOLDER / "network.npz", **state)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.ones(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    training = {
        "epoch": 3,
        "best": 0.75,
        "optimizer": optimizer.state_dict(),
        "state_dict": torch.nn.DataParallel(network()).state_dict(),
        "note": None,
    }
    torch.save(network().state_dict(), FOLDER / "state.pth")
    torch.save(training, FOLDER / "training.pth")
    torch.save(training, FOLDER / "training_old.pth", **old)
    torch.save(network(), FOLDER / "network.pt")
    torch.jit.script(network()).save(str(FOLDER / "script.pt"))
    torch.save([torch.ones(2)], FOLDER / "list.pth")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
