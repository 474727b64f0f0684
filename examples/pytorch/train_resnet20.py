"""Trains ResNet-20 on CIFAR-10, as a CNN or with adder layers between stem and classifier.

npx addernet data fetch cifar10 --dir data
python train_resnet20.py --data data/cifar10 -o resnet20-cnn.pth
"""

import argparse
import json
import os
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from addernet_torch import Adder2d

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # as the published AdderNets take them
BORDER = 4  # pixels by which training images are moved


class Block(nn.Module):
    """Two 3x3 layers and the way round them; a change of size goes through a 1x1 layer."""

    def __init__(self, layer, channels, filters, stride):
        super().__init__()
        self.conv1, self.bn1 = layer(channels, filters, 3, stride, 1), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = layer(filters, filters, 3, 1, 1), nn.BatchNorm2d(filters)
        self.downsample = (
            nn.Sequential(layer(channels, filters, 1, stride), nn.BatchNorm2d(filters)) if stride > 1 else nn.Identity()
        )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class ResNet20(nn.Module):
    """Input [N,3,32,32], (pixel / 255 - MEAN) / STD; output [N,10] logits. Names of parameters as in the published checkpoint."""

    def __init__(self, layer):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(layer, 16, 16, 1) for _ in range(3)))
        self.layer2 = nn.Sequential(*(Block(layer, 16 if i == 0 else 32, 32, 2 if i == 0 else 1) for i in range(3)))
        self.layer3 = nn.Sequential(*(Block(layer, 32 if i == 0 else 64, 64, 2 if i == 0 else 1) for i in range(3)))
        self.fc, self.bn2 = nn.Conv2d(64, 10, 1, bias=False), nn.BatchNorm2d(10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.bn2(self.fc(F.adaptive_avg_pool2d(x, 1))).flatten(1)


def convolution(channels, filters, kernel, stride=1, padding=0):
    return nn.Conv2d(channels, filters, kernel, stride, padding, bias=False)


LAYERS = {"conv": convolution, "adder": Adder2d}


def read_images(folder, sheets):
    """Sheets with one picture per row of pixels -> float32 [N,3,32,32], normalised."""
    pixels = np.concatenate([np.asarray(Image.open(os.path.join(folder, f"{name}.png"))) for name in sheets])
    images = torch.from_numpy(pixels).view(-1, 32, 32, 3).permute(0, 3, 1, 2).float() / 255
    return (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def read_labels(folder, name):
    with open(os.path.join(folder, name)) as file:
        return torch.tensor(json.load(file))


def augmented(images, generator):
    """Every image moved by up to BORDER pixels each way over zeros, and every other one mirrored."""
    padded = F.pad(images, [BORDER] * 4)
    moves = torch.randint(0, 2 * BORDER + 1, (len(images), 2), generator=generator).tolist()
    moved = torch.stack([p[:, y : y + 32, x : x + 32] for p, (y, x) in zip(padded, moves)])
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, moved.flip(3), moved).contiguous(memory_format=torch.channels_last)


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        hits = [(model(x).argmax(1) == y).sum().item() for x, y in zip(images.split(500), labels.split(500))]
    return 100 * sum(hits) / len(labels)


def train(model, images, labels, options, generator):
    """One cycle of the rate: up to `options.rate` in a fifth of all steps, then down to nothing."""
    optimizer = torch.optim.SGD(model.parameters(), options.rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = options.epochs * -(-len(labels) // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, total_steps=steps, pct_start=0.2)
    start = time.time()
    for epoch in range(options.epochs):
        model.train()
        total = 0.0
        for chosen in torch.randperm(len(labels), generator=generator).split(options.batch):
            loss = F.cross_entropy(model(augmented(images[chosen], generator)), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        print(f"epoch {epoch + 1}: loss {total / len(labels):.4f}, {time.time() - start:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder that `addernet data fetch cifar10` wrote")
    parser.add_argument("-o", "--output", default="resnet20-cnn.pth", help="where the state dict goes")
    parser.add_argument("--layer", choices=LAYERS, default="conv")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)

    images = read_images(options.data, [f"data_batch_{i}" for i in range(1, 6)])
    model = ResNet20(LAYERS[options.layer]).to(memory_format=torch.channels_last)
    train(model, images, read_labels(options.data, "train_lables.json"), options, generator)
    test = read_images(options.data, ["test_batch"]), read_labels(options.data, "test_lables.json")
    print(f"CIFAR-10 test: {accuracy(model, *test):.2f} %")
    torch.save(model.state_dict(), options.output)


if __name__ == "__main__":
    main()
