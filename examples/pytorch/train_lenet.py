"""Trains LeNet-5-BN with every layer an adder on MNIST and 8x8 scans of the UCI digits.

python train_lenet.py --data mnist --digits digits.csv.gz -o lenet5bn.pth
"""

import argparse
import gzip
import math
import os
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from addernet_torch import Adder2d

MEAN, STD = 0.1307, 0.3081  # of MNIST's training pixels / 255
HELD_OUT_DIGITS = 200  # the last ones of the UCI set; never trained on


class LeNet5(nn.Module):
    """Input [N,1,28,28], raw pixels as (pixel / 255 - 0.1307) / 0.3081; output [N,10] logits."""

    def __init__(self, layer=Adder2d):
        super().__init__()
        self.conv1, self.bn1 = layer(1, 6, 5, padding=2), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = layer(6, 16, 5), nn.BatchNorm2d(16)
        self.conv3, self.bn3 = layer(16, 120, 5), nn.BatchNorm2d(120)
        self.fc1, self.bn4 = layer(120, 84, 1), nn.BatchNorm2d(84)
        self.fc2, self.bn5 = layer(84, 10, 1), nn.BatchNorm2d(10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.relu(self.bn3(self.conv3(x)))
        x = F.relu(self.bn4(self.fc1(x)))
        return self.bn5(self.fc2(x)).flatten(1)


def normalise(pixels):
    """uint8 [N,28,28] -> float32 [N,1,28,28]."""
    return (torch.from_numpy(pixels).float().div_(255) - MEAN).div_(STD).unsqueeze(1)


def read_idx(path):
    """MNIST's own format: two zero bytes, type 8 (uint8), rank, big-endian dims, bytes."""
    with open(path, "rb") as file:
        data = file.read()
    rank = data[3]
    dims = np.frombuffer(data, ">i4", rank, 4)
    return np.frombuffer(data, np.uint8, int(dims.prod()), 4 + 4 * rank).reshape(dims).copy()


def read_mnist(folder, part):
    return (read_idx(os.path.join(folder, f"{part}-{kind}-ubyte")) for kind in ("images-idx3", "labels-idx1"))


def enlarge(digit):
    """8x8 with values 0..16 -> 28x28 uint8: bilinear to 20x20, centre of mass in the middle, as MNIST's digits lie."""
    box = F.interpolate(digit.view(1, 1, 8, 8), size=(20, 20), mode="bilinear", align_corners=False)[0, 0]
    box = (box * (255 / 16)).round().numpy().astype(np.uint8)
    mass = max(1, int(box.sum(dtype=np.int64)))
    centre = [float((box.sum(1 - axis, dtype=np.int64) * np.arange(20)).sum() / mass) for axis in (0, 1)]
    top, left = (min(8, max(0, round(13.5 - c))) for c in centre)
    image = np.zeros((28, 28), np.uint8)
    image[top : top + 20, left : left + 20] = box
    return image


def read_digits(path):
    """scikit-learn's digits.csv.gz -> uint8 [1797,28,28], labels."""
    with gzip.open(path) as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    images = np.stack([enlarge(torch.from_numpy(row)) for row in table[:, :64]])
    return images, table[:, 64].astype(np.uint8)


def shifted(images, limit, generator):
    """Every image moved by up to `limit` pixels each way; the uncovered edge is background."""
    padded = F.pad(images, [limit] * 4, value=-MEAN / STD)
    moves = torch.randint(0, 2 * limit + 1, (len(images), 2), generator=generator).tolist()
    return torch.stack([p[:, y : y + 28, x : x + 28] for p, (y, x) in zip(padded, moves)])


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        hits = [(model(x).argmax(1) == y).sum().item() for x, y in zip(images.split(500), labels.split(500))]
    return 100 * sum(hits) / len(labels)


def train(model, images, labels, epochs, batch, rate, generator):
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=5e-4)
    steps = epochs * math.ceil(len(labels) / batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    start = time.time()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for chosen in torch.randperm(len(labels), generator=generator).split(batch):
            loss = F.cross_entropy(model(shifted(images[chosen], 1, generator)), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        print(f"epoch {epoch + 1}: loss {total / len(labels):.4f}, {time.time() - start:.0f} s", flush=True)


def training_set(mnist_folder, digits, digit_labels, repeats):
    """MNIST's 60,000 and the digits that are not held out, `repeats` times."""
    pixels, labels = read_mnist(mnist_folder, "train")
    pixels = np.concatenate([pixels, *[digits[:-HELD_OUT_DIGITS]] * repeats])
    labels = np.concatenate([labels, *[digit_labels[:-HELD_OUT_DIGITS]] * repeats])
    return normalise(pixels), torch.from_numpy(labels).long()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with MNIST's four IDX files, not compressed")
    parser.add_argument("--digits", required=True, help="scikit-learn's digits.csv.gz")
    parser.add_argument("-o", "--output", default="lenet5bn.pth", help="where the state dict goes")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3, help="times the digits appear among the training images")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)

    digits, digit_labels = read_digits(options.digits)
    images, labels = training_set(options.data, digits, digit_labels, options.repeats)
    model = LeNet5()
    train(model, images, labels, options.epochs, options.batch, options.rate, generator)

    test_images, test_labels = read_mnist(options.data, "t10k")
    print(f"MNIST test: {accuracy(model, normalise(test_images), torch.from_numpy(test_labels).long()):.2f} %")
    held_out = normalise(digits[-HELD_OUT_DIGITS:]), torch.from_numpy(digit_labels[-HELD_OUT_DIGITS:]).long()
    print(f"held-out digits: {accuracy(model, *held_out):.2f} %")
    torch.save(model.state_dict(), options.output)


if __name__ == "__main__":
    main()
