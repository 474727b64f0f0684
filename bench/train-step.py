"""Seconds of a training step of LeNet-5-BN with adders in PyTorch's autograd: python3 train-step.py PYTORCH_EXAMPLES THREADS BATCH STEPS"""

import sys
import time

sys.path.insert(0, sys.argv[1])
import torch
from torch.nn import functional as F

from train_lenet import LeNet5

threads, batch, steps = (int(text) for text in sys.argv[2:5])
torch.set_num_threads(threads)
torch.manual_seed(1)
net = LeNet5()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
images, labels = torch.randn(batch, 1, 28, 28), torch.randint(0, 10, (batch,))
for step in range(steps + 1):
    if step == 1:
        start = time.perf_counter()
    optimizer.zero_grad()
    F.cross_entropy(net(images), labels).backward()
    optimizer.step()
print((time.perf_counter() - start) / steps)
